"""Joins a live recording's tracks to one seekable file: a single track is copied, the sound of several is mixed."""

from pathlib import Path
from typing import Any

import av
from msgspec import Struct

from pipeline.errors import NO_STREAMS, MediaError
from pipeline.live.align import refine
from pipeline.progress import Meter
from pipeline.reading.media import AV_ERRORS
from pipeline.rendering.encoding import ffmpeg as runner
from pipeline.types import JoinResult, JoinTask, JoinTrack

WEB = frozenset({"vp8", "vp9", "av1", "opus", "vorbis"})
MP4 = frozenset({"h264", "hevc", "aac", "mp3"})
MIX_RATE = 48_000
CONTENT_TYPES = {".webm": "video/webm", ".mp4": "video/mp4", ".mkv": "video/x-matroska"}


class _Track(Struct, frozen=True, kw_only=True):
    """A track that can be decoded."""

    path: str
    start_s: float
    video: str | None
    audio: str | None


def join(task: JoinTask, scratch: Path, meter: Meter) -> JoinResult:
    """Join tracks whose files are in `scratch`. MediaError NO_STREAMS if none of them contains media."""
    report = meter.stage("joining", 0.0, 1.0)
    tracks = [found for track in task.tracks if (found := _look(track, scratch)) is not None]
    if not tracks:
        raise MediaError(NO_STREAMS, "no part of the recording holds sound or pictures")
    tracks.sort(key=lambda track: (track.video is None, track.start_s))
    base = tracks[0]
    starts = {base.path: base.start_s}
    for track in tracks[1:]:
        delay_s = refine(scratch / base.path, scratch / track.path, track.start_s - base.start_s)
        starts[track.path] = base.start_s + delay_s
    first_s = min(starts.values())
    delays = {path: start - first_s for path, start in starts.items()}
    out = scratch / f"joined{_suffix(tracks)}"
    runner.run(_graph(tracks, delays, scratch, out), folder=scratch)
    report(1.0)
    return JoinResult(path=out.name, content_type=CONTENT_TYPES[out.suffix], delays_s=[delays[t.path] for t in tracks])


def _look(track: JoinTrack, scratch: Path) -> _Track | None:
    """Return a track's streams; None if it cannot be opened, so that the others are still joined."""
    try:
        with av.open(str(scratch / track.path)) as container:
            video = next((stream.codec_context.name for stream in container.streams.video), None)
            audio = next((stream.codec_context.name for stream in container.streams.audio), None)
    except AV_ERRORS:
        return None
    if video is None and audio is None:
        return None
    return _Track(path=track.path, start_s=track.start_s, video=video, audio=audio)


def _suffix(tracks: list[_Track]) -> str:
    codecs = {codec for track in tracks for codec in (track.video, track.audio) if codec is not None}
    if codecs <= WEB:
        return ".webm"
    return ".mp4" if codecs <= MP4 else ".mkv"


def _graph(tracks: list[_Track], delays: dict[str, float], scratch: Path, out: Path) -> Any:
    import ffmpeg

    base = tracks[0]
    inputs = {
        track.path: runner.open_input(scratch / track.path, itsoffset=f"{delays[track.path]:.6f}", fflags="+genpts")
        for track in tracks
    }
    streams = [inputs[base.path].video] if base.video is not None else []
    heard = [inputs[track.path].audio for track in tracks if track.audio is not None]
    options: dict[str, Any] = {"c:v": "copy", "avoid_negative_ts": "disabled"}
    if len(heard) == 1 and delays[base.path] == 0 and tracks[0].audio is not None:
        streams.append(heard[0])
        options["c:a"] = "copy"
    elif heard:
        # Gaps of a track become silence, also at its start, so that its sound keeps its time.
        filled = [
            node.filter("aresample", MIX_RATE, **{"async": 1, "first_pts": 0, "min_hard_comp": 0.05}) for node in heard
        ]
        mixed = (
            filled[0]
            if len(filled) == 1
            else ffmpeg.filter(filled, "amix", inputs=len(filled), duration="longest", normalize=0).filter(
                "alimiter", limit=0.97, level=0
            )
        )
        streams.append(mixed)
        options |= {"c:a": "aac" if out.suffix == ".mp4" else "libopus", "b:a": "128k"}
    if out.suffix == ".mp4":
        options["movflags"] = "+faststart"
    return ffmpeg.output(*streams, out.name, **options)
