"""Scores a stored timeline: highlights, the score curve, and clips of the highlights if the job asks for them."""

from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from db.connection import SERVICE, Transaction
from db.recordings import Recording
from pipeline.types import DetectOptions, DetectResult, DetectTask, ListenResult, ListenTask
from services.clips import service as clips
from services.clips.service import ClipStyle
from services.errors import ConflictError, QuotaExceededError
from services.jobs.payload import AutoClips, DetectPayload, ScoreOptions, payload_of
from services.recordings import highlights
from services.recordings import service as recordings
from services.rooms import live
from storage import keys
from workers.actors import media
from workers.actors.ingest import get_recording
from workers.attempt import Attempt
from workers.children.child import run_child
from workers.completer import Publish
from workers.runtime import Runtime

TIMELINE = "timeline"
EVERYTHING = 0.0
"""The job stores all candidates with their scores; the sensitivity applies when they are read."""


class _Tagged(Struct, frozen=True, kw_only=True):
    """A timeline that replaces the stored one."""

    timeline_key: str
    tagger: str
    tags_key: str


def detect(runtime: Runtime, attempt: Attempt) -> Publish:
    """Run the child on the timeline and store the curve; first listen again if another tagger made the timeline."""
    recording = get_recording(runtime, attempt)
    if recording.timeline_key is None:
        raise ConflictError("The recording has no timeline yet; wait until it is ready and ask again")
    payload = payload_of(attempt.job, DetectPayload)
    asked = msgspec.to_builtins(payload.options)
    options = msgspec.convert({**asked, "sensitivity": EVERYTHING, "top": None}, DetectOptions)
    with runtime.database.transaction(SERVICE) as tx:
        activity = live.activity(tx, recording.id)
    with runtime.scratch.folder(f"{attempt.job.id}-{attempt.job.attempt}") as scratch:
        tagged = _listen_again(runtime, attempt, recording, scratch)
        if tagged is None:
            attempt.wait_for(partial(runtime.buckets.recordings.get_file, recording.timeline_key, scratch / TIMELINE))
        result = run_child(
            DetectTask(timeline=TIMELINE, options=options, activity=activity),
            launcher=runtime.launcher,
            attempt=attempt,
            scratch=scratch,
            policy=media.policy("detect", runtime.threads),
        )
        assert isinstance(result, DetectResult)  # noqa: S101 - the child answers its own kind of task
        curve_key = _put(runtime, attempt, recording, scratch / result.curve)
    items = msgspec.to_builtins(result.highlights)

    def publish(tx: Transaction) -> dict[str, Any]:
        if tagged is not None:
            recordings.publish_tags(tx, recording_id=recording.id, **msgspec.structs.asdict(tagged))
        return _publish(tx, attempt, recording, payload=payload, items=items, curve_key=curve_key)

    return publish


def _listen_again(runtime: Runtime, attempt: Attempt, recording: Recording, scratch: Path) -> _Tagged | None:
    """Write a timeline by this worker's tagger to the scratch folder; None if the stored one is by that tagger."""
    if not recording.has_audio or recording.tagger in {None, runtime.tagger}:
        return None
    source = media.source(
        runtime,
        attempt,
        "ingest",
        key=recording.source_key,
        size_bytes=recording.size_bytes,
        index_key=recording.index_key,
        cache=scratch,
    )
    stream = (recording.probe or {}).get("audio")
    result = run_child(
        ListenTask(
            source=source, stream=stream, duration_s=recording.duration_s or 0.0, tagger=media.tagger_path(runtime)
        ),
        launcher=runtime.launcher,
        attempt=attempt,
        scratch=scratch,
        policy=media.policy("ingest", runtime.threads),
    )
    assert isinstance(result, ListenResult)  # noqa: S101 - the child answers its own kind of task
    timeline = (scratch / result.timeline).rename(scratch / TIMELINE)
    return _Tagged(
        timeline_key=_put(runtime, attempt, recording, timeline),
        tagger=result.tagger,
        tags_key=_put(runtime, attempt, recording, scratch / result.tags),
    )


def _put(runtime: Runtime, attempt: Attempt, recording: Recording, path: Path) -> str:
    """Store a file of this attempt; return its key."""
    key = keys.detect_key(recording.user_id, recording.id, attempt.job.id, attempt=attempt.job.attempt, name=path.name)
    content_type = "application/json" if path.suffix == ".json" else "application/octet-stream"
    media.put(attempt, runtime.buckets.recordings, key, path, content_type)
    return key


def _publish(  # noqa: PLR0913 - the results of one detection
    tx: Transaction,
    attempt: Attempt,
    recording: Recording,
    *,
    payload: DetectPayload,
    items: list[dict[str, Any]],
    curve_key: str,
) -> dict[str, Any]:
    result: dict[str, Any] = {"found": len(items)}
    if payload.store:
        highlights.replace(tx, recording_id=recording.id, user_id=recording.user_id, items=items)
        recordings.mark_ready(tx, recording_id=recording.id, curve_key=curve_key)
    if payload.options != ScoreOptions():
        result["items"] = _picked(items, payload.options)
    if payload.auto_clips is not None:
        result |= _make_clips(tx, attempt, recording, payload.auto_clips)
    return result


def _picked(items: list[dict[str, Any]], options: ScoreOptions) -> list[dict[str, Any]]:
    """Return the candidates that match the request's sensitivity and number, best first."""
    least = highlights.DEFAULT_SENSITIVITY if options.sensitivity is None else options.sensitivity
    return [item for item in items if item["score"] >= least][: options.top]


def _make_clips(tx: Transaction, attempt: Attempt, recording: Recording, wanted: AutoClips) -> dict[str, Any]:
    style = ClipStyle(
        preset=wanted.preset,
        formats=wanted.formats,
        accuracy=wanted.accuracy,
        loudness=wanted.loudness,
        options=wanted.options,
    )
    try:
        with tx.transaction():
            made = clips.create_from_highlights(
                tx,
                user_id=recording.user_id,
                recording_id=recording.id,
                sensitivity=wanted.sensitivity,
                top=wanted.top,
                style=style,
                trace_id=attempt.job.trace_id,
            )
    except QuotaExceededError as error:
        return {"clip_ids": [], "refused": {"code": error.code, "message": error.message}}
    return {"clip_ids": [str(clip.id) for clip in made.clips], "skipped": made.skipped}
