"""One row of every table, made from the catalogue, all of one user."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

COLUMNS = """
SELECT t.relname, a.attname, format_type(a.atttypid, NULL), a.attnotnull, a.atthasdef OR a.attidentity <> '',
    (SELECT f.relname FROM pg_constraint c JOIN pg_class f ON f.oid = c.confrelid
     WHERE c.contype = 'f' AND c.conrelid = t.oid AND c.conkey = ARRAY[a.attnum] LIMIT 1)
FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE t.relnamespace = 'public'::regnamespace AND t.relkind IN ('r', 'p') AND t.relname !~ '^_?yoyo'
ORDER BY t.relname, a.attnum
"""
DEPENDENCIES = """
SELECT DISTINCT t.relname, f.relname FROM pg_constraint c
JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class f ON f.oid = c.confrelid
WHERE c.contype = 'f' AND cardinality(c.conkey) > 1 AND t.relnamespace = 'public'::regnamespace
"""
VALUES: dict[str, Any] = {
    "text": "value",
    "uuid": None,
    "bytea": b"\x00",
    "jsonb": Jsonb({}),
    "json": Jsonb({}),
    "boolean": False,
    "text[]": [],
    "bigint[]": [],
    "timestamp with time zone": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
}
OVERRIDES: dict[str, dict[str, Any]] = {
    "users": {"email": "owner@example.org"},
    "account_tokens": {"purpose": "reset"},
    "sessions": {"method": "password"},
    "mails": {"recipient": "owner@example.org", "status": "queued"},
    "pending_signups": {"email": "owner@example.org"},
    "recordings": {"status": "uploading", "room_id": None},
    "highlights": {
        "start_s": 0,
        "end_s": 10,
        "core_start_s": 1,
        "core_end_s": 9,
        "peak_s": 5,
        "score": 0.5,
        "kind": "humor",
        "kind_confidence": 0.5,
    },
    "clips": {"start_s": 0, "end_s": 10},
    "clip_shares": {"slug": "a-slug-of-some-length", "platform": "direct_link"},
    "jobs": {"kind": "render", "queue": "render"},
    "job_series": {"outcome": "succeeded"},
    "job_totals": {"outcome": "succeeded"},
    "events": {"type": "clip.completed"},
    "webhooks": {"events": ["clip.completed"], "secret": "s" * 40},
    "rooms": {"room_code": "ABCDEF", "recording_id": None},
    "polls": {
        "poll_type": "topic",
        "options": Jsonb([{"id": "1", "text": "a"}, {"id": "2", "text": "b"}]),
        "duration_seconds": 60,
    },
    "recording_tracks": {"source": "microphone"},
    "recording_activity": {"kind": "join"},
    "poll_highlights": {"moments": Jsonb([])},
    "poll_keys": {"key": b"k" * 32},
    "schedule_ticks": {"name": "value"},
    "poll_votes": {"option_id": "1"},
    "poll_upvotes": {"option_id": "1"},
    "room_participants": {"role": "host"},
    "room_messages": {"content": "hello", "message_type": "text"},
    "payment_history": {"status": "succeeded"},
    "subscriptions": {"tier": "free", "status": "active"},
    "checkouts": {"tier": "free"},
    "usage_quotas": {"feature": "clips_per_month"},
}
"""Values that constraints ask for. Columns that are not named here get a value of their type where they need one."""
FILLED = frozenset({"tier_features", "total_marks", "schema_checksums", "subscriptions"})
"""Tables that the migrations, or the triggers on users, fill themselves."""
NAMED = {
    "room_id": "rooms",
    "recording_id": "recordings",
    "clip_id": "clips",
    "job_id": "jobs",
    "poll_id": "polls",
}
"""What a column refers to by its name, where a compound reference or none says so."""
ALWAYS = frozenset({"user_id", "host_user_id", *NAMED})
"""References that are given although they may be NULL, so that the row is its owner's."""


class SeedError(AssertionError):
    """A table whose row the catalogue alone does not tell how to make."""


def seed(owner: psycopg.Connection[Any], user_id: Any) -> None:
    """Insert one row into every table that has none, all of them the user's."""
    columns: dict[str, list[tuple[str, str, bool, bool, str | None]]] = {}
    for table, name, kind, is_required, has_default, refers_to in owner.execute(COLUMNS):
        columns.setdefault(table, []).append((name, kind, is_required, has_default, refers_to))
    compound = list(owner.execute(DEPENDENCIES))
    made: dict[str, Any] = {}
    waiting = dict.fromkeys(columns)
    while waiting:
        blocked = {table for table, refers in compound if refers in waiting}
        ready = [table for table in waiting if table not in blocked and _is_ready(table, columns[table], made, waiting)]
        assert ready, f"these refer to each other: {sorted(waiting)}"
        for table in ready:
            made[table] = _insert(owner, table, columns[table], made, user_id)
            del waiting[table]


def _is_ready(table: str, columns: list[Any], made: dict[str, Any], waiting: dict[str, Any]) -> bool:
    needed = {refers for name, _, is_required, _, refers in columns if refers and (is_required or name in ALWAYS)}
    # clips and jobs name each other, and so do rooms and recordings: one of two begins without the other.
    needed -= {table} | {"clips": {"jobs", "renders"}, "recordings": {"rooms"}}.get(table, set())
    return all(refers in made or refers not in waiting for refers in needed)


def _insert(owner: psycopg.Connection[Any], table: str, columns: list[Any], made: dict[str, Any], user_id: Any) -> Any:
    if table in FILLED and owner.execute(sql.SQL("SELECT 1 FROM {}").format(sql.Identifier(table))).fetchone():
        return None
    values = {name: value for name, value in _values(table, columns, made, user_id) if value is not None}
    if table == "recordings":
        values["id"] = uuid4()
        values["source_key"] = f"{user_id}/{values['id']}/source"
    has_id = "id" in {name for name, *_ in columns}
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING {}").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, values)),
        sql.SQL(", ").join(sql.Placeholder() * len(values)),
        sql.SQL("id" if has_id else "1"),
    )
    try:
        row = owner.execute(statement, list(values.values())).fetchone()
    except psycopg.Error as error:
        raise SeedError(f"{table}: {error}; give it values in tests/support/access/seed.py") from error
    assert row is not None
    return row[0] if has_id else None


def _values(table: str, columns: list[Any], made: dict[str, Any], user_id: Any) -> Iterator[tuple[str, Any]]:
    for name, kind, is_required, has_default, refers_to in columns:
        is_wanted = is_required or name in ALWAYS
        refers_to = refers_to or NAMED.get(name)  # noqa: PLW2901 - the better of the two
        if name in OVERRIDES.get(table, {}):
            yield name, OVERRIDES[table][name]
        elif (table, name) == ("users", "id") or (name in {"user_id", "actor_id"} and kind == "uuid"):
            yield name, user_id
        elif refers_to == "users":
            yield name, user_id if is_wanted else None
        elif refers_to in made and is_wanted:
            yield name, made[refers_to]
        elif is_required and not has_default:
            yield name, _value(kind)


def _value(kind: str) -> Any:
    if kind == "uuid":
        return uuid4()
    return VALUES.get(kind, 1)
