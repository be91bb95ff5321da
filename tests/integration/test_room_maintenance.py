"""Rooms and polls end by themselves, and who chose what is forgotten."""

from typing import Any
from uuid import UUID

import psycopg
import pytest
from support.servers.fleet import add_user, rows

from db.connection import SERVICE, Database, user_identity
from services.lifecycle import maintenance

OPTIONS = '[{"id": "a", "text": "yes"}, {"id": "b", "text": "no"}]'
ADD_ROOM = """
WITH room AS (
    INSERT INTO rooms (room_code, name, host_user_id, last_activity_at)
    VALUES (%(code)s, 'Room', %(host)s, now() - %(idle)s::interval) RETURNING id
)
INSERT INTO room_participants (room_id, user_id, display_name, role)
SELECT id, %(host)s, 'Ada', 'host' FROM room RETURNING room_id AS id
"""
ADD_POLL = """
INSERT INTO polls (room_id, created_by, poll_type, question, options, duration_seconds, created_at, ends_at, status,
                   closed_at)
SELECT id, host_user_id, 'topic', 'What next?', %(options)s::jsonb, 60, began, began + interval '1 minute',
       %(status)s::text, CASE WHEN %(status)s::text <> 'active' THEN began + interval '1 minute' END
FROM rooms, (SELECT now() - %(ago)s::interval AS began) AS clock WHERE id = %(room)s RETURNING id
"""
ADD_BALLOT = """
INSERT INTO poll_votes (poll_id, user_id, option_id) VALUES (%(poll)s, %(user)s, %(option)s) RETURNING poll_id
"""


def add_room(database: Database, host: UUID, *, code: str, idle: str) -> Any:
    return rows(database, ADD_ROOM, code=code, host=host, idle=idle)[0]["id"]


def add_poll(database: Database, room: Any, *, ago: str, status: str = "active") -> Any:
    return rows(database, ADD_POLL, room=room, options=OPTIONS, ago=ago, status=status)[0]["id"]


def vote(database: Database, poll: Any, *option_ids: str) -> None:
    for option_id in option_ids:
        rows(database, ADD_BALLOT, poll=poll, user=add_user(database), option=option_id)


def run(database: Database, work: Any) -> dict[str, int]:
    with database.transaction(SERVICE) as tx:
        return dict(work(tx))


def test_room_is_ended_a_day_after_the_last_word_with_its_polls(database: Database) -> None:
    host = add_user(database)
    quiet = add_room(database, host, code="ABC234", idle="25 hours")
    lively = add_room(database, host, code="XYZ789", idle="23 hours")
    open_poll, other_poll = (add_poll(database, room, ago="10 seconds") for room in (quiet, lively))
    assert run(database, maintenance.cleanup_rooms) == {"ended": 1, "polls_closed": 1}
    assert run(database, maintenance.cleanup_rooms) == {"ended": 0, "polls_closed": 0}
    assert rows(database, "SELECT id, is_active FROM rooms ORDER BY is_active") == [
        {"id": quiet, "is_active": False},
        {"id": lively, "is_active": True},
    ]
    assert rows(database, "SELECT room_id FROM room_participants WHERE left_at IS NULL") == [{"room_id": lively}]
    states = {row["id"]: row["status"] for row in rows(database, "SELECT id, status FROM polls")}
    assert states == {open_poll: "closed", other_poll: "active"}


def test_poll_expires_when_its_time_is_over_and_keeps_only_counts_after_90_days(database: Database) -> None:
    room = add_room(database, add_user(database), code="ABC234", idle="1 minute")
    due = add_poll(database, room, ago="2 minutes")
    young = add_poll(database, room, ago="89 days", status="closed")
    old = add_poll(database, room, ago="91 days", status="closed")
    for poll in (due, young, old):
        vote(database, poll, "a", "a", "b")
    assert run(database, maintenance.archive_polls) == {"expired": 1, "archived": 1}
    assert run(database, maintenance.archive_polls) == {"expired": 0, "archived": 0}
    found = rows(database, "SELECT id, status, archived_results AS kept FROM polls")
    assert {row["id"]: (row["status"], row["kept"]) for row in found} == {
        due: ("expired", None),
        young: ("closed", None),
        old: ("closed", {"a": 2, "b": 1}),
    }
    ballots = rows(database, "SELECT poll_id, count(*) AS n FROM poll_votes GROUP BY 1")
    assert {row["poll_id"]: row["n"] for row in ballots} == {due: 3, young: 3}


def test_strangers_see_neither_room_nor_poll_and_nobody_sees_anothers_ballot(database: Database) -> None:
    host, stranger = add_user(database), add_user(database)
    room = add_room(database, host, code="ABC234", idle="1 minute")
    vote(database, add_poll(database, room, ago="10 seconds"), "a")
    seen = {}
    for name, user in (("host", host), ("stranger", stranger)):
        with database.transaction(user_identity(user)) as tx:
            tables = ("rooms", "room_participants", "polls", "poll_votes")
            seen[name] = [len(tx.execute(f"SELECT 1 FROM {table}").fetchall()) for table in tables]  # noqa: S608 - the test's own
    assert seen == {"host": [1, 1, 1, 0], "stranger": [0, 0, 0, 0]}
    join = "INSERT INTO room_participants (room_id, user_id, display_name) VALUES (%s, %s, 'me')"
    with pytest.raises(psycopg.errors.InsufficientPrivilege), database.transaction(user_identity(stranger)) as tx:
        tx.execute(join, (room, stranger))
