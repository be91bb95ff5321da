"""Which routes the application has, and who may call each."""

import re
from collections.abc import Iterator
from typing import Any, Literal
from uuid import uuid4

from litestar import Litestar
from litestar.routes import HTTPRoute
from msgspec import Struct

from api.auth import PUBLIC, operators_only, people_only, scrapers_only

PARAMETER = re.compile(r"{(\w+)}")
DOCS_PATH = "/api/docs"
Who = Literal["anybody", "user", "person", "operator", "scraper"]


class Route(Struct, frozen=True, kw_only=True, order=True):
    """One method of one path."""

    path: str
    method: str
    who: Who


def read_routes(app: Litestar) -> list[Route]:
    """Return every route, by path and method."""
    return sorted(_routes(app))


def somewhere(path: str) -> str:
    """Return an address that the path stands for, of something that does not exist."""
    return PARAMETER.sub(lambda found: str(uuid4()) if found[1].endswith("_id") else "1", path)


def _routes(app: Litestar) -> Iterator[Route]:
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for method, found in route.route_handler_map.items():
            handler: Any = found[0] if isinstance(found, tuple) else found
            if method != "OPTIONS":
                is_open = route.path_format.startswith(DOCS_PATH)  # the authentication leaves it out by its path
                yield Route(path=route.path_format, method=str(method), who="anybody" if is_open else _who(handler))


def _who(handler: Any) -> Who:
    guards = {getattr(guard, "func", guard) for guard in handler.resolve_guards()}
    if scrapers_only in guards:
        return "scraper"
    if handler.opt.get(PUBLIC) or handler.opt.get("exclude_from_auth"):
        return "anybody"
    if operators_only in guards:
        return "operator"
    return "person" if people_only in guards else "user"
