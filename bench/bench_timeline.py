"""Measures listening against FFmpeg's own decoding, its memory on six hours, and scoring a stored hour again.

    python bench/bench_timeline.py [--folder DIR] [--minutes 60]

Makes (once, in DIR) an hour of 720p H.264 beside AAC by repeating two minutes, and six hours of AAC beside a still.
One core means `taskset -c 0` for both sides; each time is the best of three, in turn.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import imageio_ffmpeg

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
ROUNDS = 3
SIX_HOURS_LIMIT_MB = 300
SPEECH_LIKE = (
    "anoisesrc=c=pink:a=0.3:r=48000:seed=1,tremolo=f=4:d=0.9,asplit[a][b];[b]adelay=13|13[c];[a][c]amerge=inputs=2"
)
"""Noise in syllables, a little different in each channel: AAC spends the bits that speech would take."""
LISTEN = """
import json, resource, sys, time
from pipeline.listening.listen import build_timeline
from pipeline.listening.tagging.load import load_tagger
started, worked = time.perf_counter(), time.process_time()
timeline = build_timeline(sys.argv[1], tagger=load_tagger(sys.argv[2] if len(sys.argv) > 2 else None))
wall_s, own_s = time.perf_counter() - started, time.process_time() - worked
own = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"wall_s": wall_s, "cpu_s": own_s, "rows": timeline.rows,
    "rss_mb": own.ru_maxrss / 1024}))
"""
SCORE = """
import json, sys, tempfile, time
from pathlib import Path
from pipeline.listening.detect import detect
from pipeline.listening.listen import Timeline, build_timeline
from pipeline.types import DetectOptions
path = Path(tempfile.mkdtemp()) / "timeline"
build_timeline(sys.argv[1]).save(path)
loads, scores = [], []
for sensitivity in (0.0, 0.5, 0.7, 0.9, 0.7, 0.5):
    started = time.perf_counter()
    timeline = Timeline.load(path)
    loads.append(time.perf_counter() - started)
    started = time.perf_counter()
    found = detect(timeline, DetectOptions(sensitivity=sensitivity))
    scores.append(time.perf_counter() - started)
print(json.dumps({"load_ms": 1000 * min(loads), "detect_ms": 1000 * min(scores), "bytes": path.stat().st_size}))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "big-snuggles-bench")
    parser.add_argument("--minutes", type=int, default=60, help="how long the video is")
    parser.add_argument("--model", default=None, help="a YAMNet export; without it the built-in tagger listens")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    hour = _repeated(arguments.folder, "video", arguments.minutes)
    peer = [FFMPEG, "-v", "error", "-i", str(hour), "-vn", "-f", "null", "-"]
    print(f"{arguments.minutes} minutes of 720p H.264 and AAC, {hour.stat().st_size / 1e6:.0f} MB, best of {ROUNDS}")
    for cores in ("0", "0,1"):
        decoding, listening = [], []
        for _ in range(ROUNDS):
            decoding.append(_seconds(["taskset", "-c", cores, *peer]))
            listening.append(_python(LISTEN, hour, cores, arguments.model))
        ours = min(run["wall_s"] for run in listening)
        worked, memory = min(run["cpu_s"] for run in listening), listening[0]["rss_mb"]
        print(
            f"  cores {cores:4} ffmpeg {min(decoding):.2f} s, listening {ours:.2f} s: ratio {ours / min(decoding):.2f}",
            end="",
        )
        print(f" (processor time {worked:.2f} s, {memory:.0f} MB)")
    scored = _python(SCORE, hour, "0")
    times = f"load {scored['load_ms']:.1f} ms, detect {scored['detect_ms']:.1f} ms"
    print(f"  scoring again: {times}, {scored['bytes']:.0f} bytes")
    six = _python(LISTEN, _repeated(arguments.folder, "sound", 6 * 60), "0,1", arguments.model)
    print(f"six hours: {six['rss_mb']:.0f} MB at most (limit {SIX_HOURS_LIMIT_MB}), {six['wall_s']:.1f} s")
    print(
        f"commands: taskset -c 0 ffmpeg -i {hour.name} -vn -f null -   |   taskset -c 0 build_timeline({hour.name!r})"
    )


def _repeated(folder: Path, kind: str, minutes: int) -> Path:
    """Return a recording of this length, made of two minutes again and again without encoding them again."""
    path = folder / f"{kind}{minutes}.mp4"
    if path.exists():
        return path
    piece = folder / f"{kind}-piece.mp4"
    picture = "testsrc2=s=1280x720:r=25" if kind == "video" else "color=s=64x64:r=1"
    bit_rate = "4500k" if kind == "video" else "20k"
    encoders = ["-c:v", "libx264", "-preset", "ultrafast", "-b:v", bit_rate, "-c:a", "aac", "-b:a", "128k"]
    _run(["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", SPEECH_LIKE, "-t", "120", *encoders, str(piece)])
    parts = folder / f"{kind}-parts.txt"
    parts.write_text(f"file '{piece.name}'\n" * (minutes // 2))
    unfinished = folder / f"unfinished-{path.name}"
    _run(["-f", "concat", "-i", str(parts), "-c", "copy", str(unfinished)])
    return unfinished.rename(path)


def _run(arguments: list[str]) -> None:
    subprocess.run([FFMPEG, "-y", "-v", "error", *arguments], check=True)


def _seconds(command: list[str]) -> float:
    """Return how long a command takes, by its own child's clock."""
    timer = "import subprocess, sys, time; t = time.perf_counter(); subprocess.run(sys.argv[1:], check=True);"
    done = subprocess.run(
        [sys.executable, "-c", timer + "print(time.perf_counter() - t)", *command],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout.split()[-1])


def _python(program: str, path: Path, cores: str, model: str | None = None) -> dict[str, float]:
    done = subprocess.run(
        ["taskset", "-c", cores, sys.executable, "-c", program, str(path), *([model] if model else [])],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


if __name__ == "__main__":
    main()
