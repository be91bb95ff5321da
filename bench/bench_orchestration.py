"""What the service adds to a clip: from the request's transaction to the published clip, minus the media child alone.

    python bench/bench_orchestration.py [--clips 20]

The peer is the same child with the same task, started as a worker starts it. Both run one after the other, alternating.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from uuid import UUID, uuid4

import imageio_ffmpeg
import msgspec
from bench_queue import add_user, database, fleet_of, servers

from db.connection import SERVICE, Database
from pipeline.types import RenderTask, Source
from services.billing import tier as tiers
from services.clips import service as clips
from services.clips.service import ClipStyle
from services.process import resources as buckets
from services.process.settings import Settings
from storage.keys import source_key
from workers.children.launcher import Launcher, inherited
from workers.children.process import ChildProcess

CLIP_S = 6.0
STEP_S = 0.4
"""Each clip begins a little later: one that is asked for twice would be made once."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, servers(Path(name)) as settings, fleet_of(settings, threads=1):
        media = make_media(Path(name) / "talk.mp4")
        with database(settings) as pool:
            recording_id, user_id = add_recording(pool, settings, media)
            launcher = Launcher()
            pairs = [
                (
                    time_service(pool, user_id, recording_id, start_s=number * STEP_S),
                    time_child(launcher, media, number * STEP_S),
                )
                for number in range(options.clips + 1)
            ][1:]
            launcher.close()
    whole = statistics.median(one for one, _ in pairs)
    alone = statistics.median(one for _, one in pairs)
    added = statistics.median(one - other for one, other in pairs)
    print(f"a clip of {CLIP_S:.0f} s through the service {whole:.0f} ms, the media child alone {alone:.0f} ms")
    print(f"orchestration {added:.0f} ms a clip (at most 150)")


def time_service(pool: Database, user_id: UUID, recording_id: UUID, *, start_s: float) -> float:
    """Return the milliseconds from the request to the end of the job, by PostgreSQL's clock."""
    with pool.transaction(SERVICE) as tx:
        _, job = clips.create(
            tx,
            user_id=user_id,
            tier=tiers.tier_of(tx, user_id=user_id),
            recording_id=recording_id,
            start_s=start_s,
            end_s=start_s + CLIP_S,
            style=ClipStyle(accuracy="encode"),
        )
    while True:
        time.sleep(0.02)
        with pool.transaction(SERVICE) as tx:
            row = tx.execute("SELECT created_at, finished_at FROM jobs WHERE id = %s", (job.id,)).fetchone()
        if row and row["finished_at"]:
            return float((row["finished_at"] - row["created_at"]).total_seconds() * 1000)


def time_child(launcher: Launcher, media: Path, start_s: float) -> float:
    """Return the milliseconds that the child takes by itself."""
    source = Source(location=str(media), size_bytes=media.stat().st_size)
    task = RenderTask(source=source, start_s=start_s, end_s=start_s + CLIP_S, accuracy="encode")
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        environment = {**inherited(), "SNUGGLES_CHILD_THREADS": str(os.cpu_count())}
        child = ChildProcess(launcher.start(Path(folder), environment))
        lines = list(child.lines(msgspec.json.encode(task)))
        if child.end() != 0 or b'"done"' not in lines[-1]:
            raise SystemExit(f"the child failed: {lines[-1:]} {child.stderr}")
        return (time.perf_counter() - began) * 1000


def add_recording(pool: Database, settings: Settings, media: Path) -> tuple[UUID, UUID]:
    """Store a recording as if it had been uploaded and listened to."""
    user_id, recording_id = add_user(pool), uuid4()
    key = source_key(user_id, recording_id)
    buckets.open_from(settings).recordings.put_file(key, media, content_type="video/mp4")
    with pool.transaction(SERVICE) as tx:
        tx.execute(
            "INSERT INTO recordings (id, user_id, title, filename, content_type, size_bytes, status, source_key, "
            "probe, duration_s, has_audio, has_video, timeline_key) "
            "VALUES (%s, %s, 'Talk', 'talk.mp4', 'video/mp4', %s, 'ready', %s, '{}', 30, true, true, 'none')",
            (recording_id, user_id, media.stat().st_size, key),
        )
    return recording_id, user_id


def make_media(path: Path) -> Path:
    """Make half a minute of moving picture with a tone."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error"]
    command += ["-f", "lavfi", "-i", "testsrc2=duration=30:size=640x360:rate=25"]
    command += ["-f", "lavfi", "-i", "sine=frequency=440:duration=30", "-c:v", "libx264", "-preset", "ultrafast"]
    subprocess.run([*command, "-g", "50", "-pix_fmt", "yuv420p", "-c:a", "aac", str(path)], check=True)
    return path


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
