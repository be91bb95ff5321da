"""Recording rooms live: how soon a moment is told and whether it lasts, what one recording costs, an hour, many rooms.

PYTHONPATH=tests python bench/bench_live.py [--minutes 60] [--rooms 50]

A client sends the parts of a recording that was made before, two seconds of it every two seconds. The hour's parts are
sent without pauses, before there is a worker. What is told of several tracks is compared with the highlights of the
finished recording; its parts come seven times as fast as they were spoken.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import msgspec
import psutil
from bench_queue import database, servers
from support.api.capture import PART_MS, Recorder, conversation, overlaps, parts_of
from support.media.audio import applause, mixed, speech
from support.media.live import RATE, split, webm
from support.servers.fleet import Fleet, wait_for
from support.sockets.house import House, serves
from support.sockets.node import driver

from cli.embedded.port import free_port
from pipeline.live.parts import CLUSTER

PART_S = PART_MS / 1000
LENGTH_S, MOMENTS_S = 60, (20, 40)
TALK_S, TALK_MOMENTS_S = 300, (30, 65, 95, 130, 160, 200, 235, 270)
PART_EVERY_S = 0.3
AT_ONCE = 5
"""Parts of each room that are sent beside those of all others."""
SENDERS = 50
PIECE_S = 120
END_S = 900.0
SET_BACK = """
WITH shifted AS (UPDATE recording_tracks SET created_at = created_at - make_interval(secs => %(s)s),
                     clock_offset_ms = clock_offset_ms - 1000 * %(s)s::bigint
                 WHERE recording_id = %(id)s)
UPDATE recordings SET live_started_at = live_started_at - make_interval(secs => %(s)s) WHERE id = %(id)s RETURNING id
"""
TOOK = """
SELECT extract(epoch FROM finished_at - started_at) AS s FROM jobs
WHERE kind = 'finalise_live' AND recording_id = %(id)s AND state = 'succeeded'
"""
STORED = """
SELECT count(*) AS parts, coalesce(sum(p.size_bytes), 0) AS bytes FROM recording_parts p
JOIN recording_tracks t ON t.id = p.track_id WHERE p.stored_at IS NOT NULL AND t.recording_id = ANY(%(ids)s)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=60, help="how long the recording is whose end is timed")
    parser.add_argument("--rooms", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, servers(Path(name)) as base, database(base) as pool, driver() as node:
        port = free_port()
        settings = msgspec.structs.replace(base, port=port, public_url=f"http://127.0.0.1:{port}")
        house = House(url=settings.public_url, settings=settings, database=pool, driver=node)
        with Fleet(settings, Path(name)) as fleet:
            fleet.api(port=port, options=["--with-sockets"])
            wait_for(lambda: serves(settings.public_url), what="the API")
            log(f"the parts of {options.rooms} rooms at once")
            parts = parts_of(Path(name) / "talk.webm", conversation(LENGTH_S, *MOMENTS_S))
            kept, sent, took_s = measure_many(house, parts[:AT_ONCE], options.rooms)
            log(f"{options.minutes} minutes of parts")
            long = long_parts(Path(name), options.minutes)
            recorder, recording_id = record_fast(house, long)
            fleet.dispatcher()
            worker = psutil.Process(fleet.worker(threads=2).pid)
            log("their end")
            end_s = measure_end(recorder, recording_id)
            log("one live recording")
            told_s, cost = measure_live(house, worker, parts)
            log("two tracks")
            lasting, told = measure_lasting(house, Path(name))
    print(f"{options.rooms} rooms at once, {AT_ONCE} parts each: {kept} of {sent} stored, in {took_s:.1f} s")
    print(f"finalising {options.minutes} minutes in {len(long)} parts: {end_s:.1f} s (at most 30 for an hour)")
    print(f"from a moment to its provisional highlight: {describe(told_s)} (at most 10)")
    print(f"of {told} highlights that were told of two tracks, {lasting} are highlights at the end (at least 0.9)")
    print(f"a live recording beside its listening: {100 * cost:.1f} % of a core (at most 5)")


def log(what: str) -> None:
    """Say what is measured now."""
    print(f"measuring {what}", file=sys.stderr, flush=True)


def describe(times_s: Sequence[float]) -> str:
    """Return times in words."""
    return ", ".join(f"{each:.1f} s" for each in times_s) or "none was told"


def begin(house: House) -> tuple[Recorder, str, Any]:
    """Begin to record a room of a new host."""
    host = house.member(tier="pro")
    room = house.room(host)
    recorder = Recorder(house, host, room.room.id)
    recording_id = recorder.ask("POST", "/start", {})["recording"]["id"]
    recorder.begin()
    return recorder, recording_id, room


def measure_many(house: House, parts: Sequence[bytes], rooms: int) -> tuple[int, int, float]:
    """Return how many parts of all rooms were stored whole, how many were sent, and how long that took."""
    begun = [begin(house) for _ in range(rooms)]
    began_s = time.monotonic()

    def send(recorder: Recorder) -> None:
        for number, data in enumerate(parts, start=1):
            recorder.send(number, data)

    with ThreadPoolExecutor(SENDERS) as senders:
        list(senders.map(send, [recorder for recorder, _, _ in begun]))
    took_s = time.monotonic() - began_s
    [found] = house.rows(STORED, ids=[recording_id for _, recording_id, _ in begun])
    if found["bytes"] != rooms * sum(map(len, parts)):
        raise RuntimeError(f"{found['bytes']} bytes are stored, {rooms * sum(map(len, parts))} were sent")
    return found["parts"], rooms * len(parts), took_s


def long_parts(folder: Path, minutes: int) -> list[bytes]:
    """Return the parts of a long recording: two minutes, again and again, as one stream."""
    piece = webm(folder / "piece.webm", conversation(PIECE_S, PIECE_S // 2))
    whole = folder / "long.webm"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-stream_loop", str(minutes * 60 // PIECE_S - 1)]
    command += ["-i", str(piece), "-c", "copy", "-live", "1", "-cluster_time_limit", "1000", str(whole)]
    subprocess.run(command, check=True)
    return split(whole.read_bytes(), CLUSTER, back=0, every=int(PART_S))


def record_fast(house: House, parts: Sequence[bytes]) -> tuple[Recorder, str]:
    """Record a room whose parts come without pauses, and stop it."""
    recorder, recording_id, _ = begin(house)
    house.rows(SET_BACK, s=len(parts) * PART_S, id=recording_id)
    with ThreadPoolExecutor(4) as senders:
        list(senders.map(lambda item: recorder.send(*item), enumerate(parts, start=1)))
    recorder.ask("POST", "/stop")
    return recorder, recording_id


def measure_end(recorder: Recorder, recording_id: str) -> float:
    """Return how long a worker joined the parts of a recording, in seconds."""
    recorder.ask("POST", "/complete")
    [found] = wait_for(lambda: recorder.house.rows(TOOK, id=recording_id), timeout_s=END_S, what="the end")
    wait_for(lambda: is_ready(recorder, recording_id), timeout_s=END_S, what="the recording to be ready")
    return float(found["s"])


def is_ready(recorder: Recorder, recording_id: str) -> bool:
    """Return whether a recording is ready; RuntimeError if it failed."""
    path = f"/api/recordings/{recording_id}"
    shown = recorder.house.http(recorder.member, "GET", path).json()["data"]
    if shown["status"] == "failed":
        raise RuntimeError(shown["error"])
    return bool(shown["status"] == "ready")


def measure_live(house: House, worker: psutil.Process, parts: Sequence[bytes]) -> tuple[list[float], float]:
    """Return the seconds from each moment to the room's hearing of it, and the cores that the recording took.

    The processor time of all processes counts, above what they take when idle, but for the worker's media children,
    which listen, and the clients.
    """
    idle = cores_beside(worker, lambda: time.sleep(10))
    recorder, recording_id, room = begin(house)
    listener = house.inside(house.member(), room)
    began_s = time.monotonic()
    told: dict[float, float] = {}

    def record() -> None:
        for number, data in enumerate(parts, start=1):
            # A part is there once its two seconds have been spoken.
            time.sleep(max(0.0, began_s + number * PART_S - time.monotonic()))
            recorder.send(number, data)
            note()

    def note() -> None:
        now_s = time.monotonic() - began_s
        for each in listener.told("highlight:detected"):
            told.setdefault(each["highlight"]["peakS"], now_s)

    taken = cores_beside(worker, record)
    recorder.ask("POST", "/stop")
    recorder.ask("POST", "/complete")
    wait_for(lambda: is_ready(recorder, recording_id), timeout_s=END_S, what="the recording to be ready")
    return [now_s - peak_s for peak_s, now_s in sorted(told.items())], taken - idle


def measure_lasting(house: House, folder: Path) -> tuple[int, int]:
    """Return how many provisional highlights of two microphones are highlights at the end, and how many there were.

    Both hear the applause, the second one later and less of it, and each hears its own speaker best.
    """
    recorder, recording_id, room = begin(house)
    guest = house.member()
    house.inside(guest, room)
    house.http(guest, "POST", f"{recorder.path}/consent", {"given": True}).raise_for_status()
    other = Recorder(house, guest, room.room.id)
    other.begin()
    listener = house.inside(house.member(), room)
    moments = [(at + 0.05, 0.5 * applause(5.0, rate=RATE, seed=at)) for at in TALK_MOMENTS_S]
    near = parts_of(folder / "near.webm", conversation(TALK_S, *TALK_MOMENTS_S))
    far = parts_of(folder / "far.webm", mixed(speech(TALK_S, rate=RATE, seed=7), *moments, rate=RATE))
    house.rows(SET_BACK, s=TALK_S, id=recording_id)
    for number, (one, two) in enumerate(zip(near, far, strict=False), start=1):
        recorder.send(number, one)
        other.send(number, two)
        time.sleep(PART_EVERY_S)
    time.sleep(PART_S)
    provisional = [each["highlight"] for each in listener.told("highlight:detected")]
    recorder.ask("POST", "/stop")
    for each in (recorder, other):
        each.ask("POST", "/complete")
    wait_for(lambda: is_ready(recorder, recording_id), timeout_s=END_S, what="the recording to be ready")
    path = f"/api/recordings/{recording_id}/highlights?sensitivity=0.5"
    final = house.http(recorder.member, "GET", path).json()["data"]["items"]
    return sum(any(overlaps(each, one) for one in final) for each in provisional), len(provisional)


def cores_beside(worker: psutil.Process, work: Any) -> float:
    """Return how many cores everything but listening and clients took while `work` ran."""
    before_s, began_s = cpu_beside(worker), time.monotonic()
    work()
    return (cpu_beside(worker) - before_s) / (time.monotonic() - began_s)


def cpu_beside(worker: psutil.Process) -> float:
    """Return the processor time so far of all processes but the worker's children and Node's clients."""
    listening = {child.pid for child in worker.children(recursive=True)}
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        try:
            if process.pid not in listening and process.name() != "node":
                times = process.cpu_times()
                total += times.user + times.system
        except psutil.NoSuchProcess:
            continue
    return total


if __name__ == "__main__":
    main()
