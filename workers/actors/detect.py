"""Scores a stored timeline: highlights, the score curve, and clips of the highlights if the job asks for them."""

from functools import partial
from typing import Any

import msgspec

from db.connection import Transaction
from db.recordings import Recording
from pipeline.types import DetectOptions, DetectResult, DetectTask
from services.clips import service as clips
from services.clips.service import ClipStyle
from services.errors import ConflictError, QuotaExceededError
from services.jobs.payload import AutoClips, DetectPayload, ScoreOptions, payload_of
from services.recordings import highlights
from services.recordings import service as recordings
from storage import keys
from workers.actors import media
from workers.actors.ingest import get_recording
from workers.attempt import Attempt
from workers.children.child import run_child
from workers.completer import Publish
from workers.runtime import Runtime

EVERYTHING = 0.0
"""The job stores all candidates with their scores; reading them applies the least score that counts."""


def detect(runtime: Runtime, attempt: Attempt) -> Publish:
    """Run the child on the timeline and store the curve."""
    recording = get_recording(runtime, attempt)
    if recording.timeline_key is None:
        raise ConflictError("The recording has no timeline yet; wait until it is ready and ask again")
    payload = payload_of(attempt.job, DetectPayload)
    asked = msgspec.to_builtins(payload.options)
    options = msgspec.convert({**asked, "sensitivity": EVERYTHING, "top": None}, DetectOptions)
    with runtime.scratch.folder(f"{attempt.job.id}-{attempt.job.attempt}") as scratch:
        read = partial(runtime.stores.recordings.get_file, recording.timeline_key, scratch / "timeline")
        attempt.wait_for(read)
        result = run_child(
            DetectTask(timeline="timeline", options=options),
            launcher=runtime.launcher,
            attempt=attempt,
            scratch=scratch,
            policy=media.policy("detect", runtime.threads),
        )
        assert isinstance(result, DetectResult)  # noqa: S101 - the child answers its own kind of task
        curve_key = keys.detect_key(
            recording.user_id, recording.id, attempt.job.id, attempt=attempt.job.attempt, name="curve.json"
        )
        media.put(attempt, runtime.stores.recordings, curve_key, scratch / result.curve, "application/json")
    items = msgspec.to_builtins(result.highlights)
    return lambda tx: _publish(tx, attempt, recording, payload=payload, items=items, curve_key=curve_key)


def _publish(  # noqa: PLR0913 - what one detection produced
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
    """Return the candidates that the sensitivity and number of the request let through, best first."""
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
