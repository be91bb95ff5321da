"""Live recordings: finds highlights while they run, and joins their tracks to one file after the end."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from db.connection import SERVICE, Transaction
from db.live_recordings import PartRow, TrackRow
from db.recordings import Recording
from pipeline.live.parts import header_of, join_bytes
from pipeline.types import (
    DetectOptions,
    DetectResult,
    DetectTask,
    Highlight,
    JoinResult,
    JoinTask,
    JoinTrack,
    ListenResult,
    ListenTask,
    Source,
)
from services.rooms import live
from services.rooms.live import Tracks
from storage import keys
from workers.actors import media
from workers.actors.ingest import get_recording
from workers.attempt import Attempt
from workers.children.child import ChildFailedError, run_child
from workers.completer import Publish, Result
from workers.execution import Work
from workers.runtime import Runtime

WINDOW_S = 120.0
"""The window for provisional highlights: long enough to know the usual level, short enough to be cheap."""
MILLISECONDS = 1000.0


def finalise_live(runtime: Runtime, attempt: Attempt) -> Publish:
    """Join the tracks into the recording's source and queue its ingest; a repeat reads the same parts again."""
    recording = get_recording(runtime, attempt)
    with runtime.database.transaction(SERVICE) as tx:
        live.close(tx, recording.id)
    # All parts stored before the close have committed, and are read below.
    with runtime.database.transaction(SERVICE) as tx:
        found = live.tracks(tx, recording.id)
    with runtime.scratch.folder(f"{attempt.job.id}-{attempt.job.attempt}") as scratch:
        joined = [_fetch_track(runtime, attempt, recording, found, track, scratch) for track in found.tracks]
        result = run_child(
            JoinTask(tracks=[track for track in joined if track is not None]),
            launcher=runtime.launcher,
            attempt=attempt,
            scratch=scratch,
            policy=media.policy("ingest", runtime.threads),
        )
        assert isinstance(result, JoinResult)  # noqa: S101 - the child answers its own kind of task
        path = scratch / result.path
        store = runtime.buckets.recordings
        stored = attempt.wait_for(partial(store.put_file, recording.source_key, path, content_type=result.content_type))

    def publish(tx: Transaction) -> dict[str, Any]:
        job = live.finalised(
            tx,
            recording_id=recording.id,
            size_bytes=stored.size_bytes,
            content_type=result.content_type,
            filename=f"recording{Path(result.path).suffix}",
            trace_id=attempt.job.trace_id,
        )
        return {"tracks": len(joined), "delays_s": result.delays_s, "ingest_job_id": str(job.id)}

    return publish


def listen_live(runtime: Runtime, attempt: Attempt) -> Publish:
    """Listen to the newest minutes of a running recording, and tell its room about their highlights.

    It keeps no state between runs: the parts are read again, so a dead worker loses only one run.
    """
    recording = get_recording(runtime, attempt)
    with runtime.database.transaction(SERVICE) as tx:
        found = live.tracks(tx, recording.id)
    track = found.loudest()
    if recording.status != "live" or track is None:
        return Result({"heard": False})
    parts = found.newest(track, seconds=WINDOW_S)
    with runtime.scratch.folder(f"{attempt.job.id}-{attempt.job.attempt}") as scratch:
        first = scratch / "first"
        key = keys.live_part_key(recording.user_id, recording.id, track.id, found.parts[track.id][0].number)
        attempt.wait_for(partial(runtime.buckets.recordings.get_file, key, first))
        files = _fetch_parts(runtime, attempt, recording, track, parts, scratch)
        header = b"" if parts[0].number == found.parts[track.id][0].number else header_of(first.read_bytes())
        join_bytes(files, scratch / "window", header=header)
        try:
            highlights, heard_s = _hear(runtime, attempt, scratch)
        except ChildFailedError as error:
            if error.failed.retryable:
                raise
            # The beginning cannot be decoded yet; later parts may help.
            return Result({"heard": False, "code": error.failed.code})
    end_s = found.end_s(track, parts[-1])
    return lambda tx: {
        "told": live.tell(tx, recording_id=recording.id, highlights=highlights, offset_s=end_s - heard_s),
        "heard_s": heard_s,
    }


LIVE: Mapping[str, Work] = {"finalise_live": finalise_live, "listen_live": listen_live}


def _hear(runtime: Runtime, attempt: Attempt, scratch: Path) -> tuple[list[Highlight], float]:
    """Return the highlights of the window, in its own seconds, and its length."""
    policy = media.policy("detect", runtime.threads)
    source = Source(location=str(scratch / "window"))
    listened = run_child(
        ListenTask(source=source, stream=None, duration_s=2 * WINDOW_S, tagger=media.tagger_path(runtime)),
        launcher=runtime.launcher,
        attempt=attempt,
        scratch=scratch,
        policy=policy,
    )
    assert isinstance(listened, ListenResult)  # noqa: S101 - the child answers its own kind of task
    found = run_child(
        DetectTask(timeline=listened.timeline, options=DetectOptions(sensitivity=live.PROVISIONAL_SENSITIVITY)),
        launcher=runtime.launcher,
        attempt=attempt,
        scratch=scratch,
        policy=policy,
    )
    assert isinstance(found, DetectResult)  # noqa: S101 - the child answers its own kind of task
    return found.highlights, found.duration_s


def _fetch_track(  # noqa: PLR0913, PLR0917 - private
    runtime: Runtime, attempt: Attempt, recording: Recording, found: Tracks, track: TrackRow, scratch: Path
) -> JoinTrack | None:
    """Join a track's parts in the scratch folder; None for a track without stored parts."""
    parts = found.parts.get(track.id, [])
    if not parts:
        return None
    name = f"track-{track.id}"
    join_bytes(_fetch_parts(runtime, attempt, recording, track, parts, scratch), scratch / name)
    return JoinTrack(path=name, start_s=found.start_s(track, parts[0]))


def _fetch_parts(  # noqa: PLR0913, PLR0917 - private
    runtime: Runtime, attempt: Attempt, recording: Recording, track: TrackRow, parts: list[PartRow], scratch: Path
) -> list[Path]:
    """Copy parts from storage, one file each."""
    folder = scratch / f"parts-{track.id}"
    folder.mkdir()
    files = []
    for part in parts:
        path = folder / f"{part.number:06d}"
        if part.size_bytes:
            key = keys.live_part_key(recording.user_id, recording.id, track.id, part.number)
            attempt.wait_for(partial(runtime.buckets.recordings.get_file, key, path))
            files.append(path)
    return files
