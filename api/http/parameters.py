"""Query parameters: unknown ones are refused."""

from typing import Any

from litestar import Litestar, Request
from litestar.routes import HTTPRoute

from services.errors import InvalidFieldError

API_PREFIX = "/api/"
MAX_SHOWN = 60  # of a name that a client made up


def known_of(app: Litestar) -> dict[tuple[str, str], set[str]]:
    """Return the names of the query parameters that each operation takes, by path template and method."""
    return {
        (route.path_format, method): {definition.field_alias for definition in model.expected_query_params}
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method, (_, model) in route.route_handler_map.items()
    }


def refuse_unknown(request: Request[Any, Any, Any]) -> None:
    """Raise InvalidFieldError for a query parameter that the operation does not take.

    If a misspelt filter were ignored, more would be shown or changed than the client wants. Pages take any parameter:
    mail programs and advertisers add some to links.
    """
    if not request.scope["query_string"] or not request.scope["path"].startswith(API_PREFIX):
        return
    known = request.app.state.query_parameters.get((request.scope["path_template"], request.method), set())
    for name in request.query_params:
        if name not in known:
            allowed = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
            raise InvalidFieldError(
                name[:MAX_SHOWN], f"There is no parameter {name[:MAX_SHOWN]} here; {allowed}.", allowed=sorted(known)
            )
