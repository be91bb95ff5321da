"""The end of a live recording, however it comes: by its host, with its room, or after a long silence."""

from uuid import UUID

from msgspec import Struct

from db import jobs as job_rows
from db import live_recordings as rows
from db import recordings as recording_rows
from db.connection import Transaction
from db.live_recordings import LiveRow
from db.rooms import RoomRow
from services.billing import quota as quotas
from services.jobs import service as jobs
from services.jobs.service import Job
from services.rooms import event as events

COUNTED_S = 10.0
"""A recording counts as a conversation once so much of it is stored."""
FINALISE = "finalise_live"


class Ended(Struct, frozen=True, kw_only=True):
    """A live recording that has ended, and the job that makes one file of it."""

    recording_id: UUID
    user_id: UUID
    job: Job


def settle(tx: Transaction, live: LiveRow) -> None:
    """Count the conversation once enough of it is stored; while it runs and has less, it stays reserved."""
    seconds, _ = rows.sum_stored(tx, live.id)
    if seconds >= COUNTED_S:
        quotas.commit(tx, subject_id=live.id)
    elif live.status != "live":
        quotas.release(tx, subject_id=live.id)


def stop_running(tx: Transaction, room: RoomRow) -> Ended | None:
    """Stop the recording that runs in a locked room and tell everybody; None when none runs."""
    if room.recording_id is None:
        return None
    recording_id = room.recording_id
    rows.clear_running(tx, room_id=room.id, recording_id=recording_id)
    seq = events.next_seq(tx, room.id)
    events.append(tx, events.RecordingStopped(room_id=room.id, seq=seq, recording_id=recording_id))
    return close(tx, recording_id)


def close(tx: Transaction, recording_id: UUID, *, trace_id: str | None = None) -> Ended | None:
    """Change live → processing, settle the quota and queue the job that joins the tracks; None when it was not live."""
    live = rows.end_live(tx, recording_id)
    if live is None:
        return None
    settle(tx, live)
    job = jobs.enqueue(tx, kind=FINALISE, user_id=live.user_id, recording_id=live.id, trace_id=trace_id)
    return Ended(recording_id=live.id, user_id=live.user_id, job=job)


def closing_job(tx: Transaction, recording_id: UUID) -> Job | None:
    """Return the latest job that makes one file of a recording; None before it was stopped."""
    job_id = recording_rows.find_ingest_job(tx, recording_id=recording_id)
    return None if job_id is None else job_rows.find_job(tx, job_id)
