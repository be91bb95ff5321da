"""Live recordings: tracks, parts, consents, saved moments, and the activity of the audience."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct
from psycopg.rows import class_row

from db.connection import Transaction

Source = Literal["microphone", "camera", "screen"]
Row = TypeVar("Row", bound=Struct)
ActivityKind = Literal["message", "reaction", "vote", "join", "memory"]


class NewLive(Struct, frozen=True, kw_only=True):
    """A recording to begin."""

    recording_id: UUID
    room_id: UUID
    user_id: UUID
    title: str
    filename: str
    content_type: str
    source_key: str


class LiveRow(Struct, frozen=True, kw_only=True):
    """A running or ended recording of a room."""

    id: UUID
    user_id: UUID
    room_id: UUID | None
    status: str
    live_started_at: datetime
    live_ended_at: datetime | None
    live_closes_at: datetime | None


class TrackRow(Struct, frozen=True, kw_only=True):
    """A row of `recording_tracks`."""

    id: UUID
    recording_id: UUID
    user_id: UUID
    source: Source
    content_type: str
    clock_offset_ms: int
    created_at: datetime


class PartRow(Struct, frozen=True, kw_only=True):
    """A row of `recording_parts`."""

    track_id: UUID
    number: int
    size_bytes: int
    start_ms: int
    duration_ms: int
    etag: str | None
    stored_at: datetime | None


class MemoryRow(Struct, frozen=True, kw_only=True):
    """A row of `memories`."""

    id: UUID
    user_id: UUID
    recording_id: UUID
    at_s: float
    label: str | None
    created_at: datetime


class ActivityRow(Struct, frozen=True, kw_only=True):
    """An activity in the room, in seconds from the recording's start."""

    at_s: float
    kind: ActivityKind
    number: int


LIVE_COLUMNS = "id, user_id, room_id, status, live_started_at, live_ended_at, live_closes_at"
TRACK_COLUMNS = "id, recording_id, user_id, source, content_type, clock_offset_ms, created_at"
PART_COLUMNS = "track_id, number, size_bytes, start_ms, duration_ms, etag, stored_at"

INSERT_LIVE = """
INSERT INTO recordings (id, user_id, title, filename, content_type, status, source_key, room_id, live_started_at)
VALUES (%(recording_id)s, %(user_id)s, %(title)s, %(filename)s, %(content_type)s, 'live', %(source_key)s, %(room_id)s,
        %(now)s)
"""
SET_RUNNING = "UPDATE rooms SET recording_id = %(recording_id)s, recording_started_at = %(now)s WHERE id = %(room_id)s"
CLEAR_RUNNING = """
UPDATE rooms SET recording_id = NULL, recording_started_at = NULL
WHERE id = %(room_id)s AND recording_id = %(recording_id)s RETURNING id
"""
FIND_LIVE = f"""
SELECT {LIVE_COLUMNS} FROM recordings WHERE id = %(recording_id)s AND live_started_at IS NOT NULL
"""  # noqa: S608 - the columns are a constant
# The lock keeps the recording from closing before the caller has committed.
LOCK_OPEN = f"""
SELECT {LIVE_COLUMNS} FROM recordings WHERE id = %(recording_id)s
  AND (status = 'live' OR status = 'processing' AND live_closes_at > clock_timestamp()) FOR SHARE
"""  # noqa: S608 - the columns are a constant
FIND_OF_ROOM = f"""
SELECT {LIVE_COLUMNS} FROM recordings WHERE room_id = %(room_id)s AND live_started_at IS NOT NULL
  AND status <> 'deleted' ORDER BY live_started_at DESC LIMIT 1
"""  # noqa: S608 - the columns are a constant
END_LIVE = f"""
UPDATE recordings SET status = 'processing', live_ended_at = now(), updated_at = now(),
    live_closes_at = now() + make_interval(secs => %(grace_s)s)
WHERE id = %(recording_id)s AND status = 'live' RETURNING {LIVE_COLUMNS}
"""  # noqa: S608 - the columns are a constant
CLOSE_LIVE = f"""
UPDATE recordings SET live_closes_at = greatest(live_ended_at, least(live_closes_at, now()))
WHERE id = %(recording_id)s AND live_closes_at IS NOT NULL RETURNING {LIVE_COLUMNS}
"""  # noqa: S608 - the columns are a constant
# Silent: no part was announced or stored for a while, or since the start if there never was one.
LIST_SILENT = """
SELECT r.id FROM recordings r WHERE r.status = 'live' AND greatest(r.live_started_at, (
    SELECT max(greatest(p.created_at, p.stored_at)) FROM recording_parts p
    JOIN recording_tracks t ON t.id = p.track_id WHERE t.recording_id = r.id
)) < now() - make_interval(secs => %(silent_s)s)
ORDER BY r.live_started_at LIMIT %(limit)s
"""
LIST_OLDEST = f"""
SELECT {LIVE_COLUMNS} FROM recordings
WHERE status = 'live' AND live_started_at < now() - make_interval(secs => %(age_s)s)
ORDER BY live_started_at LIMIT %(limit)s
"""  # noqa: S608 - the columns are a constant
UPSERT_CONSENT = """
INSERT INTO recording_consents (recording_id, user_id, given) VALUES (%(recording_id)s, %(user_id)s, %(given)s)
ON CONFLICT (recording_id, user_id) DO UPDATE SET given = excluded.given, answered_at = now()
"""
FIND_CONSENT = """
SELECT given FROM recording_consents WHERE recording_id = %(recording_id)s AND user_id = %(user_id)s
"""
CLEAR_CONSENTS = "UPDATE room_participants SET has_consented = false WHERE room_id = %(room_id)s AND has_consented"
COMPLETE_TRACKS = """
UPDATE recording_tracks SET completed_at = now()
WHERE recording_id = %(recording_id)s AND user_id = %(user_id)s AND completed_at IS NULL
"""
FIND_INCOMPLETE = (
    "SELECT 1 FROM recording_tracks WHERE recording_id = %(recording_id)s AND completed_at IS NULL LIMIT 1"
)
INSERT_TRACK = f"""
INSERT INTO recording_tracks (recording_id, user_id, source, content_type, clock_offset_ms, created_at)
VALUES (%(recording_id)s, %(user_id)s, %(source)s, %(content_type)s, %(clock_offset_ms)s, %(now)s)
RETURNING {TRACK_COLUMNS}
"""  # noqa: S608 - the columns are a constant
FIND_TRACK = f"""
SELECT {TRACK_COLUMNS} FROM recording_tracks WHERE id = %(track_id)s AND recording_id = %(recording_id)s
"""  # noqa: S608 - the columns are a constant
LIST_TRACKS = f"""
SELECT {TRACK_COLUMNS} FROM recording_tracks WHERE recording_id = %(recording_id)s ORDER BY created_at, id
"""  # noqa: S608 - the columns are a constant
UPSERT_PART = f"""
INSERT INTO recording_parts (track_id, number, size_bytes, start_ms, duration_ms)
VALUES (%(track_id)s, %(number)s, %(size_bytes)s, %(start_ms)s, %(duration_ms)s)
ON CONFLICT (track_id, number) DO UPDATE
    SET size_bytes = excluded.size_bytes, start_ms = excluded.start_ms, duration_ms = excluded.duration_ms
    WHERE recording_parts.stored_at IS NULL
RETURNING {PART_COLUMNS}
"""  # noqa: S608 - the columns are a constant
FIND_PART = f"""
SELECT {PART_COLUMNS} FROM recording_parts WHERE track_id = %(track_id)s AND number = %(number)s
"""  # noqa: S608 - the columns are a constant
SET_STORED = f"""
UPDATE recording_parts SET etag = %(etag)s, stored_at = coalesce(stored_at, now())
WHERE track_id = %(track_id)s AND number = %(number)s RETURNING {PART_COLUMNS}
"""  # noqa: S608 - the columns are a constant
LIST_PARTS = f"""
SELECT {PART_COLUMNS} FROM recording_parts WHERE track_id = ANY(%(track_ids)s) AND stored_at IS NOT NULL
ORDER BY track_id, number
"""  # noqa: S608 - the columns are a constant
# Ranges of consecutive numbers: the difference between a number and its rank is constant in each.
LIST_RANGES = """
SELECT track_id, min(number) AS first, max(number) AS last FROM (
    SELECT track_id, number, number - row_number() OVER (PARTITION BY track_id ORDER BY number) AS island
    FROM recording_parts WHERE track_id = ANY(%(track_ids)s) AND stored_at IS NOT NULL
) AS numbered GROUP BY track_id, island ORDER BY track_id, first
"""
SUM_STORED = """
SELECT coalesce(max(seconds), 0)::double precision AS seconds, coalesce(sum(bytes), 0)::bigint AS bytes FROM (
    SELECT sum(p.duration_ms) / 1000.0 AS seconds, sum(p.size_bytes) AS bytes FROM recording_parts p
    JOIN recording_tracks t ON t.id = p.track_id
    WHERE t.recording_id = %(recording_id)s AND p.stored_at IS NOT NULL GROUP BY t.user_id, t.source
) AS tracks
"""
INSERT_MEMORY = """
INSERT INTO memories (user_id, recording_id, at_s, label) VALUES (%(user_id)s, %(recording_id)s, %(at_s)s, %(label)s)
RETURNING id, user_id, recording_id, at_s, label, created_at
"""
INSERT_ACTIVITY = """
INSERT INTO recording_activity (recording_id, kind, number)
SELECT recording_id, %(kind)s, %(number)s FROM rooms WHERE id = %(room_id)s AND recording_id IS NOT NULL
"""
LIST_ACTIVITY = """
SELECT extract(epoch FROM a.at - r.live_started_at)::double precision AS at_s, a.kind, a.number
FROM recording_activity a JOIN recordings r ON r.id = a.recording_id
WHERE a.recording_id = %(recording_id)s AND a.at >= r.live_started_at ORDER BY a.at, a.id
"""


LIST_TOLD = """
SELECT (payload -> 'highlight' ->> 'coreStartS')::double precision AS start_s,
    (payload -> 'highlight' ->> 'coreEndS')::double precision AS end_s
FROM room_events WHERE room_id = %(room_id)s AND type = 'highlight:detected'
  AND payload ->> 'recordingId' = %(recording_id)s
"""


def begin(tx: Transaction, new: NewLive, *, now: datetime) -> None:
    """Insert a recording that begins now; the caller has locked the room's row."""
    values = {**msgspec.structs.asdict(new), "now": now}
    tx.execute(INSERT_LIVE, values)
    tx.execute(SET_RUNNING, values)
    tx.execute(CLEAR_CONSENTS, values)


def find_live(tx: Transaction, recording_id: UUID) -> LiveRow | None:
    """Return a recording of a room."""
    return _one(tx, LiveRow, FIND_LIVE, {"recording_id": recording_id})


def lock_open(tx: Transaction, recording_id: UUID) -> LiveRow | None:
    """Return a recording that accepts parts, locked until the transaction ends; None for others."""
    return _one(tx, LiveRow, LOCK_OPEN, {"recording_id": recording_id})


def find_of_room(tx: Transaction, room_id: UUID) -> LiveRow | None:
    """Return the newest recording of a room."""
    return _one(tx, LiveRow, FIND_OF_ROOM, {"room_id": room_id})


def end_live(tx: Transaction, recording_id: UUID, *, grace_s: float) -> LiveRow | None:
    """Change live → processing, and accept parts for a while; None if it was not live."""
    return _one(tx, LiveRow, END_LIVE, {"recording_id": recording_id, "grace_s": grace_s})


def close_live(tx: Transaction, recording_id: UUID) -> LiveRow | None:
    """Close a recording to parts; None if it has not ended."""
    return _one(tx, LiveRow, CLOSE_LIVE, {"recording_id": recording_id})


def clear_running(tx: Transaction, *, room_id: UUID, recording_id: UUID) -> bool:
    """Record that a room has stopped recording; False if this was not its recording."""
    found = tx.execute(CLEAR_RUNNING, {"room_id": room_id, "recording_id": recording_id}).fetchone()
    return found is not None


def list_silent(tx: Transaction, *, silent_s: float, limit: int) -> list[UUID]:
    """List running recordings that got no parts for a while."""
    return [row["id"] for row in tx.execute(LIST_SILENT, {"silent_s": silent_s, "limit": limit})]


def list_oldest(tx: Transaction, *, age_s: float, limit: int) -> list[LiveRow]:
    """List recordings that have been running for at least that long, oldest first."""
    with tx.cursor(row_factory=class_row(LiveRow)) as cursor:
        return cursor.execute(LIST_OLDEST, {"age_s": age_s, "limit": limit}).fetchall()


def set_consent(tx: Transaction, *, recording_id: UUID, user_id: UUID, given: bool) -> None:
    """Store a person's answer; the newest counts."""
    tx.execute(UPSERT_CONSENT, {"recording_id": recording_id, "user_id": user_id, "given": given})


def has_consented(tx: Transaction, *, recording_id: UUID, user_id: UUID) -> bool:
    """Return whether a person has agreed to being recorded."""
    row = tx.execute(FIND_CONSENT, {"recording_id": recording_id, "user_id": user_id}).fetchone()
    return bool(row and row["given"])


def insert_track(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction,
    *,
    recording_id: UUID,
    user_id: UUID,
    source: Source,
    content_type: str,
    clock_offset_ms: int,
    now: datetime,
) -> TrackRow:
    """Insert a track that began now."""
    values = {
        "recording_id": recording_id,
        "user_id": user_id,
        "source": source,
        "content_type": content_type,
        "clock_offset_ms": clock_offset_ms,
        "now": now,
    }
    track = _one(tx, TrackRow, INSERT_TRACK, values)
    assert track is not None  # noqa: S101 - an insert returns its row or raises
    return track


def find_track(tx: Transaction, *, recording_id: UUID, track_id: UUID) -> TrackRow | None:
    """Return a track of a recording."""
    return _one(tx, TrackRow, FIND_TRACK, {"recording_id": recording_id, "track_id": track_id})


def list_tracks(tx: Transaction, recording_id: UUID) -> list[TrackRow]:
    """List a recording's tracks, oldest first."""
    with tx.cursor(row_factory=class_row(TrackRow)) as cursor:
        return cursor.execute(LIST_TRACKS, {"recording_id": recording_id}).fetchall()


def complete_tracks(tx: Transaction, *, recording_id: UUID, user_id: UUID) -> None:
    """Mark a person's tracks as complete."""
    tx.execute(COMPLETE_TRACKS, {"recording_id": recording_id, "user_id": user_id})


def is_complete(tx: Transaction, recording_id: UUID) -> bool:
    """Return whether every track of a recording is complete."""
    return tx.execute(FIND_INCOMPLETE, {"recording_id": recording_id}).fetchone() is None


def upsert_part(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction, *, track_id: UUID, number: int, size_bytes: int, start_ms: int, duration_ms: int
) -> PartRow | None:
    """Announce a part, possibly again; None if it is stored already."""
    values = {
        "track_id": track_id,
        "number": number,
        "size_bytes": size_bytes,
        "start_ms": start_ms,
        "duration_ms": duration_ms,
    }
    return _one(tx, PartRow, UPSERT_PART, values)


def find_part(tx: Transaction, *, track_id: UUID, number: int) -> PartRow | None:
    """Return an announced part."""
    return _one(tx, PartRow, FIND_PART, {"track_id": track_id, "number": number})


def set_stored(tx: Transaction, *, track_id: UUID, number: int, etag: str) -> PartRow | None:
    """Mark a part as stored; None if it was never announced."""
    return _one(tx, PartRow, SET_STORED, {"track_id": track_id, "number": number, "etag": etag})


def list_parts(tx: Transaction, track_ids: Sequence[UUID]) -> list[PartRow]:
    """List the stored parts of tracks, by track and number."""
    with tx.cursor(row_factory=class_row(PartRow)) as cursor:
        return cursor.execute(LIST_PARTS, {"track_ids": list(track_ids)}).fetchall()


def list_ranges(tx: Transaction, track_ids: Sequence[UUID]) -> dict[UUID, list[tuple[int, int]]]:
    """Return the stored numbers of tracks as ranges (first, last)."""
    ranges: dict[UUID, list[tuple[int, int]]] = {track_id: [] for track_id in track_ids}
    for row in tx.execute(LIST_RANGES, {"track_ids": list(track_ids)}):
        ranges[row["track_id"]].append((row["first"], row["last"]))
    return ranges


def sum_stored(tx: Transaction, recording_id: UUID) -> tuple[float, int]:
    """Return the most seconds stored for one device, over all its tracks, and the bytes of the whole recording."""
    row = tx.execute(SUM_STORED, {"recording_id": recording_id}).fetchone()
    return (row["seconds"], row["bytes"]) if row else (0.0, 0)


def insert_memory(tx: Transaction, *, user_id: UUID, recording_id: UUID, at_s: float, label: str | None) -> MemoryRow:
    """Save a moment."""
    values = {"user_id": user_id, "recording_id": recording_id, "at_s": at_s, "label": label}
    memory = _one(tx, MemoryRow, INSERT_MEMORY, values)
    assert memory is not None  # noqa: S101 - an insert returns its row or raises
    return memory


def add_activity(tx: Transaction, *, room_id: UUID, kind: ActivityKind, number: int = 1) -> None:
    """Store people's activity for the running recording of a room, if any."""
    tx.execute(INSERT_ACTIVITY, {"room_id": room_id, "kind": kind, "number": number})


def list_activity(tx: Transaction, recording_id: UUID) -> list[ActivityRow]:
    """List people's activity during a recording, in order."""
    with tx.cursor(row_factory=class_row(ActivityRow)) as cursor:
        return cursor.execute(LIST_ACTIVITY, {"recording_id": recording_id}).fetchall()


def list_told(tx: Transaction, *, room_id: UUID, recording_id: UUID) -> list[tuple[float, float]]:
    """List the cores of the provisional highlights of a recording, in seconds."""
    found = tx.execute(LIST_TOLD, {"room_id": room_id, "recording_id": str(recording_id)})
    return [(row["start_s"], row["end_s"]) for row in found]


def _one(tx: Transaction, kind: type[Row], statement: str, values: dict[str, Any]) -> Row | None:
    with tx.cursor(row_factory=class_row(kind)) as cursor:
        return cursor.execute(statement, values).fetchone()
