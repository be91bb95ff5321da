"""Deletes rows at once, and their objects and open uploads by a job that outlives the rows."""

from datetime import datetime, timedelta
from uuid import UUID

from db import accounts as account_rows
from db import clips as clip_rows
from db import deletion as rows
from db import recordings as recording_rows
from db.clips import Clip
from db.connection import Transaction, as_service
from db.recordings import Recording
from services.accounts import session as sessions
from services.billing import stripe_event as stripe_events
from services.clips import render as renders
from services.clips import service as clips
from services.errors import NotFoundError
from services.jobs import service as jobs
from services.jobs.payload import BUCKETS, Bucket, DeleteAccountPayload, DeleteObjectsPayload
from services.lifecycle.cancellation import leave_others, stop_jobs
from services.recordings import service as recordings
from storage.keys import recording_prefix, user_prefix

# A worker may write for seconds until it notices that its job is gone, so a second sweep follows.
SECOND_SWEEP = timedelta(minutes=15)
MAX_ROWS_AT_ONCE = 2000
"""Rows in one transaction: deleting these and all rows that refer to them takes about a second."""


def delete_clip(tx: Transaction, *, user_id: UUID, clip_id: UUID, now: datetime) -> Clip:
    """Delete a clip with its shares and jobs, and return it as it was. Raises NotFoundError.

    A processing clip is cancelled first. A job and objects shared with equal clips remain.
    """
    renders.lock(tx, clips.get(tx, user_id=user_id, clip_id=clip_id))
    clip = clips.get(tx, user_id=user_id, clip_id=clip_id)
    if clip.job_id and clip.status in clips.OPEN_STATES and renders.is_awaited_by_others(tx, clip):
        leave_others(tx, clip, job_id=clip.job_id)
    open_jobs = clip_rows.list_open_jobs(tx, clip_id=clip_id)
    stop_jobs(tx, user_id=user_id, job_ids=open_jobs)
    renders.pass_on(tx, clip)
    clip_rows.delete_clip(tx, user_id=user_id, clip_id=clip_id)
    renders.leave(tx, clip, again_at=now + SECOND_SWEEP if open_jobs else None)
    return clip


def delete_recording(tx: Transaction, *, user_id: UUID, recording_id: UUID, now: datetime) -> Recording:
    """Delete a recording with its objects and open upload, and cancel its jobs. Raises NotFoundError.

    Completed clips remain. Returns the recording as it was.
    """
    recording = recordings.get(tx, user_id=user_id, recording_id=recording_id)
    open_jobs = recording_rows.list_open_jobs(tx, recording_id=recording_id)
    stop_jobs(tx, user_id=user_id, job_ids=open_jobs)
    if recording_rows.mark_deleted(tx, user_id=user_id, recording_id=recording_id) is None:
        raise NotFoundError("There is no such recording.")
    # Parts of its upload may still arrive at URLs that were signed before.
    again = bool(open_jobs) or recording.status == "uploading"
    _sweep(tx, "recordings", recording_prefix(user_id, recording_id), again_at=now + SECOND_SWEEP if again else None)
    return recording


def delete_account(tx: Transaction, *, user_id: UUID, now: datetime) -> None:
    """Delete an account with all its rows and objects (service transaction).

    An account with many rows is only closed, and a job deletes them, so that no request holds locks for minutes.
    """
    stop_jobs(tx, user_id=user_id, job_ids=rows.list_open_jobs(tx, user_id=user_id))
    stripe_events.queue_end(tx, user_id=user_id)
    if rows.has_many_rows(tx, user_id=user_id, limit=MAX_ROWS_AT_ONCE):
        sessions.end_everything(tx, user_id=user_id, now=now)
        is_deleted = rows.close_user(tx, user_id=user_id)
        payload = DeleteAccountPayload(user_id=user_id)
        jobs.enqueue(tx, kind="delete_account", user_id=None, payload=payload, max_attempts=20)
    else:
        is_deleted = account_rows.delete_user(tx, user_id=user_id)
    if not is_deleted:
        raise NotFoundError("There is no such account.")
    _sweep_account(tx, user_id=user_id, now=now)


def delete_rows(tx: Transaction, *, user_id: UUID, now: datetime) -> int:
    """Delete some rows of a closed account and return how many; 0 once the account is gone (service transaction)."""
    deleted = rows.delete_some(tx, user_id=user_id, limit=MAX_ROWS_AT_ONCE)
    if deleted == 0 and account_rows.delete_user(tx, user_id=user_id):
        _sweep_account(tx, user_id=user_id, now=now)
    return deleted


def _sweep_account(tx: Transaction, *, user_id: UUID, now: datetime) -> None:
    for bucket in BUCKETS:
        _sweep(tx, bucket, user_prefix(user_id), again_at=now + SECOND_SWEEP)


def _sweep(tx: Transaction, bucket: Bucket, prefix: str, *, again_at: datetime | None) -> None:
    """Queue the deletion of objects as a job of the system, which outlives the owner's rows."""
    with as_service(tx):
        for run_at in (None, again_at) if again_at else (None,):
            jobs.enqueue(
                tx,
                kind="delete_objects",
                user_id=None,
                payload=DeleteObjectsPayload(bucket=bucket, prefix=prefix),
                run_at=run_at,
            )
