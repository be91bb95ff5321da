"""Delivers events as signed webhooks."""

import hmac
import json
import threading
import time
import urllib.request
from contextlib import suppress
from hashlib import sha256

from cli.embedded.stripe.shapes import Json
from cli.embedded.stripe.world import World

TICK_S = 1.0
DELIVERY_TIMEOUT_S = 10.0
REDELIVER_S = (1, 5, 20, 60, 300)
CLIENT_ERROR = 400


def signature(payload: str, secret: str, *, at: int) -> str:
    """Return the header `Stripe-Signature` of a payload."""
    digest = hmac.digest(secret.encode(), f"{at}.{payload}".encode(), sha256).hex()
    return f"t={at},v1={digest}"


class Courier:
    """Delivers events to the subscribed endpoints in order, with retries."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: list[tuple[float, int, str, Json]] = []
        self._wake = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to deliver new events."""
        self._world.on_event = self.take
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        with self._wake:
            self._is_closed = True
            self._wake.notify()

    def take(self, event: Json) -> None:
        """Queue an event for every subscribed endpoint."""
        with self._wake:
            for endpoint in self._world.find("webhook_endpoint", status="enabled"):
                if "*" in endpoint["enabled_events"] or event["type"] in endpoint["enabled_events"]:
                    self._waiting.append((time.monotonic(), 0, endpoint["id"], event))
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._is_closed or self._waiting, TICK_S)
                if self._is_closed:
                    return
                due = [each for each in self._waiting if each[0] <= time.monotonic()]
                self._waiting = [each for each in self._waiting if each not in due]
            for _, tries, endpoint_id, event in due:
                if not self._deliver(endpoint_id, event) and tries < len(REDELIVER_S):
                    with self._wake:
                        again = time.monotonic() + REDELIVER_S[tries]
                        self._waiting.append((again, tries + 1, endpoint_id, event))
            if not due:
                time.sleep(0.05)

    def _deliver(self, endpoint_id: str, event: Json) -> bool:
        endpoint = self._world.objects[endpoint_id]
        payload = json.dumps(event)
        header = signature(payload, self._world.note(endpoint_id)["secret"], at=int(time.time()))
        request = urllib.request.Request(  # noqa: S310 - the operator's own address
            endpoint["url"],
            data=payload.encode(),
            headers={"Content-Type": "application/json", "Stripe-Signature": header},
        )
        with suppress(OSError), urllib.request.urlopen(request, timeout=DELIVERY_TIMEOUT_S) as got:  # noqa: S310
            return bool(got.status < CLIENT_ERROR)
        return False
