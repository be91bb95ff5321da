"""Which routes the application has, and who may call each."""

from collections.abc import Iterator
from typing import Any, Literal

from litestar import Litestar
from litestar.routes import HTTPRoute
from msgspec import Struct

from api.auth import PUBLIC, operators_only, people_only

DOCS_PATH = "/api/docs"
Who = Literal["anybody", "user", "person", "operator"]


class Route(Struct, frozen=True, kw_only=True, order=True):
    """One method of one path."""

    path: str
    method: str
    who: Who


def read_routes(app: Litestar) -> list[Route]:
    """Return every route, by path and method."""
    return sorted(_routes(app))


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
    if handler.opt.get(PUBLIC) or handler.opt.get("exclude_from_auth"):
        return "anybody"
    guards = {getattr(guard, "func", guard) for guard in handler.resolve_guards()}
    if operators_only in guards:
        return "operator"
    return "person" if people_only in guards else "user"
