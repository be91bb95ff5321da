"""Rendering half a minute in a media child, each figure beside FFmpeg doing the same by hand.

    python bench/bench_render.py

Claims: an audiogram is made at 4 times real time or more; a clip is playable (its early version) within 2 s of the
request. A child's figure includes its start, the check by decoding, the thumbnail and the preview. On a machine that
does other work too, compare processor seconds: they tell what a quiet machine would take.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pipeline.rendering.encoding.ffmpeg import executable
from pipeline.types import Event, Failed, Partial, RenderTask, Source, event_decoder

SOURCE_S = 120
START_S, END_S = 31.5, 61.5
CLIP_S = END_S - START_S
X264 = ("-c:v", "libx264", "-preset", "veryfast")
VP9 = ("-c:v", "libvpx-vp9", "-crf", "34", "-b:v", "0", "-deadline", "realtime", "-cpu-used", "6", "-row-mt", "1")


class Spent(NamedTuple):
    """Seconds by the clock, and of processor time in all processes."""

    wall_s: float
    cpu_s: float


def clock() -> Spent:
    """Return both clocks, of this moment."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Spent(time.perf_counter(), children.ru_utime + children.ru_stime)


def since(start: Spent) -> Spent:
    """Return what has been spent since a moment."""
    now = clock()
    return Spent(now.wall_s - start.wall_s, now.cpu_s - start.cpu_s)


def ffmpeg(*arguments: str) -> Spent:
    """Run FFmpeg and return the seconds it took."""
    started = clock()
    command = [executable(), "-hide_banner", "-nostdin", "-y", "-v", "error", *arguments]
    subprocess.run(command, check=True)
    print(f"    $ ffmpeg {' '.join(arguments)}")
    return since(started)


def child(folder: Path, source: Path, **fields: Any) -> tuple[Spent, float | None]:
    """Render in a media child; return the seconds to the end, and to the early version when there was one."""
    task = RenderTask(source=Source(location=str(source)), start_s=START_S, end_s=END_S, **fields)
    started = clock()
    early_s: float | None = None
    last: Event | None = None
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline.task"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("pipes were asked for")
        process.stdin.write(msgspec.json.encode(task))
        process.stdin.close()
        for event in process.stdout:
            last = event_decoder.decode(event)
            if isinstance(last, Partial):
                early_s = time.perf_counter() - started.wall_s
    if last is None or isinstance(last, Failed):
        raise SystemExit(f"the child failed: {last}")
    return since(started), early_s


def line(name: str, ours: Spent, peer: Spent | None) -> None:
    """Print one figure."""
    beside = ""
    if peer is not None:
        ratios = f"{ours.wall_s / peer.wall_s:.2f}, of processor time {ours.cpu_s / peer.cpu_s:.2f}"
        beside = f"   by hand {peer.wall_s:6.2f} s (cpu {peer.cpu_s:6.2f})   ratio {ratios}"
    speed = f"{CLIP_S / ours.wall_s:5.1f} x real time"
    print(f"{name:28} {ours.wall_s:6.2f} s (cpu {ours.cpu_s:6.2f})   {speed}{beside}")


def line_playable(early_s: float | None) -> None:
    """Print when the early version was there."""
    print(f"{'  playable after':28} {early_s or float('nan'):6.2f} s   (claim: 2 s)")


def make_source(folder: Path) -> tuple[Path, Path]:
    """Make two minutes of 720p, and return it and its sound alone."""
    source, voice = folder / "source.mp4", folder / "voice.m4a"
    picture = f"testsrc2=s=1280x720:r=30:d={SOURCE_S}"
    noise = "aevalsrc='0.3*sin(2*PI*220*t)*(0.5+0.5*sin(2*PI*3*t))+0.05*random(0)':s=48000:c=stereo"
    inputs = ("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", f"{noise}:d={SOURCE_S}")
    ffmpeg(*inputs, *X264, "-g", "120", "-c:a", "aac", str(source))
    ffmpeg("-i", str(source), "-vn", "-c", "copy", str(voice))
    return source, voice


def by_hand(source: Path, *arguments: str, suffix: str = ".mp4") -> Spent:
    """Cut the same stretch with FFmpeg, and return what that took."""
    out = source.with_name(f"peer{suffix}")
    return ffmpeg("-ss", str(START_S), "-i", str(source), "-t", str(CLIP_S), *arguments, str(out))


def bench_mp4(folder: Path, source: Path) -> None:
    """Keep the picture's shape: copy, cut exactly, encode."""
    copied = by_hand(source, "-c", "copy", "-movflags", "+faststart")
    ours, early = child(folder, source, accuracy="fast")
    line("mp4, fast, with pictures", ours, copied)
    line_playable(early)

    encoded = by_hand(source, *X264, "-crf", "21", "-c:a", "aac")
    ours, early = child(folder, source, accuracy="exact")
    line("mp4, exact, with pictures", ours, encoded)
    line_playable(early)
    ours, _ = child(folder, source, accuracy="encode")
    line("mp4, encode, with pictures", ours, encoded)


def bench_other_pictures(folder: Path, source: Path) -> None:
    """Make a WebM, and a vertical clip."""
    peer = by_hand(source, *VP9, "-c:a", "libopus", suffix=".webm")
    ours, _ = child(folder, source, formats=["webm"], accuracy="encode")
    line("webm, with pictures", ours, peer)

    frame = "crop=ih*9/16:ih,scale=720:1280"
    peer = by_hand(source, "-vf", frame, *X264, "-crf", "21", "-c:a", "aac")
    ours, _ = child(folder, source, preset="vertical")
    line("vertical, following motion", ours, peer)


def bench_sound(folder: Path, source: Path, voice: Path) -> None:
    """Make what is heard: an MP3, and an audiogram."""
    ours, _ = child(folder, source, formats=["mp3"], loudness=-14.0)
    line("mp3 at -14 LUFS", ours, None)
    ours, _ = child(folder, voice, preset="audiogram", title="A moment worth sharing")
    line("audiogram 1080x1080", ours, None)
    print(f"{'  claim':28} {CLIP_S / 4:6.2f} s or less")


def main() -> None:
    """Make a two-minute 720p source and render half a minute of it in several ways."""
    with tempfile.TemporaryDirectory(prefix="bench-render-") as name:
        folder = Path(name)
        source, voice = make_source(folder)
        bench_mp4(folder, source)
        bench_other_pictures(folder, source)
        bench_sound(folder, source, voice)


if __name__ == "__main__":
    main()
