"""Thirty clips through two worker slots, beside a bare loop over FFmpeg that encodes the same stretches, two at a time.

    python bench/bench_burst.py [--clips 30]

The loop only encodes (libx264 veryfast and AAC). The service also claims, uploads, verifies by decoding, makes the
thumbnail and the animated preview. `exact` is what clients get by default; `encode` does the work of the loop.
"""

import argparse
import contextlib
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import imageio_ffmpeg
from bench_orchestration import add_recording
from bench_queue import database, fleet_of, servers

from db.connection import SERVICE, Database
from services import clips, quotas
from services.clips import ClipStyle

SLOTS = 2
CLIP_S = 10.0
STEP_S = 0.5
"""Each clip begins a little later: one that is asked for twice would be made once."""
FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
UNFINISHED = "SELECT count(*) AS n FROM jobs WHERE finished_at IS NULL"
SPAN = "SELECT extract(epoch FROM max(finished_at) - min(created_at)) AS s FROM jobs WHERE clip_id = ANY(%s)"
FAILED = "SELECT count(*) AS n FROM clips WHERE id = ANY(%s) AND status <> 'completed'"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=30)
    count: int = parser.parse_args().clips
    with tempfile.TemporaryDirectory() as name, servers(Path(name)) as settings, fleet_of(settings, threads=SLOTS):
        media = make_media(Path(name) / "talk.mp4", duration_s=CLIP_S + count * STEP_S)
        with database(settings) as pool:
            recording_id, user_id = add_recording(pool, settings, media)
            loop_s = time_loop(media, count, Path(name))
            print(f"{count} clips of {CLIP_S:.0f} s, 720p, {SLOTS} at a time: bare FFmpeg loop {loop_s:.1f} s")
            for accuracy in ("exact", "encode"):
                whole_s = time_service(pool, user_id, recording_id, count=count, style=ClipStyle(accuracy=accuracy))
                print(f"  {accuracy:6}  {whole_s:.1f} s, ratio {loop_s / whole_s:.2f} (at least 0.9)")


def time_loop(media: Path, count: int, folder: Path) -> float:
    """Return the seconds that FFmpeg takes for all clips."""

    def encode(number: int) -> None:
        command = [FFMPEG, "-loglevel", "error", "-ss", str(number * STEP_S), "-i", str(media), "-t", str(CLIP_S)]
        command += ["-c:v", "libx264", "-preset", "veryfast", "-c:a", "aac", str(folder / f"{number}.mp4")]
        subprocess.run(command, check=True)

    began = time.perf_counter()
    with ThreadPoolExecutor(SLOTS) as pool:
        list(pool.map(encode, range(count)))
    return time.perf_counter() - began


def time_service(pool: Database, user_id: UUID, recording_id: UUID, *, count: int, style: ClipStyle) -> float:
    """Return the seconds from the first request to the end of the last job, by PostgreSQL's clock."""
    with pool.transaction(SERVICE) as tx:
        tier = quotas.tier_of(tx, user_id=user_id)
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
