"""Serves the built web app: a document for its pages, and files whose names change with their content."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from litestar import MediaType, Request, Response, Router, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from api.auth import PUBLIC
from api.pages import documents
from services.errors import NotFoundError
from services.language import preferred

BUILT = Path(__file__).parents[2] / "site"
"""The output of `make web`: `app.html`, `ops.html` and `front.*.html`, `assets/`, and the files of `web/public`."""
PAGES = (
    "/signup",
    "/login",
    "/verify",
    "/forgot",
    "/recordings",
    "/recordings/{recording:str}",
    "/clips",
    "/spaces",
    "/spaces/{code:str}",
    "/pricing",
    "/subscription",
    "/subscription/success",
    "/analytics",
    "/settings",
    "/settings/{part:str}",
)
TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
    ".mp4": "video/mp4",
}
ASSET = re.compile(r"[\w-]+(?:\.[\w-]+)*\.(?:js|css|svg|woff2|png)", re.ASCII)
ROOT_FILES = ("manifest.webmanifest", "sample.mp4", "icon.svg", "icon-192.png", "icon-512.png", "icon-512-maskable.png")
GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))", re.ASCII)
"""In an Accept-Encoding header: gzip is listed and its q-value is not 0."""
FOR_GOOD = "public, max-age=31536000, immutable"
FOR_A_DAY = "public, max-age=86400"
PERMISSIONS = "camera=(self), microphone=(self), display-capture=(self), geolocation=()"


def policy_of(sources: Sequence[str] = ()) -> str:
    """Return the content security policy of the pages; `sources` are the origins of storage.

    Scripts and styles are our own files, and only Svelte's templates turn text into HTML.
    """
    storage = "".join(f" {source}" for source in sources)
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "font-src 'self'",
            f"img-src 'self' blob: data:{storage}",
            f"media-src 'self' blob:{storage}",
            f"connect-src 'self'{storage}",
            "manifest-src 'self'",
            "worker-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types svelte-trusted-html",
        )
    )


def web_router(built: Path = BUILT, *, sources: Sequence[str] = ()) -> Router:
    """Return the routes that serve the files in `built`, which may be missing."""
    policy = policy_of(sources)
    handlers = [
        _front_page(built, policy),
        *(_page(path, built / "app.html", policy) for path in PAGES),
        *(_page(path, built / "ops.html", policy) for path in ("/ops", "/ops/{part:path}")),
        *(_root_file(built / name) for name in ROOT_FILES),
        _assets(built / "assets"),
    ]
    return Router("/", route_handlers=handlers, opt={PUBLIC: True})


def _front_page(built: Path, policy: str) -> HTTPRouteHandler:
    @get("/", media_type=MediaType.HTML, sync_to_thread=True, include_in_schema=False)
    def show(request: Request[Any, Any, Any]) -> Response[str]:
        """Return the document with the front page drawn into it, in the visitor's language."""
        language = preferred(request.headers.get("accept-language", ""))
        return _document(built / f"front.{language}.html", policy, varies_by="Accept-Language")

    return show


# One handler a path: Litestar wraps a threaded handler with several paths twice, and then answers a coroutine.
def _page(path: str, document: Path, policy: str) -> HTTPRouteHandler:
    @get(path, media_type=MediaType.HTML, sync_to_thread=True, include_in_schema=False)
    def show() -> Response[str]:
        """Return the document; the address decides which page it draws."""
        return _document(document, policy)

    return show


def _document(path: Path, policy: str, *, varies_by: str | None = None) -> Response[str]:
    """Return a built document, or a page that says how to build it."""
    try:
        html = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        page = documents.message_page(
            "This page has not been built",
            "Run `make web` in the folder of the source, then load this page again. Everything else works.",
        )
        return _html(page.html, policy=page.policy, status=503)
    answer = _html(html, policy=policy)
    if varies_by is not None:
        answer.headers["Vary"] = varies_by
    return answer


def _root_file(path: Path) -> HTTPRouteHandler:
    @get(f"/{path.name}", sync_to_thread=True, include_in_schema=False)
    def show() -> Response[bytes]:
        """Return a file that browsers request under a fixed name."""
        if not path.is_file():
            raise NotFoundError("There is no such file.")
        return Response(path.read_bytes(), media_type=TYPES[path.suffix], headers={"Cache-Control": FOR_A_DAY})

    return show


def _assets(folder: Path) -> HTTPRouteHandler:
    @get("/assets/{name:str}", sync_to_thread=True, include_in_schema=False)
    def asset(name: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes]:
        """Return a file of the pages, compressed if the client accepts that; changed content has another name."""
        path = folder / name
        if not ASSET.fullmatch(name) or not path.is_file():
            raise NotFoundError("There is no such file; load the page again, it may have been replaced.")
        headers = {"Cache-Control": FOR_GOOD, "Vary": "Accept-Encoding"}
        packed = path.with_name(f"{name}.gz")
        if GZIP.search(request.headers.get("accept-encoding", "")) and packed.is_file():
            path = packed
            headers["Content-Encoding"] = "gzip"
        return Response(path.read_bytes(), media_type=TYPES[Path(name).suffix], headers=headers)

    return asset


def _html(html: str, *, policy: str, status: int = 200) -> Response[str]:
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-cache",
        "Permissions-Policy": PERMISSIONS,
    }
    return Response(html, status_code=status, media_type=MediaType.HTML, headers=headers)
