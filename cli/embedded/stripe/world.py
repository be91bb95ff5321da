"""The objects, the clock and the events of the embedded Stripe. No network, no threads."""

import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any

from cli.embedded.stripe.shapes import Json, blank

API_VERSION = "2026-10-28.endive"
PREFIXES = {
    "customer": "cus",
    "product": "prod",
    "price": "price",
    "payment_method": "pm",
    "subscription": "sub",
    "subscription_item": "si",
    "subscription_schedule": "sub_sched",
    "invoice": "in",
    "line_item": "il",
    "invoice_payment": "inpay",
    "invoiceitem": "ii",
    "payment_intent": "pi",
    "charge": "ch",
    "refund": "re",
    "dispute": "dp",
    "event": "evt",
    "checkout.session": "cs_test",
    "billing_portal.session": "bps",
    "billing_portal.configuration": "bpc",
    "webhook_endpoint": "we",
    "coupon": "coupon",
    "promotion_code": "promo",
    "setup_intent": "seti",
    "test_helpers.test_clock": "clock",
}


class StripeError(Exception):
    """An error in Stripe's form."""

    def __init__(  # noqa: PLR0913 - one per field of Stripe's error
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        decline_code: str | None = None,
    ) -> None:
        self.status = status
        self.body = {
            "type": kind,
            "message": message,
            **{
                name: value
                for name, value in (("code", code), ("param", param), ("decline_code", decline_code))
                if value is not None
            },
        }
        super().__init__(message)


class World:
    """All objects of one account."""

    def __init__(self, *, clock: Callable[[], float] = time.time, base_url: str = "http://127.0.0.1") -> None:
        self.clock = clock
        self.base_url = base_url
        self.ahead_s = 0
        self.at: int | None = None
        """The time of the event that is running; None for the current time."""
        self.objects: dict[str, Json] = {}
        self.events: list[Json] = []
        self.notes: dict[str, Json] = {}
        """The simulation's own notes about objects, by id."""
        self.answers: dict[str, tuple[int, Json]] = {}
        self.on_event: Callable[[Json], None] = lambda _event: None
        self.salt = secrets.token_hex(3)
        self._count = 0

    @property
    def now(self) -> int:
        """The current time in seconds."""
        return self.at if self.at is not None else int(self.clock()) + self.ahead_s

    def new(self, kind: str, /, **fields: Any) -> Json:
        """Add an object."""
        self._count += 1
        made = blank(kind)
        made["id"] = f"{PREFIXES[kind]}_{self.salt}{self._count:010d}"
        if "created" in made:
            made["created"] = self.now
        made.update(fields)
        self.objects[made["id"]] = made
        return made

    def get(self, kind: str, object_id: Any) -> Json:
        """Return an object; StripeError `resource_missing` when there is none."""
        found = self.objects.get(str(object_id))
        if found is None or found.get("object") != kind:
            raise StripeError(f"No such {kind}: '{object_id}'", status=404, code="resource_missing", param="id")
        return found

    def find(self, kind: str, **wanted: Any) -> list[Json]:
        """Return the objects whose fields have these values, newest first; None leaves a field out."""
        wanted = {name: value for name, value in wanted.items() if value is not None}
        found = [each for each in self.objects.values() if each.get("object") == kind]
        return [each for each in reversed(found) if all(each.get(name) == value for name, value in wanted.items())]

    def note(self, object_id: str) -> Json:
        """Return the notes about an object."""
        return self.notes.setdefault(object_id, {})

    def emit(self, kind: str, subject: Json) -> Json:
        """Add an event with the object as it is now."""
        self._count += 1
        event = blank("event")
        event.update(
            id=f"evt_{self.salt}{self._count:010d}",
            created=self.now,
            type=kind,
            api_version=API_VERSION,
            data={"object": _copy(subject)},
            pending_webhooks=1,
        )
        self.events.append(event)
        self.on_event(event)
        return event

    def state(self) -> Json:
        """Return all data, for a file."""
        return {
            "objects": self.objects,
            "notes": self.notes,
            "events": self.events[-500:],
            "ahead_s": self.ahead_s,
            "salt": self.salt,
            "count": self._count,
        }

    def restore(self, state: Json) -> None:
        """Restore what `state` returned."""
        self.objects, self.notes, self.events = state["objects"], state["notes"], state["events"]
        self.ahead_s, self.salt, self._count = state["ahead_s"], state["salt"], state["count"]


def listing(items: Iterable[Json], url: str, *, limit: int = 10, after: str | None = None) -> Json:
    """Return a page of a list, in Stripe's form."""
    rows = list(items)
    if after is not None:
        ids = [row["id"] for row in rows]
        rows = rows[ids.index(after) + 1 :] if after in ids else []
    return {"object": "list", "url": url, "data": rows[:limit], "has_more": len(rows) > limit}


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_copy(each) for each in value]
    return value
