"""Housekeeping jobs of the system: short, and safe to repeat."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from db.connection import SERVICE, Transaction
from services.errors import ConflictError
from services.jobs.payload import DeleteAccountPayload, DeleteObjectsPayload, TidyClipPayload, payload_of
from services.lifecycle import deletion, maintenance
from services.webhooks import delivery as deliveries
from storage import keys
from storage.store import Store
from storage.sweep import sweep_uploads
from workers.attempt import Attempt
from workers.completer import Publish, Result
from workers.execution import Work
from workers.runtime import Runtime

ORPHAN_AGE = timedelta(days=1)
"""Longer than any attempt, so that objects of a running one stay, although no row refers to them yet."""
FEW_OBJECTS = 100
DELETE_BATCH = 1000  # S3's limit for one request


def delete_objects(runtime: Runtime, attempt: Attempt) -> Publish:
    """Delete the objects under a prefix that no row refers to, and abort the open uploads there.

    ConflictError for a prefix that the system does not delete, and for a job that is not the system's own.
    """
    if attempt.job.user_id is not None:
        raise ConflictError("Only the system deletes by prefix; nothing was deleted.")
    payload = payload_of(attempt.job, DeleteObjectsPayload)
    store = _bucket(runtime, payload.bucket)
    found = attempt.wait_for(lambda: [stat.key for stat in store.list_objects(payload.prefix)])
    with runtime.database.transaction(SERVICE) as tx:
        orphans = maintenance.may_delete(tx, bucket=payload.bucket, prefix=payload.prefix, keys=found)
    if orphans is None:
        return _result({"deleted": 0})
    attempt.wait_for(partial(_abort_uploads, store, payload.prefix))
    return _result({"deleted": _delete(attempt, store, orphans)})


def tidy_clip(runtime: Runtime, attempt: Attempt) -> Publish:
    """Delete the objects of earlier attempts and previews beside a clip's published ones."""
    with runtime.database.transaction(SERVICE) as tx:
        clip = maintenance.find_published(tx, clip_id=payload_of(attempt.job, TidyClipPayload).clip_id)
    if clip is None:
        return _result({"deleted": 0})
    store = runtime.buckets.clips
    prefix = keys.clip_prefix(clip.user_id, clip.render_id)
    stored = attempt.wait_for(lambda: [stat.key for stat in store.list_objects(prefix)])
    return _result({"deleted": _delete(attempt, store, [key for key in stored if key not in clip.keys])})


def sweep_abandoned_uploads(runtime: Runtime, attempt: Attempt) -> Publish:
    """Close uploads that were not completed within a day, in the rows and in storage."""
    now = runtime.clock()
    # The clips bucket too: a worker that dies while it stores a large file leaves an open upload there.
    buckets = (runtime.buckets.recordings, runtime.buckets.clips)
    closed = sum(attempt.wait_for(partial(sweep_uploads, store, now=now)) for store in buckets)

    def publish(tx: Transaction) -> dict[str, Any]:
        return {"uploads_closed": closed, "recordings_failed": maintenance.fail_abandoned_uploads(tx)}

    return publish


def expire_clips(_runtime: Runtime, _attempt: Attempt) -> Publish:
    """Expire clips whose retention is over; one job for each deletes its objects."""
    return lambda tx: {"expired": maintenance.expire_clips(tx)}


def purge_idempotency_keys(_runtime: Runtime, _attempt: Attempt) -> Publish:
    """Delete idempotency keys after a day."""
    return lambda tx: {"purged": maintenance.purge_idempotency_keys(tx)}


def prune_jobs(_runtime: Runtime, _attempt: Attempt) -> Publish:
    """Delete old finished jobs in batches."""
    return maintenance.prune_jobs


def roll_up_jobs(_runtime: Runtime, _attempt: Attempt) -> Publish:
    """Count ended jobs into the series that operators see."""
    return lambda tx: {"buckets": maintenance.roll_up_jobs(tx)}


def cleanup_clips(_runtime: Runtime, _attempt: Attempt) -> Publish:
    """Fail clips whose job is gone."""
    return lambda tx: {"failed": maintenance.cleanup_clips(tx)}


def cleanup_rooms(_runtime: Runtime, _attempt: Attempt) -> Publish:
    """End rooms without activity."""
    return maintenance.cleanup_rooms


def end_silent_recordings(_runtime: Runtime, _attempt: Attempt) -> Publish:
    """Stop live recordings that no longer get parts."""
    return maintenance.end_silent_recordings


def archive_polls(_runtime: Runtime, _attempt: Attempt) -> Publish:
    """End polls whose time is over, and delete the ballots of old ones."""
    return maintenance.archive_polls


def reset_quotas(_runtime: Runtime, _attempt: Attempt) -> Publish:
    """Release quota that ended jobs still hold."""
    return maintenance.reset_quotas


def sweep_objects(runtime: Runtime, attempt: Attempt) -> Publish:
    """Delete objects that no row refers to, a day after they were written.

    ConflictError if that would be most of a bucket, because then the database is probably the wrong one.
    """
    before = runtime.clock() - ORPHAN_AGE
    deleted = {}
    for store, bucket in ((runtime.buckets.clips, "clips"), (runtime.buckets.recordings, "recordings")):
        old = attempt.wait_for(partial(_list_old, store, before))
        orphans: list[str] = []
        for begin in range(0, len(old), DELETE_BATCH):
            attempt.check()
            with runtime.database.transaction(SERVICE) as tx:
                orphans += maintenance.find_orphans(tx, bucket=bucket, keys=old[begin : begin + DELETE_BATCH])
        if len(orphans) > FEW_OBJECTS and len(orphans) > len(old) / 2:
            raise ConflictError(
                f"{len(orphans)} of {len(old)} objects in {bucket} belong to nothing in this database. Check that "
                "DATABASE_URL and the bucket belong together; nothing was deleted."
            )
        deleted[bucket] = _delete(attempt, store, orphans)
    return _result(deleted)


def delete_account(runtime: Runtime, attempt: Attempt) -> Publish:
    """Delete the rows of a closed account in small steps; a crash in between loses nothing."""
    user_id = payload_of(attempt.job, DeleteAccountPayload).user_id
    deleted = 0
    while True:
        attempt.check()
        with runtime.database.transaction(SERVICE) as tx:
            step = deletion.delete_rows(tx, user_id=user_id, now=runtime.clock())
        deleted += step
        if step == 0:
            return _result({"deleted": deleted})


def sweep_webhooks(runtime: Runtime, _attempt: Attempt) -> Publish:
    """Queue deliveries that have lost their job again, and delete old events."""
    return lambda tx: deliveries.sweep(tx, now=runtime.clock())


HOUSEKEEPING: Mapping[str, Work] = {
    "delete_objects": delete_objects,
    "tidy_clip": tidy_clip,
    "sweep_uploads": sweep_abandoned_uploads,
    "expire_clips": expire_clips,
    "purge_idempotency_keys": purge_idempotency_keys,
    "prune_jobs": prune_jobs,
    "roll_up_jobs": roll_up_jobs,
    "cleanup_clips": cleanup_clips,
    "cleanup_rooms": cleanup_rooms,
    "archive_polls": archive_polls,
    "end_silent_recordings": end_silent_recordings,
    "reset_quotas": reset_quotas,
    "sweep_objects": sweep_objects,
    "sweep_webhooks": sweep_webhooks,
    "delete_account": delete_account,
}


def _bucket(runtime: Runtime, name: str) -> Store:
    return {"recordings": runtime.buckets.recordings, "clips": runtime.buckets.clips}[name]


def _delete(attempt: Attempt, store: Store, names: list[str]) -> int:
    for begin in range(0, len(names), DELETE_BATCH):
        attempt.wait_for(partial(store.delete, names[begin : begin + DELETE_BATCH]))
    return len(names)


def _abort_uploads(store: Store, prefix: str) -> None:
    for upload in list(store.list_uploads(prefix)):
        store.abort_multipart(upload.key, upload.upload_id)


def _list_old(store: Store, before: datetime) -> list[str]:
    return [stat.key for stat in store.list_objects("") if stat.modified_at < before]


def _result(result: dict[str, Any]) -> Publish:
    return Result(result)
