"""Live recordings, apart from requests: their end, the times of their parts, and workers' messages to the room."""

from collections.abc import Mapping, Sequence
from typing import Literal
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from db import jobs as job_rows
from db import live_recordings as rows
from db import recordings as recording_rows
from db import rooms as room_rows
from db.connection import Transaction
from db.live_recordings import LiveRow, PartRow, TrackRow
from db.rooms import RoomRow
from pipeline.types import ActivityEvent, Highlight
from services.billing import quota as quotas
from services.errors import ConflictError, NotFoundError
from services.jobs import service as jobs
from services.jobs.service import Job
from services.rooms import event as events

COUNTED_S = 10.0
"""A recording counts as a conversation once this much of it is stored."""
FINALISE = "finalise_live"
GRACE_S = 30.0
"""How long parts are accepted after the stop, unless everybody has sent all before."""
PROVISIONAL_SENSITIVITY = 0.7
NEAR_S = 5.0
"""A moment whose beginning alone was heard is found again, later and longer: so near to the first it is the same."""
CLOCK_SLACK_S = 60.0
"""If a part's time lies further than this outside the recording, it is read as time since the track began."""


SIGNALS: Mapping[rows.ActivityKind, Literal["message", "reaction", "vote", "join", "mark"]] = {
    "message": "message",
    "reaction": "reaction",
    "vote": "vote",
    "join": "join",
    "memory": "mark",
}


class Ended(Struct, frozen=True, kw_only=True):
    """A live recording that has ended, and the job that makes one file of it."""

    recording_id: UUID
    user_id: UUID
    job: Job


class Tracks(Struct, frozen=True, kw_only=True):
    """The tracks of a recording with their stored parts, by number."""

    live: LiveRow
    tracks: list[TrackRow]
    parts: dict[UUID, list[PartRow]]

    def loudest(self) -> TrackRow | None:
        """Return the track with most stored sound; None while none has any."""
        having = [track for track in self.tracks if any(part.size_bytes for part in self.parts.get(track.id, []))]
        return max(having, key=lambda track: sum(p.duration_ms for p in self.parts[track.id]), default=None)

    def newest(self, track: TrackRow, *, seconds: float) -> list[PartRow]:
        """Return the last parts of a track with this total length, or all of them."""
        chosen: list[PartRow] = []
        for part in reversed(self.parts[track.id]):
            chosen.append(part)
            if sum(each.duration_ms for each in chosen) >= seconds * 1000:
                break
        return chosen[::-1]

    def start_s(self, track: TrackRow, part: PartRow) -> float:
        """Return where a part begins, in seconds from the recording's start.

        Its time is on the clock of `client_now_ms`, or in milliseconds since its track began: whichever lies within the
        recording. So a wrong or jumping clock moves no part out of it.
        """
        zero = self.live.live_started_at
        by_clock = (part.start_ms + track.clock_offset_ms) / 1000 - zero.timestamp()
        end = self.live.live_ended_at or part.stored_at or track.created_at
        if -CLOCK_SLACK_S <= by_clock <= (end - zero).total_seconds() + CLOCK_SLACK_S:
            return by_clock
        return (track.created_at - zero).total_seconds() + max(0.0, part.start_ms / 1000)

    def end_s(self, track: TrackRow, part: PartRow) -> float:
        """Return where a part ends, in seconds from the recording's start."""
        return self.start_s(track, part) + part.duration_ms / 1000


def settle(tx: Transaction, live: LiveRow, *, is_closed: bool = False) -> None:
    """Count the conversation once enough of it is stored; until then it stays reserved."""
    seconds, _ = rows.sum_stored(tx, live.id)
    if seconds >= COUNTED_S:
        quotas.commit(tx, subject_id=live.id)
    elif is_closed:
        quotas.release(tx, subject_id=live.id)


def stop_running(tx: Transaction, room: RoomRow, *, grace_s: float = GRACE_S) -> Ended | None:
    """Stop the running recording of a locked room and tell everybody; None if none is running."""
    if room.recording_id is None:
        return None
    recording_id = room.recording_id
    rows.clear_running(tx, room_id=room.id, recording_id=recording_id)
    seq = events.next_seq(tx, room.id)
    events.append(tx, events.RecordingStopped(room_id=room.id, seq=seq, recording_id=recording_id))
    return end(tx, recording_id, grace_s=grace_s)


def end(tx: Transaction, recording_id: UUID, *, grace_s: float = GRACE_S) -> Ended | None:
    """Change live → processing and queue the job that joins the tracks; None when it was not live.

    The job is due when the recording accepts no more parts: after a grace period, or once all tracks are complete.
    """
    if rows.is_complete(tx, recording_id):
        grace_s = 0.0
    live = rows.end_live(tx, recording_id, grace_s=grace_s)
    if live is None:
        return None
    settle(tx, live, is_closed=not grace_s)
    job = jobs.enqueue(
        tx, kind=FINALISE, user_id=live.user_id, recording_id=live.id, run_at=live.live_closes_at if grace_s else None
    )
    return Ended(recording_id=live.id, user_id=live.user_id, job=job)


def complete(tx: Transaction, live: LiveRow, *, user_id: UUID) -> None:
    """Mark a person's tracks as complete; once all are, an ended recording closes."""
    rows.complete_tracks(tx, recording_id=live.id, user_id=user_id)
    if live.status == "processing" and rows.is_complete(tx, live.id):
        close(tx, live.id)
        jobs.bring_forward(tx, kind=FINALISE, recording_id=live.id)


def close(tx: Transaction, recording_id: UUID) -> None:
    """Close an ended recording to parts and settle its quota; a second call changes nothing."""
    live = rows.close_live(tx, recording_id)
    if live is not None:
        settle(tx, live, is_closed=True)


def closing_job(tx: Transaction, recording_id: UUID) -> Job | None:
    """Return the latest job that makes one file of a recording; None before it was stopped."""
    job_id = recording_rows.find_ingest_job(tx, recording_id=recording_id)
    return None if job_id is None else job_rows.find_job(tx, job_id)


def tracks(tx: Transaction, recording_id: UUID) -> Tracks:
    """Return a recording's tracks with their stored parts (service transaction); NotFoundError when it has none."""
    found = rows.find_live(tx, recording_id)
    if found is None:
        raise NotFoundError("The recording was deleted.")
    listed = rows.list_tracks(tx, recording_id)
    parts: dict[UUID, list[PartRow]] = {}
    for part in rows.list_parts(tx, [track.id for track in listed]):
        parts.setdefault(part.track_id, []).append(part)
    return Tracks(live=found, tracks=listed, parts=parts)


def activity(tx: Transaction, recording_id: UUID) -> list[ActivityEvent]:
    """Return people's activity during a recording of a room, on its clock; empty for other recordings."""
    return [
        ActivityEvent(time_s=max(0.0, row.at_s), signal=SIGNALS[row.kind], weight=float(row.number))
        for row in rows.list_activity(tx, recording_id)
    ]


def finalised(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction, *, recording_id: UUID, size_bytes: int, content_type: str, filename: str, trace_id: str | None
) -> Job:
    """Store the joined file's data and queue its ingest; ConflictError if the recording is gone."""
    recording = recording_rows.update_imported(
        tx, recording_id=recording_id, size_bytes=size_bytes, content_type=content_type, filename=filename
    )
    if recording is None:
        raise ConflictError("The recording is no longer being processed.")
    return jobs.enqueue(tx, kind="ingest", user_id=recording.user_id, recording_id=recording_id, trace_id=trace_id)


def tell(tx: Transaction, *, recording_id: UUID, highlights: Sequence[Highlight], offset_s: float) -> int:
    """Tell a room about new highlights (service transaction); return how many.

    Their times are in seconds of a window that begins `offset_s` after the recording's start.
    """
    found = rows.find_live(tx, recording_id)
    if found is None or found.room_id is None or found.status != "live" or not highlights:
        return 0
    if room_rows.lock_room(tx, found.room_id) is None:
        return 0
    told = rows.list_told(tx, room_id=found.room_id, recording_id=recording_id)
    fresh = 0
    for highlight in highlights:
        moved = _moved(highlight, max(0.0, offset_s))
        if any(moved.core_start_s < end + NEAR_S and start - NEAR_S < moved.core_end_s for start, end in told):
            continue
        seq = events.next_seq(tx, found.room_id)
        events.append(
            tx,
            events.HighlightDetected(room_id=found.room_id, seq=seq, recording_id=recording_id, highlight=moved),
        )
        told.append((moved.core_start_s, moved.core_end_s))
        fresh += 1
    return fresh


def _moved(highlight: Highlight, offset_s: float) -> Highlight:
    names = ("start_s", "end_s", "core_start_s", "core_end_s", "peak_s")
    return replace(highlight, **{name: round(getattr(highlight, name) + offset_s, 3) for name in names})
