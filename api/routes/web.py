"""The web app, as it was built: a document for each page, and files whose names change with their content."""

import re
from pathlib import Path
from typing import Any

from litestar import MediaType, Request, Response, Router, get
from litestar.params import FromPath

from api import pages
from api.auth import PUBLIC
from services.errors import NotFoundError

BUILT = Path(__file__).parents[1] / "site"
"""What `make web` leaves: `ops.html`, and `assets/` beside it."""
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
ASSET = re.compile(r"[\w-]+(?:\.[\w-]+)*\.(?:js|css|svg|woff2)", re.ASCII)
GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))", re.ASCII)
"""Of an Accept-Encoding header that takes it: it is named, and not with a weight of nothing."""
FOR_GOOD = "public, max-age=31536000, immutable"
# Scripts and styles are files of ours, and text becomes HTML in no other place than Svelte's own templates.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types svelte-trusted-html"
)


def web_router(built: Path = BUILT) -> Router:
    """Return the routes that serve the files in `built`, which may be missing."""

    def document(name: str) -> Response[str]:
        try:
            html = (built / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            page = pages.message_page(
                "This page has not been built",
                "Run `make web` in the folder of the source, then load this page again. Everything else works.",
            )
            return _html(page.html, policy=page.policy, status=503)
        return _html(html, policy=POLICY)

    @get("/ops", media_type=MediaType.HTML, sync_to_thread=True, include_in_schema=False)
    def show_operations() -> Response[str]:
        """Show the operators' page."""
        return document("ops.html")

    # A handler of its own: one with two paths and a thread is wrapped twice by Litestar, and answers a coroutine.
    @get("/ops/{part:path}", media_type=MediaType.HTML, sync_to_thread=True, include_in_schema=False)
    def show_part_of_operations() -> Response[str]:
        """Show the operators' page; which part of it is the page's own business."""
        return document("ops.html")

    @get("/assets/{name:str}", sync_to_thread=True, include_in_schema=False)
    def asset(name: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes]:
        """Return a file of the pages, compressed for whoever takes that; another content has another name."""
        path = built / "assets" / name
        if not ASSET.fullmatch(name) or not path.is_file():
            raise NotFoundError("There is no such file; load the page again, it may have been replaced.")
        headers = {"Cache-Control": FOR_GOOD, "Vary": "Accept-Encoding"}
        packed = path.with_name(f"{name}.gz")
        if GZIP.search(request.headers.get("accept-encoding", "")) and packed.is_file():
            path = packed
            headers["Content-Encoding"] = "gzip"
        return Response(path.read_bytes(), media_type=TYPES[Path(name).suffix], headers=headers)

    return Router("/", route_handlers=[show_operations, show_part_of_operations, asset], opt={PUBLIC: True})


def _html(html: str, *, policy: str, status: int = 200) -> Response[str]:
    headers = {"Content-Security-Policy": policy, "Cache-Control": "no-cache"}
    return Response(html, status_code=status, media_type=MediaType.HTML, headers=headers)
