"""Serves the API's description: the document, the page, and the page's style sheet and script."""

from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.enums import MediaType
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.status_codes import HTTP_404_NOT_FOUND

from api.http.errors import status_response
from api.openapi.document import SECURITY, complete, operation_id
from api.openapi.page import FILES, PATH, POLICY, SCRIPT, STYLE, page

DISTRIBUTION = "big-snuggles"
DESCRIPTION = """Hand over a recording, get its best moments as clips.

Every answer is `{"success": true, "data": …}` or `{"success": false, "error": {code, message, retryable, details}}`.
Send a JWT or an API key as `Authorization: Bearer …`. A `POST` that creates something takes an
`Idempotency-Key`: a repeat with the same key and body gets the first answer for 24 hours."""


class JsonDocument(OpenAPIRenderPlugin):
    """The document itself."""

    def __init__(self) -> None:
        super().__init__(path="/openapi.json", media_type=MediaType.JSON)
        self._rendered: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the document, made once."""
        if self._rendered is None:
            self._rendered = msgspec.json.encode(complete(request.app, openapi_schema))
        return self._rendered


class HumanPage(OpenAPIRenderPlugin):
    """The document as a page."""

    def __init__(self) -> None:
        super().__init__(path="/", media_type=MediaType.HTML)
        self._rendered: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """Return the page, made once."""
        if self._rendered is None:
            self._rendered = page(complete(request.app, openapi_schema)).encode()
        return self._rendered


@get(f"/{STYLE}", sync_to_thread=False, media_type="text/css")
def style() -> bytes:
    """Serve the page's style sheet."""
    return (FILES / STYLE).read_bytes()


@get(f"/{SCRIPT}", sync_to_thread=False, media_type="text/javascript")
def script() -> bytes:
    """Serve the page's script."""
    return (FILES / SCRIPT).read_bytes()


def openapi_config() -> OpenAPIConfig:
    """Return Litestar's configuration of the description."""
    return OpenAPIConfig(
        title="Big Snuggles",
        version=version(DISTRIBUTION),
        description=DESCRIPTION,
        path=PATH,
        openapi_router=Router(PATH, route_handlers=[style, script], include_in_schema=False, after_request=_finish),
        render_plugins=[
            HumanPage(),
            JsonDocument(),
        ],
        use_handler_docstrings=True,
        operation_id_creator=operation_id,
        components=SECURITY,
        security=[{"bearer": []}, {"session": []}],
    )


def _finish(response: Response[Any]) -> Response[Any]:
    """Replace the framework's page for an unknown address below the documentation; let the page use its own files."""
    if response.status_code == HTTP_404_NOT_FOUND:
        return status_response(HTTP_404_NOT_FOUND)
    if response.media_type == MediaType.HTML:
        response.headers["Content-Security-Policy"] = POLICY
    return response
