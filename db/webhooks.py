"""Webhooks: receivers of an owner's events, their secrets and their failures."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct, structs
from psycopg.rows import class_row

from db.connection import Transaction
from db.mails import Language

Cursor = tuple[datetime, UUID]
"""The end of a page: created_at and id of its last row."""


class Webhook(Struct, frozen=True, kw_only=True):
    """A row of `webhooks`, without its secret."""

    id: UUID
    user_id: UUID
    url: str
    events: list[str]
    status: Literal["enabled", "disabled"]
    disabled_at: datetime | None
    disabled_reason: str | None
    failing_since: datetime | None
    last_success_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Target(Struct, frozen=True, kw_only=True):
    """The address and secret of a webhook, which only the service may read."""

    url: str
    secret: str
    status: Literal["enabled", "disabled"]
    failures: int
    resting_until: datetime | None


class Rest(Struct, frozen=True, kw_only=True):
    """After `patience` failures in a row, a webhook rests: `first_s` seconds, then twice as long each time."""

    patience: int
    first_s: float
    longest_s: float


class Notice(Struct, frozen=True, kw_only=True):
    """The data of the mail about a disabled webhook."""

    email: str
    language: Language
    url: str
    reason: str


WEBHOOK_COLUMNS = """id, user_id, url, events, status, disabled_at, disabled_reason, failing_since, last_success_at,
created_at, updated_at"""

LOCK_OWNER = "SELECT pg_advisory_xact_lock(hashtextextended('webhooks/' || %(user_id)s, 0))"
COUNT_WEBHOOKS = "SELECT count(*) AS count FROM webhooks WHERE user_id = %(user_id)s"
INSERT_WEBHOOK = f"""
INSERT INTO webhooks (user_id, url, events, secret) VALUES (%(user_id)s, %(url)s, %(events)s, %(secret)s)
RETURNING {WEBHOOK_COLUMNS}
"""  # noqa: S608 - the columns are a constant
FIND_WEBHOOK = f"""
SELECT {WEBHOOK_COLUMNS} FROM webhooks WHERE id = %(webhook_id)s AND user_id = %(user_id)s
"""  # noqa: S608 - the columns are a constant
LIST_WEBHOOKS = f"""
SELECT {WEBHOOK_COLUMNS} FROM webhooks
WHERE user_id = %(user_id)s
  AND (%(before_at)s::timestamptz IS NULL OR (created_at, id) < (%(before_at)s, %(before_id)s::uuid))
ORDER BY created_at DESC, id DESC LIMIT %(limit)s
"""  # noqa: S608 - the columns are a constant
DELETE_WEBHOOK = "DELETE FROM webhooks WHERE id = %(webhook_id)s AND user_id = %(user_id)s RETURNING id"
ENABLE = f"""
UPDATE webhooks SET status = 'enabled', disabled_at = NULL, disabled_reason = NULL, failing_since = NULL,
    failures = 0, resting_until = NULL, updated_at = now()
WHERE id = %(webhook_id)s AND user_id = %(user_id)s AND status = 'disabled' RETURNING {WEBHOOK_COLUMNS}
"""  # noqa: S608 - the columns are a constant
LIST_SUBSCRIBED = """
SELECT id FROM webhooks
WHERE user_id = %(user_id)s AND status = 'enabled' AND events @> ARRAY[%(type)s::text] ORDER BY id
"""
FIND_TARGET = "SELECT url, secret, status, failures, resting_until FROM webhooks WHERE id = %(webhook_id)s"
# After a rest, only one transaction gets the row; the others see that the webhook rests again.
BEGIN_TRY = """
UPDATE webhooks SET resting_until = %(until)s
WHERE id = %(webhook_id)s AND (resting_until IS NULL OR resting_until <= %(at)s) RETURNING id
"""
NOTE_SUCCESS = """
UPDATE webhooks SET failing_since = NULL, failures = 0, resting_until = NULL, last_success_at = now(),
    updated_at = now()
WHERE id = %(webhook_id)s AND (failing_since IS NOT NULL OR last_success_at IS NULL
                               OR last_success_at < now() - interval '1 minute')
"""
NOTE_FAILURE = """
UPDATE webhooks SET failing_since = coalesce(failing_since, %(at)s), failures = failures + 1, updated_at = now(),
    resting_until = CASE WHEN failures + 1 >= %(patience)s THEN %(at)s::timestamptz + make_interval(
        secs => least(%(longest_s)s, %(first_s)s * power(2, least(30, failures + 1 - %(patience)s)))) END
WHERE id = %(webhook_id)s
"""
# Conditional on everything that decides it, so that a concurrent success or disabling changes nothing.
DISABLE_FAILING = f"""
UPDATE webhooks SET status = 'disabled', disabled_at = now(), disabled_reason = %(reason)s, updated_at = now()
WHERE id = %(webhook_id)s AND status = 'enabled' AND failing_since < %(since)s RETURNING {WEBHOOK_COLUMNS}
"""  # noqa: S608 - the columns are a constant
DISABLE = f"""
UPDATE webhooks SET status = 'disabled', disabled_at = now(), disabled_reason = %(reason)s, updated_at = now()
WHERE id = %(webhook_id)s AND status = 'enabled' RETURNING {WEBHOOK_COLUMNS}
"""  # noqa: S608 - the columns are a constant
FIND_NOTICE = """
SELECT users.email, users.language, webhooks.url, webhooks.disabled_reason AS reason
FROM webhooks JOIN users ON users.id = webhooks.user_id
WHERE webhooks.id = %(webhook_id)s AND webhooks.status = 'disabled'
"""


def lock_owner(tx: Transaction, *, user_id: UUID) -> None:
    """Lock an owner's webhooks, so that one request at a time counts and adds them."""
    tx.execute(LOCK_OWNER, {"user_id": str(user_id)})


def count_webhooks(tx: Transaction, *, user_id: UUID) -> int:
    """Return the number of an owner's webhooks."""
    row = tx.execute(COUNT_WEBHOOKS, {"user_id": user_id}).fetchone()
    return int(row["count"]) if row else 0


def insert_webhook(tx: Transaction, *, user_id: UUID, url: str, events: list[str], secret: str) -> Webhook:
    """Insert a webhook."""
    parameters = {"user_id": user_id, "url": url, "events": events, "secret": secret}
    row = _webhook(tx, INSERT_WEBHOOK, parameters)
    assert row is not None  # noqa: S101 - INSERT … RETURNING returns its row or raises
    return row


def find_webhook(tx: Transaction, *, user_id: UUID, webhook_id: UUID) -> Webhook | None:
    """Return an owner's webhook."""
    return _webhook(tx, FIND_WEBHOOK, {"user_id": user_id, "webhook_id": webhook_id})


def list_webhooks(tx: Transaction, *, user_id: UUID, limit: int, before: Cursor | None) -> list[Webhook]:
    """List an owner's webhooks, newest first, starting after the cursor."""
    parameters = {"user_id": user_id, "limit": limit, **_before(before)}
    with tx.cursor(row_factory=class_row(Webhook)) as cursor:
        return cursor.execute(LIST_WEBHOOKS, parameters).fetchall()


def delete_webhook(tx: Transaction, *, user_id: UUID, webhook_id: UUID) -> bool:
    """Delete a webhook with its deliveries; False when it does not exist."""
    return tx.execute(DELETE_WEBHOOK, {"user_id": user_id, "webhook_id": webhook_id}).fetchone() is not None


def enable(tx: Transaction, *, user_id: UUID, webhook_id: UUID) -> Webhook | None:
    """Enable a disabled webhook and clear its failures; None if it is not disabled."""
    return _webhook(tx, ENABLE, {"user_id": user_id, "webhook_id": webhook_id})


def list_subscribed(tx: Transaction, *, user_id: UUID, event_type: str) -> list[UUID]:
    """List an owner's webhooks that subscribe to this event, in the order in which their lanes are locked."""
    return [row["id"] for row in tx.execute(LIST_SUBSCRIBED, {"user_id": user_id, "type": event_type})]


def find_target(tx: Transaction, webhook_id: UUID) -> Target | None:
    """Return the address and secret of a webhook."""
    with tx.cursor(row_factory=class_row(Target)) as cursor:
        return cursor.execute(FIND_TARGET, {"webhook_id": webhook_id}).fetchone()


def note_success(tx: Transaction, webhook_id: UUID) -> None:
    """Record a success; at most once a minute, since every delivery would wait for this row."""
    tx.execute(NOTE_SUCCESS, {"webhook_id": webhook_id})


def note_failure(tx: Transaction, webhook_id: UUID, *, at: datetime, rest: Rest) -> None:
    """Record a failure; after some number the webhook rests."""
    tx.execute(NOTE_FAILURE, {"webhook_id": webhook_id, "at": at, **structs.asdict(rest)})


def begin_try(tx: Transaction, webhook_id: UUID, *, at: datetime, until: datetime) -> bool:
    """Claim the next try of a failing webhook, which rests for others until then; False if it is claimed already."""
    return tx.execute(BEGIN_TRY, {"webhook_id": webhook_id, "at": at, "until": until}).fetchone() is not None


def disable_failing(tx: Transaction, webhook_id: UUID, *, since: datetime, reason: str) -> Webhook | None:
    """Disable a webhook without success since that time; None if it had one."""
    return _webhook(tx, DISABLE_FAILING, {"webhook_id": webhook_id, "since": since, "reason": reason})


def disable(tx: Transaction, webhook_id: UUID, *, reason: str) -> Webhook | None:
    """Disable a webhook; None when it is not enabled."""
    return _webhook(tx, DISABLE, {"webhook_id": webhook_id, "reason": reason})


def find_notice(tx: Transaction, webhook_id: UUID) -> Notice | None:
    """Return the data of the mail about a webhook, while it is disabled."""
    with tx.cursor(row_factory=class_row(Notice)) as cursor:
        return cursor.execute(FIND_NOTICE, {"webhook_id": webhook_id}).fetchone()


def _before(cursor: Cursor | None) -> dict[str, Any]:
    before_at, before_id = cursor or (None, None)
    return {"before_at": before_at, "before_id": before_id}


def _webhook(tx: Transaction, statement: str, parameters: dict[str, Any]) -> Webhook | None:
    with tx.cursor(row_factory=class_row(Webhook)) as cursor:
        return cursor.execute(statement, parameters).fetchone()
