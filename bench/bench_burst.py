"""Thirty clips through two worker slots, beside a bare loop over FFmpeg that encodes the same stretches, two at a time.

    python bench/bench_burst.py [--clips 30]

The bare loop only encodes (libx264 veryfast and AAC). The service also claims, uploads, verifies by decoding, makes the
thumbnail and the animated preview; a second loop does those by FFmpeg too. `exact` is what clients get by default;
`encode` does the work of the loops. Processor seconds, of all processes, PostgreSQL's among them, are what remains
comparable on a machine that others use at the same time; all figures are of one run.
"""

import argparse
import contextlib
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import imageio_ffmpeg
import psutil
from bench_orchestration import add_recording
from bench_queue import database, fleet_of, servers

from db.connection import SERVICE, Database
from services.billing import tier as tiers
from services.clips import service as clips
from services.clips.service import ClipStyle

SLOTS = 2
CLIP_S = 10.0
STEP_S = 0.5
"""Each clip begins a little later: one that is asked for twice would be made once."""
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
UNFINISHED = "SELECT count(*) AS n FROM jobs WHERE finished_at IS NULL"
SPAN = "SELECT extract(epoch FROM max(finished_at) - min(created_at)) AS s FROM jobs WHERE clip_id = ANY(%s)"
FAILED = "SELECT count(*) AS n FROM clips WHERE id = ANY(%s) AND status <> 'completed'"


class Spent(NamedTuple):
    """Seconds by the clock, and of processor time of this process and all it has started."""

    wall_s: float
    cpu_s: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=30)
    count: int = parser.parse_args().clips
    with tempfile.TemporaryDirectory() as name, servers(Path(name)) as settings, fleet_of(settings, threads=SLOTS):
        media = make_media(Path(name) / "talk.mp4", duration_s=CLIP_S + count * STEP_S)
        with database(settings) as pool:
            recording_id, user_id = add_recording(pool, settings, media)
            bare = time_loop(media, count, Path(name), is_whole=False)
            whole = time_loop(media, count, Path(name), is_whole=True)
            print(f"{count} clips of {CLIP_S:.0f} s, 720p, {SLOTS} at a time")
            print(f"  FFmpeg, encoding alone             {describe(bare, count)}")
            print(f"  FFmpeg, with check and pictures    {describe(whole, count)}")
            for accuracy in ("exact", "encode"):
                began_s = cpu_s()
                wall_s = time_service(pool, user_id, recording_id, count=count, style=ClipStyle(accuracy=accuracy))
                ours = Spent(wall_s, cpu_s() - began_s)
                print(f"  the service, {accuracy:6}                {describe(ours, count)}")
                print(f"    beside encoding alone            {ratios(bare, ours)} (at least 0.9)")
                print(f"    beside the same work             {ratios(whole, ours)}")


def describe(spent: Spent, count: int) -> str:
    """Return what a burst took."""
    return f"{spent.wall_s:6.1f} s, processor {spent.cpu_s / count:5.2f} s a clip"


def ratios(peer: Spent, ours: Spent) -> str:
    """Return how many times as fast, and as cheap, ours was."""
    return f"{peer.wall_s / ours.wall_s:.2f} x as fast, {peer.cpu_s / ours.cpu_s:.2f} x by processor time"


def cpu_s() -> float:
    """Return the processor seconds of this process, its descendants, and those of them that have ended."""
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(sum(process.cpu_times()[:4]) for process in family)


def time_loop(media: Path, count: int, folder: Path, *, is_whole: bool) -> Spent:
    """Return what FFmpeg takes for all clips; `is_whole` adds the check, the thumbnail and the animated preview."""

    def run(*arguments: str) -> None:
        subprocess.run([FFMPEG, "-y", "-loglevel", "error", *arguments], check=True)

    def make(number: int) -> None:
        out = str(folder / f"{number}.mp4")
        cut = ("-ss", str(number * STEP_S), "-i", str(media), "-t", str(CLIP_S))
        run(*cut, "-c:v", "libx264", "-preset", "veryfast", "-c:a", "aac", out)
        if is_whole:
            run("-xerror", "-i", out, "-f", "null", "-")
            run("-ss", "4", "-i", out, "-frames:v", "1", "-q:v", "3", str(folder / f"{number}.jpg"))
            small = ("-vf", "fps=8,scale=320:-2", "-c:v", "libwebp_anim", "-quality", "50")
            run("-ss", "3", "-i", out, "-t", "3", "-an", *small, str(folder / f"{number}.webp"))

    began_s, began_cpu_s = time.perf_counter(), cpu_s()
    with ThreadPoolExecutor(SLOTS) as pool:
        list(pool.map(make, range(count)))
    return Spent(time.perf_counter() - began_s, cpu_s() - began_cpu_s)


def time_service(pool: Database, user_id: UUID, recording_id: UUID, *, count: int, style: ClipStyle) -> float:
    """Return the seconds from the first request to the end of the last job, by PostgreSQL's clock."""
    with pool.transaction(SERVICE) as tx:
        tier = tiers.tier_of(tx, user_id=user_id)
        ids = [
            clips.create(
                tx,
                user_id=user_id,
                tier=tier,
                recording_id=recording_id,
                start_s=number * STEP_S,
                end_s=number * STEP_S + CLIP_S,
                style=style,
            )[0].id
            for number in range(count)
        ]
    while _one(pool, UNFINISHED)["n"]:
        time.sleep(0.1)
    if _one(pool, FAILED, ids)["n"]:
        raise SystemExit("not every clip was made; the figures would say nothing")
    return float(_one(pool, SPAN, ids)["s"])


def _one(pool: Database, statement: str, *parameters: object) -> dict[str, float]:
    with pool.transaction(SERVICE) as tx:
        return tx.execute(statement, parameters).fetchone() or {}


def make_media(path: Path, *, duration_s: float) -> Path:
    """Make a moving picture of 720p with a keyframe every two seconds, and a tone."""
    command = [
        FFMPEG,
        "-loglevel",
        "error",
        "-f",
        "lavfi",
        "-i",
        f"testsrc2=duration={duration_s}:size=1280x720:rate=30",
    ]
    command += ["-f", "lavfi", "-i", f"sine=frequency=440:duration={duration_s}", "-c:v", "libx264"]
    subprocess.run(
        [*command, "-preset", "ultrafast", "-g", "60", "-pix_fmt", "yuv420p", "-c:a", "aac", str(path)], check=True
    )
    return path


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
