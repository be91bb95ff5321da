"""Serves the simulation of Stripe over HTTP."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from cli.embedded.stripe import pages
from cli.embedded.stripe.form import nested
from cli.embedded.stripe.routes import answer
from cli.embedded.stripe.shapes import Json
from cli.embedded.stripe.world import StripeError, World


def handle(world: World, method: str, target: str, *, body: str = "", headers: Json | None = None) -> tuple[int, Json]:
    """Answer one API request: status and JSON. Repeats of an idempotency key get the first answer."""
    headers = {name.lower(): value for name, value in (headers or {}).items()}
    secret = headers.get("authorization", "").removeprefix("Bearer ")
    if not secret.startswith(("sk_test_", "rk_test_")):
        return _refusal(StripeError("Invalid API Key provided.", status=401))
    parts = urlsplit(target)
    params = nested(parse_qsl(parts.query if method in ("GET", "DELETE") else body, keep_blank_values=True))
    key = headers.get("idempotency-key")
    if key and key in world.answers:
        return world.answers[key]
    try:
        result = 200, answer(world, method, parts.path, params)
    except StripeError as error:
        result = _refusal(error)
    except (KeyError, ValueError, IndexError) as error:
        result = _refusal(StripeError(f"Missing or invalid parameter: {error}"))
    if key and method == "POST":
        world.answers[key] = result
    return result


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of a connection; only one request of all connections runs at a time."""

    world: World
    lock: threading.RLock
    on_change: Callable[[], None]
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: object) -> None:
        """Log nothing, because headers contain keys."""

    def do_GET(self) -> None:
        """Answer."""
        self._answer("")

    def do_DELETE(self) -> None:
        """Answer."""
        self._answer(self._body())

    def do_POST(self) -> None:
        """Answer."""
        self._answer(self._body())

    def _body(self) -> str:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()

    def _answer(self, body: str) -> None:
        with self.lock:
            if self.path.startswith("/v1/"):
                status, result = handle(self.world, self.command, self.path, body=body, headers=dict(self.headers))
                self._send(status, json.dumps(result), "application/json")
            else:
                self._show(body)
            type(self).on_change()

    def _show(self, body: str) -> None:
        _, kind, name, *_ = [*urlsplit(self.path).path.split("/"), "", ""]
        try:
            if kind == "pay":
                self._pay(name, dict(parse_qsl(body)))
            elif kind == "portal":
                self._portal(name, dict(parse_qsl(body)))
            else:
                self._send(404 if kind else 200, "A simulation of Stripe. Nothing is charged here.", "text/plain")
        except StripeError as error:
            self._send(404, str(error), "text/plain")

    def _pay(self, name: str, form: Json) -> None:
        if self.command != "POST":
            self._send(200, pages.pay_page(self.world, name), "text/html")
            return
        try:
            self._redirect(pages.submit_payment(self.world, name, form))
        except StripeError as error:
            self._send(200, pages.pay_page(self.world, name, error=str(error)), "text/html")

    def _portal(self, name: str, form: Json) -> None:
        error = ""
        if self.command == "POST":
            try:
                pages.submit_portal(self.world, name, form)
            except StripeError as failure:
                error = str(failure)
        self._send(200, pages.portal_page(self.world, name, error=error), "text/html")

    def _send(self, status: int, text: str, kind: str) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _redirect(self, url: str) -> None:
        self.send_response(303)
        self.send_header("Location", url)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def serving(
    world: World, *, host: str = "127.0.0.1", port: int = 0, on_change: Callable[[], None] = lambda: None
) -> Iterator[str]:
    """Serve during the block; yields the address. `on_change` is called after each request that may change objects."""
    handler = type("BoundHandler", (Handler,), {"world": world, "lock": threading.RLock(), "on_change": on_change})
    server = ThreadingHTTPServer((host, port), handler)
    world.base_url = f"http://{host}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield world.base_url
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _refusal(error: StripeError) -> tuple[int, Json]:
    return error.status, {"error": error.body}
