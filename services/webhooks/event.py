"""Events about an owner's recordings and clips, written in the transaction that causes them.

So no event is lost, and none is sent for a change that was rolled back. Each goes to the owner's webhooks, and to
every client that follows `GET /api/events`. The data has ids and states, never URLs of files or keys of storage.
"""

from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from db import events as rows
from db.clips import Clip
from db.connection import Transaction, as_service
from db.events import EventRow
from db.recordings import Recording
from services.errors import InvalidFieldError
from services.process.tracing import current_trace_id
from services.webhooks import delivery as deliveries
from services.webhooks import service as webhooks

__all__ = ["EventRow", "Feed"]

FEED_BATCH = 100
SETTLE_S = 10.0
"""Longer than any transaction that records an event: a number that is missing after this never appears."""
OBJECT_FIELDS = ("content_type", "size_bytes", "duration_s", "width", "height")


class Feed(Struct, kw_only=True):
    """The position of a follower: it has read everything up to `floor`, and the higher numbers in `seen`."""

    floor: int
    seen: list[int] = []


def recording_ready(tx: Transaction, recording: Recording) -> None:
    """Record that a recording can be cut and its highlights listed."""
    _record(tx, "recording.ready", recording_data(recording), recording=recording)


def recording_failed(tx: Transaction, recording: Recording) -> None:
    """Record that a recording could not be fetched or read, and why."""
    _record(tx, "recording.failed", recording_data(recording), recording=recording)


def highlights_ready(tx: Transaction, recording: Recording, *, count: int) -> None:
    """Record that a recording was scored, and the number of stored highlights."""
    data = {"recording": {"id": recording.id, "title": recording.title}, "highlights": {"count": count}}
    _record(tx, "highlights.ready", data, recording=recording)


def clip_completed(tx: Transaction, clip: Clip) -> None:
    """Record that a clip can be downloaded."""
    _record(tx, "clip.completed", clip_data(clip), clip=clip)


def clip_failed(tx: Transaction, clip: Clip) -> None:
    """Record that a clip could not be made, and why."""
    _record(tx, "clip.failed", clip_data(clip), clip=clip)


def clip_expired(tx: Transaction, clip: Clip) -> None:
    """Record that a clip's files were deleted at the end of their retention."""
    _record(tx, "clip.expired", clip_data(clip), clip=clip)


def recording_data(recording: Recording) -> dict[str, Any]:
    """Return an event's data about a recording."""
    return {
        "recording": {
            "id": recording.id,
            "title": recording.title,
            "status": recording.status,
            "duration_s": recording.duration_s,
            "has_audio": recording.has_audio,
            "has_video": recording.has_video,
            "error": recording.error,
            "created_at": recording.created_at,
        }
    }


def clip_data(clip: Clip) -> dict[str, Any]:
    """Return an event's data about a clip."""
    return {
        "clip": {
            "id": clip.id,
            "recording_id": clip.recording_id,
            "title": clip.title,
            "status": clip.status,
            "start_s": clip.start_s,
            "end_s": clip.end_s,
            "preset": clip.preset,
            "formats": {
                name: {field: item.get(field) for field in OBJECT_FIELDS} for name, item in clip.objects.items()
            },
            "error": clip.error,
            "created_at": clip.created_at,
            "completed_at": clip.completed_at,
            "expires_at": clip.expires_at,
        }
    }


def follow(tx: Transaction, *, user_id: UUID, last_event_id: str | None) -> Feed:
    """Begin to follow an owner's events: from now on, or after the event that a client has seen last.

    Numbers are assigned before a transaction commits, so an event may become visible after one with a higher number.
    Events younger than SETTLE_S are therefore read again: a client that resumes may get an event twice, but misses
    none. InvalidFieldError if the id is unknown.
    """
    if last_event_id is None:
        newest = rows.last_seq(tx, user_id=user_id)
        floor = rows.settled_seq(tx, user_id=user_id, seq=newest, settle_s=SETTLE_S)
        young = rows.list_after(tx, user_id=user_id, after=floor, seen=[], limit=FEED_BATCH)
        return Feed(floor=floor, seen=[event.seq for event in young])
    if not last_event_id.isascii() or not last_event_id.isdigit() or int(last_event_id) >= 2**63:
        raise InvalidFieldError("Last-Event-ID", "This is not the id of an event; leave it out to begin with now.")
    seq = int(last_event_id)
    return Feed(floor=rows.settled_seq(tx, user_id=user_id, seq=seq, settle_s=SETTLE_S), seen=[seq])


def read(tx: Transaction, feed: Feed, *, user_id: UUID) -> list[EventRow]:
    """Return the next events of a follower, oldest first, and record that they were read."""
    found = rows.list_after(tx, user_id=user_id, after=feed.floor, seen=feed.seen, limit=FEED_BATCH)
    feed.seen += [event.seq for event in found]
    if feed.seen:
        feed.floor = max(feed.floor, rows.settled_seq(tx, user_id=user_id, seq=max(feed.seen), settle_s=SETTLE_S))
    feed.seen = [seq for seq in feed.seen if seq > feed.floor]
    return found


def _record(
    tx: Transaction,
    type: webhooks.EventType,  # noqa: A002 - the field's name in every message
    data: dict[str, Any],
    *,
    recording: Recording | None = None,
    clip: Clip | None = None,
) -> None:
    """Write the event and queue its deliveries, in a transaction of any identity."""
    subject = clip or recording
    assert subject is not None  # noqa: S101 - every event of ours is about one of the two
    with as_service(tx):
        event = rows.insert_event(
            tx,
            user_id=subject.user_id,
            type=type,
            data=msgspec.to_builtins(data),
            recording_id=clip.recording_id if clip else subject.id,
            clip_id=clip.id if clip else None,
            trace_id=current_trace_id(),
        )
        deliveries.offer(tx, event)
