"""Encodes clips: MP4 (H.264 + AAC), WebM (VP9 + Opus) and MP3, within a size limit by lowering the bit rate."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from pipeline.errors import TOO_LARGE, MediaError
from pipeline.limits import thread_count
from pipeline.rendering.encoding import ffmpeg as runner
from pipeline.rendering.encoding import parallel
from pipeline.rendering.encoding.graph import Part
from pipeline.rendering.material import CLOCK
from pipeline.types import Format

CRF_H264 = 21
CRF_VP9 = 34
"""Both look the same at clip sizes, and better than platforms' own transcodes."""
X264_PRESETS = {False: "veryfast", True: "superfast"}
"""By `is_drawn`. For drawn pictures the slower preset gains nothing, and the faster one costs a third less."""
MOTION_PRECISION = 1
"""x264's `subme`, without the second, finer search for motion of `veryfast`. That search is a quarter of the work and
usually saves 1 % of the bytes at the same quality (pans over texture, grain), at most 12 % (fine drawn patterns)."""
VP9_SPEED = 6
"""With the real-time deadline: a sixth of the work of `good` at speed 5, at the same PSNR for a quarter more bytes."""
KEYFRAME_EVERY_S = 2
"""The interval that players and platforms expect for seeking and thumbnails."""
AUDIO_BPS: dict[Format, tuple[int, int]] = {
    "mp4": (96_000, 160_000),
    "webm": (80_000, 128_000),
    "mp3": (128_000, 192_000),
}
"""Mono and stereo, at the rates where each encoder is considered transparent for speech and nearly so for music."""
AAC_CODER = "fast"
"""Half the work of FFmpeg's default at these rates, and closer to the source: 40 against 32 dB on mono talk at 96 kb/s,
51 to 53 against 40 to 42 dB in stereo at 160 kb/s."""
MIN_VIDEO_BPS = 80_000
MIN_AUDIO_BPS = 48_000
"""Below these rates a clip is not worth publishing, and is refused as too large instead."""
SIZE_MARGIN = 0.93
"""The target as a share of the limit: single-pass rate control and container overhead need the rest."""
SECOND_TRY = 0.8


class Rates(Struct, frozen=True, kw_only=True):
    """Bits a second. `video_bps` None means constant quality."""

    video_bps: int | None
    audio_bps: int


class Stream(Struct, frozen=True, kw_only=True):
    """The input of an encoder: chains that end at time `duration_s`; `clock` is the tick rate of the picture."""

    video: Any | None
    audio: Any | None
    duration_s: float
    channels: int = 2
    clock: int = CLOCK
    is_even: bool = True
    """Whether frames come at even steps; otherwise each keeps its own time and length."""
    is_drawn: bool = False
    """Whether the picture has flat colours and lines, like an audiogram."""
    title: str = ""
    picture_part: Callable[[Part], Any] | None = None
    """Returns the chain of a part of the picture, where parts may be encoded side by side."""


def encode(kind: Format, stream: Stream, *, out: Path, max_bytes: int, report: Callable[[float], None]) -> list[str]:
    """Write `out`; if it is larger than `max_bytes`, try up to twice more at a lower bit rate. Returns FFmpeg's log.

    MediaError `output_too_large` if even the least acceptable bit rate does not fit.
    """
    mono, stereo = AUDIO_BPS[kind]
    wanted = Rates(video_bps=None, audio_bps=mono if stream.channels == 1 else stereo)
    budget_bps = max_bytes * 8 * SIZE_MARGIN / max(stream.duration_s, 0.1)
    attempts: list[Rates | None] = [
        wanted,
        fit(wanted, budget_bps, stream),
        fit(wanted, budget_bps * SECOND_TRY, stream),
    ]
    for rates in attempts:
        if rates is None:
            break
        try:
            log = _encode_once(kind, stream, rates, out, report)
        except MediaError as exc:
            if exc.cause is not TOO_LARGE:
                raise  # the limit on file sizes was reached before the end; a lower rate may stay under it
            continue
        if out.stat().st_size <= max_bytes:
            report(1.0)
            return log
    out.unlink(missing_ok=True)
    raise MediaError(TOO_LARGE, f"{out.name} would not fit into {max_bytes} bytes")


def _encode_once(kind: Format, stream: Stream, rates: Rates, out: Path, report: Callable[[float], None]) -> list[str]:
    parts = parallel.parts(stream.duration_s, thread_count()) if stream.picture_part is not None else []
    if not parts or stream.picture_part is None:
        made = output(kind, stream, name=out.name, rates=rates)
        return runner.run(made, folder=out.parent, duration_s=stream.duration_s, on_progress=report)
    jobs = [
        parallel.Job(
            output=_part_output(kind, stream, rates, chain=stream.picture_part(part), name=f"part-{number}.mp4"),
            name=f"part-{number}.mp4",
            start=part.start,
            duration_s=float(part.end - part.start),
        )
        for number, part in enumerate(parts)
    ]
    if stream.audio is not None:
        sound = f"sound{SOUND_SUFFIXES[kind]}"
        alone = replace(stream, video=None, picture_part=None)
        made = output(kind, alone, name=sound, rates=rates)
        jobs.append(parallel.Job(output=made, name=sound, start=None, duration_s=stream.duration_s))
    return parallel.run(jobs, out, title=stream.title, report=report)


def _part_output(kind: Format, stream: Stream, rates: Rates, *, chain: Any, name: str) -> Any:
    """Return the output of a part: always MP4, which stores both times of a packet, in ticks as fine as the clip's."""
    options = _picture_options(kind, stream, rates) | {"threads": 1, "format": "mp4"}
    options |= {"video_track_timescale": stream.clock, "movie_timescale": stream.clock}
    return chain.output(f"file:{name}", **options).global_args("-copyts")


def fit(wanted: Rates, budget_bps: float, stream: Stream) -> Rates | None:
    """Return rates within the budget: the sound's first, and the rest for the picture; None if that is too little."""
    if stream.video is None:
        audio_bps = min(wanted.audio_bps, int(budget_bps))
        return Rates(video_bps=None, audio_bps=audio_bps) if audio_bps >= MIN_AUDIO_BPS else None
    audio_bps = 0 if stream.audio is None else int(min(wanted.audio_bps, max(MIN_AUDIO_BPS, budget_bps * 0.2)))
    video_bps = int(budget_bps - audio_bps)
    return Rates(video_bps=video_bps, audio_bps=audio_bps) if video_bps >= MIN_VIDEO_BPS else None


def output(kind: Format, stream: Stream, *, name: str, rates: Rates) -> Any:
    """Return the ffmpeg-python output for one file."""
    import ffmpeg

    chains = [chain for chain in (stream.video, stream.audio) if chain is not None]
    options: dict[str, Any] = {"map_metadata": -1, "map_chapters": -1, "threads": thread_count()}
    if stream.title:
        options["metadata"] = f"title={stream.title}"
    if stream.video is not None:
        options |= _picture_options(kind, stream, rates)
    if stream.audio is not None:
        options |= _sound_options(kind, rates)
    options |= _CONTAINERS[kind]
    return ffmpeg.output(*chains, f"file:{name}", **options).global_args("-copyts")


SOUND_SUFFIXES: dict[Format, str] = {"mp4": ".m4a", "webm": ".webm", "mp3": ".mp3"}
_CONTAINERS: dict[Format, dict[str, Any]] = {
    "mp4": {"format": "mp4", "movflags": "+faststart"},
    "webm": {"format": "webm"},
    "mp3": {"format": "mp3", "id3v2_version": 3, "write_xing": 1},
}


def _picture_options(kind: Format, stream: Stream, rates: Rates) -> dict[str, Any]:
    options: dict[str, Any] = {
        "fps_mode": "vfr",
        "enc_time_base": f"1/{stream.clock}",
        "force_key_frames": f"expr:gte(t,n_forced*{KEYFRAME_EVERY_S})",
        "pix_fmt": "yuv420p",
    }
    if kind == "mp4":
        options |= {
            "c:v": "libx264",
            "preset": X264_PRESETS[stream.is_drawn],
            "subq": MOTION_PRECISION,
            "profile:v": "high",
            "video_track_timescale": stream.clock,
        }
        if stream.is_drawn:
            options["bf"] = 0  # pictures that only shift gain nothing from B-frames
        if not stream.is_even:
            # In order of display, MP4 keeps each frame's own length, and the last one's can end with the clip.
            options |= {"bf": 0, "bsf:v": _ending_with(stream)}
        if rates.video_bps is None:
            return options | {"crf": CRF_H264}
        return options | {"b:v": rates.video_bps, "maxrate": rates.video_bps, "bufsize": rates.video_bps}
    if not stream.is_even:
        options["bsf:v"] = _ending_with(stream)
    options |= {"c:v": "libvpx-vp9", "deadline": "realtime", "cpu-used": VP9_SPEED, "row-mt": 1, "tile-columns": 2}
    if rates.video_bps is None:
        return options | {"crf": CRF_VP9, "b:v": 0}
    return options | {"b:v": rates.video_bps, "maxrate": rates.video_bps, "bufsize": rates.video_bps}


def _ending_with(stream: Stream) -> str:
    """Return the filter that ends every picture with the clip."""
    return f"setts=duration='min(DURATION,{stream.duration_s:.6f}/TB-PTS)'"


def _sound_options(kind: Format, rates: Rates) -> dict[str, Any]:
    codec = {"mp4": "aac", "webm": "libopus", "mp3": "libmp3lame"}[kind]
    options: dict[str, Any] = {"c:a": codec, "b:a": rates.audio_bps}
    if kind == "mp4":
        options["aac_coder"] = AAC_CODER
    if kind == "webm":
        options["ar"] = 48_000
    return options
