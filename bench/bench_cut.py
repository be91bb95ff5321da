"""Cuts half a minute out of one hour: exact against encoding and the `smartcut` package, `fast` against FFmpeg.

    python bench/bench_cut.py [--smartcut PYTHON]

makes a one-hour 720p recording (H.264 and AAC) once in the temporary folder, runs every contestant several times in
turns, and prints the medians and their ratios, by the clock and by processor time: where the machine does other work
too, compare the latter. `--smartcut` names a Python that has the `smartcut` package (in its own virtual environment:
`python -m venv V && V/bin/pip install smartcut`); without it that line is left out. Ten clips that begin at the same
picture are then cut with and without what they share. At last the whole command `snuggles cut`, with start-up, check
and pictures, is held against FFmpeg's encoding where keyframes are two and ten seconds apart.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pipeline.rendering.cut import cut
from pipeline.rendering.encoding.ffmpeg import executable
from pipeline.types import Source

HOUR_S = 3600
PIECE_S = 60
CLIP_S = 30
STARTS_S = (1801.3, 913.7, 2702.9)
"""Between keyframes, so that there is something to encode."""
ROUNDS = 3
KEYFRAME_EVERY = 60
EXACT_TO_ENCODE = 0.2
EXACT_TO_SMARTCUT = 0.15
FAST_TO_COPY = 3.0
WHOLE = {2: 0.30, 10: 0.45}
"""Seconds from keyframe to keyframe, and the limit of the whole command's time against encoding."""
WHOLE_LENGTH_S = 90
WHOLE_STARTS_S = (22.5, 25.0, 27.5)
"""Early, in the middle and late in groups of ten seconds, and of two."""
SHARING_CLIPS = 10
SHARED_START_S = 1801.3


class Spent(NamedTuple):
    """Seconds by the clock, and of processor time in all processes."""

    wall_s: float
    cpu_s: float


def spent(work: Callable[[], object]) -> Spent:
    """Do some work and return what it took."""
    begin = _now()
    work()
    end = _now()
    return Spent(end.wall_s - begin.wall_s, end.cpu_s - begin.cpu_s)


def _now() -> Spent:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return Spent(time.perf_counter(), sum(u.ru_utime + u.ru_stime for u in used))


def make_hour(folder: Path) -> Path:
    """Return a one-hour recording; made once."""
    hour = folder / "hour-720p.mp4"
    if hour.exists():
        return hour
    piece, listing = folder / "piece.mp4", folder / "pieces.txt"
    pictures = f"testsrc2=s=1280x720:r=30:d={PIECE_S},noise=alls=12:allf=t"
    sound = f"anoisesrc=d={PIECE_S}:r=48000:a=0.1"
    video = ("-c:v", "libx264", "-preset", "veryfast", "-b:v", "4800k", "-g", KEYFRAME_EVERY, "-pix_fmt", "yuv420p")
    run("-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", sound, *video, "-c:a", "aac", "-b:a", "128k", piece)
    listing.write_text(f"file {piece.name}\n" * (HOUR_S // PIECE_S))
    run("-f", "concat", "-i", listing, "-c", "copy", "-movflags", "+faststart", hour)
    return hour


def run(*arguments: object) -> None:
    """Run FFmpeg."""
    subprocess.run([executable(), "-v", "error", "-y", "-nostdin", *map(str, arguments)], check=True)


def contestants(hour: Path, folder: Path, smartcut: str | None) -> dict[str, Callable[[float], object]]:
    """Return what to measure, by name; each gets the start of the clip."""
    out = folder / "clip.mp4"
    encoders = ("-c:v", "libx264", "-preset", "veryfast", "-c:a", "aac")
    found: dict[str, Callable[[float], object]] = {
        "exact": lambda at: cut(hour, start_s=at, end_s=at + CLIP_S, out=out),
        "fast": lambda at: cut(hour, start_s=at, end_s=at + CLIP_S, out=out, accuracy="fast"),
        "encode": lambda at: cut(hour, start_s=at, end_s=at + CLIP_S, out=out, accuracy="encode"),
        "ffmpeg encode": lambda at: run("-ss", at, "-i", hour, "-t", CLIP_S, *encoders, out),
        "ffmpeg copy": lambda at: run("-ss", at, "-i", hour, "-t", CLIP_S, "-c", "copy", out),
    }
    if smartcut is not None:
        command = [smartcut, "-m", "smartcut", str(hour), str(out), "--keep"]
        found["smartcut"] = lambda at: subprocess.run(
            [*command, f"{at},{at + CLIP_S}"], check=True, capture_output=True
        )
    return found


def main() -> int:
    """Measure and print; the status is 1 when a ratio is above its limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--smartcut", help="a Python that has the smartcut package")
    given = parser.parse_args()
    folder = Path(tempfile.gettempdir()) / "big-snuggles-bench"
    folder.mkdir(exist_ok=True)
    hour = make_hour(folder)
    taken: dict[str, list[Spent]] = {}
    for number in range(ROUNDS):
        at = STARTS_S[number % len(STARTS_S)]
        for name, work in contestants(hour, folder, given.smartcut).items():
            taken.setdefault(name, []).append(spent(partial(work, at)))
    medians = {name: Spent(*map(statistics.median, zip(*times, strict=True))) for name, times in taken.items()}
    print(f"$ python {' '.join(sys.argv)}    # {CLIP_S} s of {hour.stat().st_size / 1e9:.1f} GB, one hour of 720p")
    for name, one in medians.items():
        print(f"{name:14} {one.wall_s:8.3f} s (cpu {one.cpu_s:7.3f})")
    pairs = [
        ("exact", "encode", EXACT_TO_ENCODE),
        ("exact", "ffmpeg encode", EXACT_TO_ENCODE),
        ("fast", "ffmpeg copy", FAST_TO_COPY),
        ("exact", "smartcut", EXACT_TO_SMARTCUT),
    ]
    is_missed = False
    for ours, peer, limit in pairs:
        if peer not in medians:
            continue
        wall = medians[ours].wall_s / medians[peer].wall_s
        cpu = medians[ours].cpu_s / medians[peer].cpu_s
        is_missed = is_missed or wall > limit
        print(f"{ours + ' / ' + peer:24} {wall:6.3f}, of processor time {cpu:6.3f}  (limit {limit})")
    print_sharing(hour, folder)
    for group_s, limit in WHOLE.items():
        is_missed = print_whole(folder, group_s, limit) or is_missed
    return int(is_missed)


def print_whole(folder: Path, group_s: int, limit: float) -> bool:
    """Run the command and FFmpeg's encoding in turns, print both, and return whether the ratio is above its limit."""
    source, out = folder / f"groups-{group_s}.mp4", folder / "clip.mp4"
    if not source.exists():
        pictures = f"testsrc2=s=1280x720:r=30:d={WHOLE_LENGTH_S},noise=alls=12:allf=t"
        sound = f"anoisesrc=d={WHOLE_LENGTH_S}:r=48000:a=0.1"
        video = ("-c:v", "libx264", "-preset", "veryfast", "-b:v", "4800k", "-pix_fmt", "yuv420p")
        groups = ("-g", 30 * group_s, "-keyint_min", 30 * group_s, "-sc_threshold", 0)
        run("-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", sound, *video, *groups, "-c:a", "aac", source)
    command = [sys.executable, "-m", "cli.main", "cut", str(source), "--out", str(out)]
    encoders = ("-c:v", "libx264", "-preset", "veryfast", "-c:a", "aac")
    cuts: list[Spent] = []
    encodes: list[Spent] = []
    for at in WHOLE_STARTS_S:
        times = ("--start", str(at), "--end", str(at + CLIP_S))
        cuts.append(spent(partial(subprocess.run, [*command, *times], check=True, capture_output=True)))
        encodes.append(spent(partial(run, "-ss", at, "-i", source, "-t", CLIP_S, *encoders, out)))
    ours, peer = (Spent(*map(statistics.median, zip(*times, strict=True))) for times in (cuts, encodes))
    print(
        f"whole cut, keyframes {group_s} s apart / encode {ours.wall_s:.3f} / {peer.wall_s:.3f} s ="
        f" {ours.wall_s / peer.wall_s:.3f}, of processor time {ours.cpu_s / peer.cpu_s:.3f}  (limit {limit})"
    )
    return ours.wall_s / peer.wall_s > limit


def print_sharing(hour: Path, folder: Path) -> None:
    """Cut clips that begin at one picture and end at different ones, each alone and then all with what they share."""
    for name in ("alone", "sharing"):
        with tempfile.TemporaryDirectory(dir=folder) as cache_dir:
            source = Source(location=str(hour), cache_dir=cache_dir if name == "sharing" else None)
            decoded: list[int] = []
            took = spent(partial(cut_all, source, folder / "clip.mp4", decoded))
        pictures = sum(decoded)
        print(
            f"{SHARING_CLIPS} clips {name:8} {took.wall_s:7.3f} s (cpu {took.cpu_s:7.3f}), {pictures} pictures decoded"
        )


def cut_all(source: Source, out: Path, decoded: list[int]) -> None:
    """Cut the clips and note how many pictures were decoded for each."""
    for number in range(SHARING_CLIPS):
        end_s = SHARED_START_S + CLIP_S + number
        decoded.append(cut(source, start_s=SHARED_START_S, end_s=end_s, out=out).decoded)


if __name__ == "__main__":
    raise SystemExit(main())
