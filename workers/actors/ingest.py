"""Analyses a new recording once: probe, timeline, packet index, waveform, poster."""

from pathlib import Path
from typing import Any

import msgspec

from db.connection import SERVICE, Transaction
from db.recordings import Recording
from pipeline.types import IngestResult, IngestTask
from services.billing import quota as quotas
from services.billing.tier import UNLIMITED
from services.errors import NotFoundError
from services.jobs import service as jobs
from services.jobs.payload import DetectPayload
from services.recordings import service as recordings
from storage import keys
from workers.actors import media
from workers.attempt import Attempt
from workers.children.child import run_child
from workers.completer import Publish
from workers.runtime import Runtime

CONTENT_TYPES = {".json": "application/json", ".jpg": "image/jpeg"}


def ingest(runtime: Runtime, attempt: Attempt) -> Publish:
    """Run the child and store its files; the publication queues the first detection."""
    recording = get_recording(runtime, attempt)
    with runtime.scratch.folder(f"{attempt.job.id}-{attempt.job.attempt}") as scratch:
        source = media.source(
            runtime,
            attempt,
            "ingest",
            key=recording.source_key,
            size_bytes=recording.size_bytes,
            index_key=None,
        )
        result = run_child(
            IngestTask(source=source, tagger=media.tagger_path(runtime), longest_s=_longest_s(runtime, recording)),
            launcher=runtime.launcher,
            attempt=attempt,
            scratch=scratch,
            policy=media.policy("ingest", runtime.threads),
        )
        assert isinstance(result, IngestResult)  # noqa: S101 - the child answers its own kind of task
        stored = {
            name: _put(runtime, attempt, recording, scratch, getattr(result, name))
            for name in ("timeline", "index", "waveform", "poster", "tags")
        }
    return _publication(attempt, recording, result, stored)


def _longest_s(runtime: Runtime, recording: Recording) -> float | None:
    """Return the length that the owner's tier allows; None for no limit."""
    with runtime.database.transaction(SERVICE) as tx:
        limit_s = quotas.limit(tx, user_id=recording.user_id, name="recording_length_s")
    return None if limit_s == UNLIMITED else float(limit_s)


def get_recording(runtime: Runtime, attempt: Attempt) -> Recording:
    """Return the recording of a job; NotFoundError when it was deleted."""
    if attempt.job.recording_id is None:
        raise NotFoundError("The recording was deleted")
    with runtime.database.transaction(SERVICE) as tx:
        return recordings.get_source(tx, recording_id=attempt.job.recording_id)


def _put(runtime: Runtime, attempt: Attempt, recording: Recording, scratch: Path, name: str | None) -> str | None:
    if name is None:
        return None
    key = keys.ingest_key(recording.user_id, recording.id, attempt.job.attempt, name)
    content_type = CONTENT_TYPES.get(Path(name).suffix, "application/octet-stream")
    media.put(attempt, runtime.buckets.recordings, key, scratch / name, content_type)
    return key


def _publication(
    attempt: Attempt, recording: Recording, result: IngestResult, stored: dict[str, str | None]
) -> Publish:
    probe = result.probe

    def publish(tx: Transaction) -> dict[str, Any]:
        recordings.publish_ingest(
            tx,
            recording_id=recording.id,
            probe=msgspec.to_builtins(probe),
            duration_s=probe.duration_s,
            has_audio=probe.audio is not None,
            has_video=probe.video is not None,
            size_bytes=probe.size_bytes or recording.size_bytes or 0,
            timeline_key=stored["timeline"] or "",
            index_key=stored["index"],
            waveform_key=stored["waveform"] or "",
            poster_key=stored["poster"],
            tagger=result.tagger or None,
            tags_key=stored["tags"],
        )
        detect = jobs.enqueue(
            tx,
            kind="detect",
            user_id=recording.user_id,
            recording_id=recording.id,
            payload=DetectPayload(),
            trace_id=attempt.job.trace_id,
        )
        return {"duration_s": probe.duration_s, "detect_job_id": str(detect.id)}

    return publish
