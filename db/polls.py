"""Polls: questions to a room, ballots, and their end."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.connection import Transaction

PollType = Literal["topic", "personality", "question", "reaction"]
PollStatus = Literal["active", "closed", "expired"]
Visibility = Literal["live", "after_vote", "after_close", "on_reveal"]


class OptionRow(Struct, frozen=True, kw_only=True):
    """An option of a poll."""

    id: str
    text: str


class PollRow(Struct, frozen=True, kw_only=True):
    """A row of `polls`; `server_now` is the time at which it was read."""

    id: UUID
    room_id: UUID
    created_by: UUID
    poll_type: PollType
    question: str
    options: list[dict[str, Any]]
    duration_seconds: int
    is_anonymous: bool
    status: PollStatus
    created_at: datetime
    ends_at: datetime
    closed_at: datetime | None
    version: int
    results_visibility: Visibility
    revealed_at: datetime | None
    archived_results: dict[str, int] | None
    server_now: datetime


class VoterKey(Struct, frozen=True, kw_only=True):
    """The key of a person's ballot: their id, or in an anonymous poll its keyed hash."""

    user_id: UUID | None = None
    voter_hash: bytes | None = None


COLUMNS = """id, room_id, created_by, poll_type, question, options, duration_seconds, is_anonymous, status, created_at,
ends_at, closed_at, version, results_visibility, revealed_at, archived_results, clock_timestamp() AS server_now"""

INSERT_POLL = f"""
INSERT INTO polls (room_id, created_by, poll_type, question, options, duration_seconds, is_anonymous,
                   results_visibility, ends_at)
VALUES (%(room_id)s, %(created_by)s, %(poll_type)s, %(question)s, %(options)s, %(duration_seconds)s::integer,
        %(is_anonymous)s, %(results_visibility)s, now() + make_interval(secs => %(duration_seconds)s::integer))
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
FIND_POLL = f"SELECT {COLUMNS} FROM polls WHERE id = %(poll_id)s"  # noqa: S608 - the columns are a constant
LIST_ACTIVE = f"""
SELECT {COLUMNS} FROM polls WHERE room_id = %(room_id)s AND status = 'active' ORDER BY created_at DESC, id DESC
"""  # noqa: S608 - the columns are a constant
COUNT_ACTIVE = "SELECT count(*) AS polls FROM polls WHERE room_id = %(room_id)s AND status = 'active'"
LIST_ENDED = f"""
SELECT {COLUMNS} FROM polls WHERE room_id = %(room_id)s AND status <> 'active'
    AND (%(before_at)s::timestamptz IS NULL OR (created_at, id) < (%(before_at)s, %(before_id)s::uuid))
ORDER BY created_at DESC, id DESC LIMIT %(limit)s
"""  # noqa: S608 - the columns are a constant
INSERT_KEY = "INSERT INTO poll_keys (poll_id, key) VALUES (%(poll_id)s, %(key)s) ON CONFLICT (poll_id) DO NOTHING"
FIND_KEY = "SELECT key FROM poll_keys WHERE poll_id = %(poll_id)s"
DELETE_KEY = "DELETE FROM poll_keys WHERE poll_id = %(poll_id)s"

# Locks the row, so that votes and the end of a poll happen one after the other.
OPEN_FOR_VOTE = """
UPDATE polls SET version = version + 1 WHERE id = %(poll_id)s AND status = 'active' AND ends_at > clock_timestamp()
RETURNING version
"""
# In an anonymous poll, ballots get the poll's own times: the time of a vote would reveal the voter.
UPSERT_VOTE = """
INSERT INTO poll_votes (poll_id, room_id, user_id, voter_hash, option_id, created_at, updated_at)
VALUES (%(poll_id)s, %(room_id)s, %(user_id)s, %(voter_hash)s, %(option_id)s, coalesce(%(at)s, now()),
        coalesce(%(at)s, now()))
ON CONFLICT ON CONSTRAINT poll_votes_once DO UPDATE
    SET option_id = excluded.option_id, updated_at = excluded.updated_at
"""
FIND_VOTE = """
SELECT option_id FROM poll_votes
WHERE poll_id = %(poll_id)s AND (user_id = %(user_id)s OR voter_hash = %(voter_hash)s)
"""
LIST_VOTERS = "SELECT user_id, voter_hash FROM poll_votes WHERE poll_id = %(poll_id)s"
COUNT_VOTES = "SELECT option_id, count(*) AS votes FROM poll_votes WHERE poll_id = %(poll_id)s GROUP BY option_id"
DELETE_VOTES = "DELETE FROM poll_votes WHERE poll_id = %(poll_id)s"
INSERT_UPVOTE = """
INSERT INTO poll_upvotes (poll_id, option_id, room_id, user_id, voter_hash)
VALUES (%(poll_id)s, %(option_id)s, %(room_id)s, %(user_id)s, %(voter_hash)s)
ON CONFLICT ON CONSTRAINT poll_upvotes_once DO NOTHING
RETURNING option_id
"""
COUNT_UPVOTES = "SELECT option_id, count(*) AS upvotes FROM poll_upvotes WHERE poll_id = %(poll_id)s GROUP BY option_id"
DELETE_UPVOTES = "DELETE FROM poll_upvotes WHERE poll_id = %(poll_id)s"
SET_OPTIONS = "UPDATE polls SET options = %(options)s WHERE id = %(poll_id)s"
CLOSE = f"""
UPDATE polls SET status = 'closed', closed_at = now(), version = version + 1
WHERE id = %(poll_id)s AND status = 'active' RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
EXPIRE = f"""
UPDATE polls SET status = 'expired', closed_at = ends_at, version = version + 1
WHERE id = %(poll_id)s AND status = 'active' AND ends_at <= clock_timestamp() RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
REOPEN = f"""
UPDATE polls SET status = 'active', closed_at = NULL, version = version + 1, revealed_at = NULL,
    ends_at = now() + make_interval(secs => duration_seconds)
WHERE id = %(poll_id)s AND status = 'closed' AND archived_results IS NULL RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
RESET = f"""
UPDATE polls SET version = version + 1, revealed_at = NULL
WHERE id = %(poll_id)s AND archived_results IS NULL RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
REVEAL = f"""
UPDATE polls SET revealed_at = now(), version = version + 1
WHERE id = %(poll_id)s AND revealed_at IS NULL RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
LIST_DUE = """
SELECT id, room_id FROM polls WHERE status = 'active' AND ends_at <= clock_timestamp() ORDER BY ends_at LIMIT %(limit)s
"""
NOTIFY_VOTES = "SELECT pg_notify('poll_votes', %(payload)s)"

CLOSE_OF_ROOMS = """
WITH ended AS (
    UPDATE polls SET status = 'closed', closed_at = now(), version = version + 1
    WHERE status = 'active' AND room_id = ANY(%(room_ids)s) RETURNING id
), forgotten AS (
    DELETE FROM poll_keys USING ended WHERE poll_keys.poll_id = ended.id
)
SELECT id FROM ended
"""
ARCHIVE = """
WITH old AS (
    SELECT id FROM polls
    WHERE status <> 'active' AND archived_results IS NULL AND closed_at < now() - make_interval(days => %(days)s)
    ORDER BY closed_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), counts AS (
    SELECT poll_id, option_id, count(*) AS ballots FROM poll_votes WHERE poll_id IN (SELECT id FROM old) GROUP BY 1, 2
)
UPDATE polls SET archived_results = coalesce(
    (SELECT jsonb_object_agg(option_id, ballots) FROM counts WHERE poll_id = polls.id), '{}'
)
FROM old WHERE polls.id = old.id
RETURNING polls.id
"""
FORGET_BALLOTS = "DELETE FROM poll_votes WHERE poll_id = ANY(%(poll_ids)s)"


def insert_poll(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction,
    *,
    room_id: UUID,
    created_by: UUID,
    poll_type: PollType,
    question: str,
    options: Sequence[OptionRow],
    duration_seconds: int,
    is_anonymous: bool,
    results_visibility: Visibility,
) -> PollRow:
    """Insert an active poll."""
    parameters = {
        "room_id": room_id,
        "created_by": created_by,
        "poll_type": poll_type,
        "question": question,
        "options": _json(options),
        "duration_seconds": duration_seconds,
        "is_anonymous": is_anonymous,
        "results_visibility": results_visibility,
    }
    found = _one(tx, INSERT_POLL, parameters)
    assert found is not None  # noqa: S101 - INSERT … RETURNING returns its row or raises
    return found


def find_poll(tx: Transaction, poll_id: UUID) -> PollRow | None:
    """Return a poll."""
    return _one(tx, FIND_POLL, {"poll_id": poll_id})


def list_active(tx: Transaction, room_id: UUID) -> list[PollRow]:
    """List the active polls of a room, newest first."""
    with tx.cursor(row_factory=class_row(PollRow)) as cursor:
        return cursor.execute(LIST_ACTIVE, {"room_id": room_id}).fetchall()


def count_active(tx: Transaction, room_id: UUID) -> int:
    """Count the active polls of a room."""
    row = tx.execute(COUNT_ACTIVE, {"room_id": room_id}).fetchone()
    return int(row["polls"]) if row else 0


def list_ended(tx: Transaction, *, room_id: UUID, before: tuple[datetime, UUID] | None, limit: int) -> list[PollRow]:
    """List the ended polls of a room, newest first."""
    before_at, before_id = before or (None, None)
    parameters = {"room_id": room_id, "before_at": before_at, "before_id": before_id, "limit": limit}
    with tx.cursor(row_factory=class_row(PollRow)) as cursor:
        return cursor.execute(LIST_ENDED, parameters).fetchall()


def insert_key(tx: Transaction, *, poll_id: UUID, key: bytes) -> None:
    """Store the key of an anonymous poll's voters, until it closes."""
    tx.execute(INSERT_KEY, {"poll_id": poll_id, "key": key})


def find_key(tx: Transaction, poll_id: UUID) -> bytes | None:
    """Return the key of an anonymous poll's voters; None once it has closed."""
    row = tx.execute(FIND_KEY, {"poll_id": poll_id}).fetchone()
    return bytes(row["key"]) if row else None


def delete_key(tx: Transaction, poll_id: UUID) -> None:
    """Delete the key, so that nobody can tell who cast a ballot."""
    tx.execute(DELETE_KEY, {"poll_id": poll_id})


def open_for_vote(tx: Transaction, poll_id: UUID) -> int | None:
    """Lock an active poll and return its new version; None if it has ended."""
    row = tx.execute(OPEN_FOR_VOTE, {"poll_id": poll_id}).fetchone()
    return int(row["version"]) if row else None


def upsert_vote(tx: Transaction, *, poll: PollRow, voter: VoterKey, option_id: str) -> None:
    """Insert or change a person's ballot; the caller holds the poll's lock."""
    parameters = {
        "poll_id": poll.id,
        "room_id": poll.room_id,
        "user_id": voter.user_id,
        "voter_hash": voter.voter_hash,
        "option_id": option_id,
        "at": poll.created_at if poll.is_anonymous else None,
    }
    tx.execute(UPSERT_VOTE, parameters)


def find_vote(tx: Transaction, *, poll_id: UUID, voter: VoterKey) -> str | None:
    """Return the option that a person chose."""
    parameters = {"poll_id": poll_id, "user_id": voter.user_id, "voter_hash": voter.voter_hash}
    row = tx.execute(FIND_VOTE, parameters).fetchone()
    return row["option_id"] if row else None


def list_voters(tx: Transaction, poll_id: UUID) -> list[VoterKey]:
    """List the voters."""
    with tx.cursor(row_factory=class_row(VoterKey)) as cursor:
        return cursor.execute(LIST_VOTERS, {"poll_id": poll_id}).fetchall()


def count_votes(tx: Transaction, poll_id: UUID) -> dict[str, int]:
    """Count the ballots by option."""
    return {row["option_id"]: row["votes"] for row in tx.execute(COUNT_VOTES, {"poll_id": poll_id})}


def insert_upvote(tx: Transaction, *, poll: PollRow, voter: VoterKey, option_id: str) -> bool:
    """Insert a person's upvote of an option; False if it exists."""
    parameters = {
        "poll_id": poll.id,
        "room_id": poll.room_id,
        "option_id": option_id,
        "user_id": voter.user_id,
        "voter_hash": voter.voter_hash,
    }
    return tx.execute(INSERT_UPVOTE, parameters).fetchone() is not None


def count_upvotes(tx: Transaction, poll_id: UUID) -> dict[str, int]:
    """Count the upvotes by option."""
    return {row["option_id"]: row["upvotes"] for row in tx.execute(COUNT_UPVOTES, {"poll_id": poll_id})}


def set_options(tx: Transaction, *, poll_id: UUID, options: Sequence[OptionRow]) -> None:
    """Replace the options of a poll whose lock is held."""
    tx.execute(SET_OPTIONS, {"poll_id": poll_id, "options": _json(options)})


def close(tx: Transaction, poll_id: UUID) -> PollRow | None:
    """Change active → closed; None if it has ended already."""
    return _one(tx, CLOSE, {"poll_id": poll_id})


def expire(tx: Transaction, poll_id: UUID) -> PollRow | None:
    """Change active → expired if its time is over; None otherwise."""
    return _one(tx, EXPIRE, {"poll_id": poll_id})


def reopen(tx: Transaction, poll_id: UUID) -> PollRow | None:
    """Change closed → active, for its whole duration; None if it is not closed, or archived."""
    return _one(tx, REOPEN, {"poll_id": poll_id})


def reset(tx: Transaction, poll_id: UUID) -> PollRow | None:
    """Delete the ballots and hide the results again; None if the poll is archived."""
    found = _one(tx, RESET, {"poll_id": poll_id})
    if found is not None:
        tx.execute(DELETE_VOTES, {"poll_id": poll_id})
        tx.execute(DELETE_UPVOTES, {"poll_id": poll_id})
    return found


def reveal(tx: Transaction, poll_id: UUID) -> PollRow | None:
    """Reveal the results; None if they are visible already."""
    return _one(tx, REVEAL, {"poll_id": poll_id})


def list_due(tx: Transaction, *, limit: int) -> list[tuple[UUID, UUID]]:
    """List active polls whose time is over, with their rooms."""
    return [(row["id"], row["room_id"]) for row in tx.execute(LIST_DUE, {"limit": limit})]


def notify_votes(tx: Transaction, *, room_id: UUID, poll_id: UUID) -> None:
    """Notify every process with members of the room, on commit."""
    tx.execute(NOTIFY_VOTES, {"payload": f"{room_id} {poll_id}"})


def close_of_rooms(tx: Transaction, room_ids: Sequence[UUID]) -> int:
    """Close the active polls of these rooms; return how many."""
    return len(tx.execute(CLOSE_OF_ROOMS, {"room_ids": list(room_ids)}).fetchall())


def archive(tx: Transaction, *, days: int, limit: int) -> int:
    """Delete the ballots of polls that ended at least that long ago, and keep the counts; return how many."""
    archived = [row["id"] for row in tx.execute(ARCHIVE, {"days": days, "limit": limit})]
    if archived:
        tx.execute(FORGET_BALLOTS, {"poll_ids": archived})
    return len(archived)


def _one(tx: Transaction, statement: str, parameters: dict[str, Any]) -> PollRow | None:
    with tx.cursor(row_factory=class_row(PollRow)) as cursor:
        return cursor.execute(statement, parameters).fetchone()


def _json(options: Sequence[OptionRow]) -> Jsonb:
    return Jsonb([{"id": option.id, "text": option.text} for option in options])
