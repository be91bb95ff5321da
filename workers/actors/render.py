"""Renders one clip: publishes a fast preview first, and replaces it with the finished version."""

from pathlib import Path
from typing import Any

import msgspec
import structlog

from db.clip_states import RenderSubject
from db.connection import SERVICE, DatabaseUnavailableError, Transaction
from pipeline.types import Output, Partial, RenderResult, RenderTask
from services.clips import state as clip_states
from services.errors import ConflictError, NotFoundError
from services.jobs import service as jobs
from services.jobs.payload import TidyClipPayload
from storage import keys
from workers.actors import media
from workers.attempt import Attempt
from workers.children.child import run_child
from workers.completer import Publish
from workers.runtime import Runtime

EARLY = "early-"
"""The preview has its own keys, because a player may read it while the finished version is stored."""
COPIED = ("start_s", "end_s", "formats", "preset", "accuracy", "title", "loudness", "options")

log = structlog.get_logger(__name__)


def render(runtime: Runtime, attempt: Attempt) -> Publish:
    """Run the child and store its outputs under this attempt's prefix."""
    subject = _get_subject(runtime, attempt)
    name = f"{attempt.job.id}-{attempt.job.attempt}"
    with runtime.scratch.cache(subject.source_key) as cache, runtime.scratch.folder(name) as scratch:
        outputs = _Outputs(runtime, attempt, subject, scratch)
        result = run_child(
            _task(runtime, attempt, subject, cache),
            launcher=runtime.launcher,
            attempt=attempt,
            scratch=scratch,
            policy=media.policy("render", runtime.threads),
            on_partial=outputs.show_early,
        )
        assert isinstance(result, RenderResult)  # noqa: S101 - the child answers its own kind of task
        objects = outputs.put(result.outputs)
    notes = msgspec.to_builtins(result.notes)
    if result.accuracy != subject.accuracy and not notes:
        notes = [{"code": "accuracy_changed", "message": f"Made with accuracy `{result.accuracy}`."}]

    def publish(tx: Transaction) -> dict[str, Any]:
        # The first clip of the render may have been deleted while others still share it.
        clip_id = clip_states.get_for_render(tx, job_id=attempt.job.id).id
        clip_states.publish(tx, clip_id=clip_id, objects=objects, notes=notes, accuracy=result.accuracy)
        if attempt.job.attempt > 1 or outputs.has_shown:
            jobs.enqueue(tx, kind="tidy_clip", user_id=None, payload=TidyClipPayload(clip_id=clip_id))
        return {"bytes_read": result.bytes_read, "accuracy": result.accuracy}

    return publish


def _get_subject(runtime: Runtime, attempt: Attempt) -> RenderSubject:
    with runtime.database.transaction(SERVICE) as tx:
        subject = clip_states.get_for_render(tx, job_id=attempt.job.id)
    if subject.status != "processing":
        raise ConflictError(f"The clip is {subject.status}; there is nothing to make")
    return subject


def _task(runtime: Runtime, attempt: Attempt, subject: RenderSubject, cache: Path) -> RenderTask:
    source = media.source(
        runtime,
        attempt,
        "render",
        key=subject.source_key,
        size_bytes=subject.size_bytes,
        index_key=subject.index_key,
        cache=cache,
    )
    wanted = {name: getattr(subject, name) for name in COPIED}
    return msgspec.convert({"task": "render", "source": msgspec.to_builtins(source), **wanted}, RenderTask)


class _Outputs:
    """Buckets the files of one attempt."""

    def __init__(self, runtime: Runtime, attempt: Attempt, subject: RenderSubject, scratch: Path) -> None:
        self.has_shown = False
        self._runtime = runtime
        self._attempt = attempt
        self._subject = subject
        self._scratch = scratch

    def put(self, outputs: list[Output], prefix: str = "") -> dict[str, dict[str, Any]]:
        """Store files and return their entries for the clip's row, by format."""
        return {output.format: self._put_one(output, prefix) for output in outputs}

    def show_early(self, partial: Partial) -> None:
        """Publish a preview under the lease; if that fails, the clip waits for the finished version."""
        objects = self.put(partial.outputs, EARLY)
        try:
            with self._runtime.database.transaction(SERVICE) as tx:
                jobs.hold(tx, self._attempt.lease)
                clip_id = clip_states.get_for_render(tx, job_id=self._attempt.job.id).id
                clip_states.publish_preview(tx, clip_id=clip_id, objects=objects)
        except (DatabaseUnavailableError, ConflictError, NotFoundError) as error:
            log.warning("preview_not_shown", error=str(error))
            return
        self.has_shown = True
        shown = {entry["key"] for entry in objects.values()}
        self._attempt.written = [(store, key) for store, key in self._attempt.written if key not in shown]

    def _put_one(self, output: Output, prefix: str) -> dict[str, Any]:
        subject = self._subject
        name = prefix + keys.CLIP_FILE_NAMES[output.format]
        key = keys.clip_key(subject.user_id, subject.render_id, self._attempt.job.attempt, name)
        size_bytes = media.put(
            self._attempt, self._runtime.buckets.clips, key, self._scratch / output.path, output.content_type
        )
        return {
            "key": key,
            "content_type": output.content_type,
            "size_bytes": size_bytes,
            "duration_s": output.duration_s,
            "width": output.width,
            "height": output.height,
            "copied_s": output.copied_s,
            "encoded_s": output.encoded_s,
        }
