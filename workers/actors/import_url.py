"""Fetches a recording from a URL and stores it like an upload."""

from functools import partial
from pathlib import Path
from typing import Any

from db.connection import SERVICE, Transaction
from db.recordings import Recording
from services.billing import quota as quotas
from services.errors import DomainError
from services.jobs import service as jobs
from services.jobs.payload import ImportPayload, payload_of
from services.outbound.fetch import Fetched
from services.recordings import service as recordings
from storage.space import DiskReserve
from storage.store import Store
from workers.actors.ingest import get_recording
from workers.attempt import Attempt
from workers.completer import Publish
from workers.runtime import Runtime

EXPECTED_BYTES = 4 * 2**30
"""Assumed for the progress of a download of unknown size: an hour of 1080p."""


def import_url(runtime: Runtime, attempt: Attempt) -> Publish:
    """Fetch, store, and queue the ingest."""
    recording = get_recording(runtime, attempt)
    _require_quota(runtime, recording, size_bytes=1)
    store: Store = runtime.buckets.recordings
    with runtime.scratch.folder(f"{attempt.job.id}-{attempt.job.attempt}") as scratch:
        path = scratch / "source"
        fetched = _fetch(runtime, attempt, path)
        _require_quota(runtime, recording, size_bytes=fetched.size_bytes)
        # The key of a source has no attempt in it: a second attempt stores the same bytes under it.
        put = partial(store.put_file, recording.source_key, path, content_type=fetched.content_type)
        size_bytes = attempt.wait_for(put).size_bytes

    def publish(tx: Transaction) -> dict[str, Any]:
        recordings.imported(
            tx,
            recording_id=recording.id,
            size_bytes=size_bytes,
            content_type=fetched.content_type,
            filename=fetched.name or recording.filename,
        )
        ingest = jobs.enqueue(
            tx,
            kind="ingest",
            user_id=recording.user_id,
            recording_id=recording.id,
            trace_id=attempt.job.trace_id,
        )
        return {"size_bytes": size_bytes, "ingest_job_id": str(ingest.id)}

    return publish


def _require_quota(runtime: Runtime, recording: Recording, *, size_bytes: int) -> None:
    """Raise QuotaExceededError if these bytes exceed the owner's storage; the size is known only at the end."""
    with runtime.database.transaction(SERVICE) as tx:
        quotas.reserve(tx, user_id=recording.user_id, feature=quotas.STORAGE, amount=size_bytes)


def _fetch(runtime: Runtime, attempt: Attempt, path: Path) -> Fetched:
    """Read the address into a file; StoppedError as soon as the attempt is stopped, even if the peer hangs."""
    received = 0
    reserve = DiskReserve(path.parent, runtime.disk_reserve_bytes)

    def take(chunk: bytes) -> None:
        nonlocal received
        attempt.check()
        reserve.require(len(chunk))
        file.write(chunk)
        received += len(chunk)
        attempt.report(stage="download", fraction=0.9 * received / (received + EXPECTED_BYTES))

    try:
        url = payload_of(attempt.job, ImportPayload).url
        with path.open("wb") as file:
            return runtime.fetcher.fetch(
                url,
                take,
                max_bytes=runtime.recording_max_bytes,
                on_stop=attempt.on_stop,
            )
    except DomainError:
        attempt.check()  # we ended the connection, not the peer
        raise
