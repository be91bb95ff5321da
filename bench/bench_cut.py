"""Cuts half a minute out of one hour: exact against encoding and the `smartcut` package, `fast` against FFmpeg.

    python bench/bench_cut.py [--smartcut PYTHON]

makes a one-hour 720p recording (H.264 and AAC) once in the temporary folder, runs every contestant several times in
turns, and prints the medians and their ratios. `--smartcut` names a Python that has the `smartcut` package (in its own
virtual environment: `python -m venv V && V/bin/pip install smartcut`); without it that line is left out.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.cut import cut
from pipeline.rendering.ffmpeg import executable

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
    taken: dict[str, list[float]] = {}
    for number in range(ROUNDS):
        for name, work in contestants(hour, folder, given.smartcut).items():
            begin = time.perf_counter()
            work(STARTS_S[number % len(STARTS_S)])
            taken.setdefault(name, []).append(time.perf_counter() - begin)
    medians = {name: statistics.median(times) for name, times in taken.items()}
    print(f"$ python {' '.join(sys.argv)}    # {CLIP_S} s of {hour.stat().st_size / 1e9:.1f} GB, one hour of 720p")
    for name, seconds in medians.items():
        print(f"{name:14} {seconds:8.3f} s")
    ratios = [
        ("exact / encode", medians["exact"] / medians["encode"], EXACT_TO_ENCODE),
        ("exact / ffmpeg encode", medians["exact"] / medians["ffmpeg encode"], EXACT_TO_ENCODE),
        ("fast / ffmpeg copy", medians["fast"] / medians["ffmpeg copy"], FAST_TO_COPY),
    ]
    if "smartcut" in medians:
        ratios.append(("exact / smartcut", medians["exact"] / medians["smartcut"], EXACT_TO_SMARTCUT))
    for name, ratio, limit in ratios:
        print(f"{name:24} {ratio:6.3f}  (limit {limit})")
    return int(any(ratio > limit for _, ratio, limit in ratios))


if __name__ == "__main__":
    raise SystemExit(main())
