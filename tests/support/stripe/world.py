"""The small Stripe in tests: behind the real SDK, over HTTP or in this process, with events that a test holds back."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import stripe

from cli.embedded.stripe import server
from cli.embedded.stripe.world import World

SECRET_KEY = "sk_test_of_a_simulation"
WEBHOOK_SECRET = "whsec_of_a_simulation"


class InProcess(stripe.HTTPClient):
    """Hands the SDK's requests to a world without a socket."""

    name = "in-process"

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        import json

        target = url.removeprefix(self._world.base_url)
        status, body = server.handle(
            self._world, method.upper(), target, body=post_data or "", headers=dict(headers or {})
        )
        return json.dumps(body).encode(), status, {"content-type": "application/json"}

    def close(self) -> None:
        """Nothing is open."""


@contextmanager
def stripe_server(world: World) -> Iterator[str]:
    with server.serving(world) as url:
        yield url
