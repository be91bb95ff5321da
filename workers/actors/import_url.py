"""Fetches a recording from an address that a user gave, into the place where an upload would be."""

from typing import Any

from db.connection import Transaction
from services.jobs import service as jobs
from services.recordings import service as recordings
from storage.store import Store
from workers.actors.ingest import get_recording
from workers.attempt import Attempt
from workers.completer import Publish
from workers.runtime import Runtime

EXPECTED_BYTES = 4 * 2**30
"""For the share of a download whose size nobody told us: an hour of 1080p."""


def import_url(runtime: Runtime, attempt: Attempt) -> Publish:
    """Fetch, store, and queue the ingest."""
    recording = get_recording(runtime, attempt)
    store: Store = runtime.stores.recordings
    with runtime.scratch.folder(f"{attempt.job.id}-{attempt.job.attempt}") as scratch:
        path = scratch / "source"
        with path.open("wb") as file:
            received = 0

            def take(chunk: bytes) -> None:
                nonlocal received
                attempt.check()
                file.write(chunk)
                received += len(chunk)
                attempt.report(stage="download", fraction=0.9 * received / (received + EXPECTED_BYTES))

            fetched = runtime.fetcher.fetch(attempt.job.payload["url"], take, max_bytes=runtime.recording_max_bytes)
        # The source's key is the recording's, not the attempt's: a second attempt stores the same bytes there.
        attempt.check()
        size_bytes = store.put_file(recording.source_key, path, content_type=fetched.content_type).size_bytes

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
