"""Estimates: how far the times that are told with a 202 are from what then happens, beside a plain guess.

    python bench/bench_estimates.py [--clips 40] [--threads 4]

Starts its own PostgreSQL, Valkey, dispatcher and worker. Three owners of different tiers ask for clips in bursts; a
render is a sleep that depends on the clip's length, with a quarter of chance in it. The plain guess is what one would
say without knowing about fair turns and lengths: all that is in the queue, at the mean of what was rendered so far.
"""

import argparse
import random
import statistics
import tempfile
import time
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

from bench_queue import add_user, database, fleet_of, servers
from msgspec import Struct
from msgspec.structs import replace

from db.connection import SERVICE, Database
from db.jobs import find_job
from services.billing import quota as quotas
from services.billing.tier import UNLIMITED, Tier
from services.clips import service as clips
from services.clips import state as clip_states
from services.clips.service import ClipStyle
from services.jobs import estimate as estimates
from workers import actors
from workers.attempt import Attempt
from workers.completer import Publish
from workers.runtime import Runtime

TIERS = ("free", "premium", "pro")
DURATION_S = 3600.0
BASE_S, PER_MEDIA_S, CHANCE = 0.3, 0.02, 0.25
LENGTHS_S = (5.0, 60.0)
WARM_UP = 12
PAUSE_S = 0.02
ADD_RECORDING = """
INSERT INTO recordings (id, user_id, title, filename, content_type, size_bytes, status, source_key, probe, duration_s,
                        has_audio, has_video, timeline_key)
VALUES (%(id)s, %(user)s, 'Talk', 'talk.mp4', 'video/mp4', 1, 'ready', %(key)s, '{}', %(duration_s)s, true, true, 'x')
"""
SET_TIER = "UPDATE subscriptions SET tier = %(tier)s WHERE user_id = %(user)s"
GUESS = """
SELECT count(*) FILTER (WHERE state IN ('queued', 'running')) AS ahead,
    coalesce(avg(extract(epoch FROM finished_at - started_at)) FILTER (WHERE state = 'succeeded'), 1)::float AS mean_s
FROM jobs WHERE queue = 'render'
"""
ENDED = "SELECT started_at, finished_at FROM jobs WHERE id = %(id)s AND state = 'succeeded'"
OPEN = "SELECT count(*) AS n FROM jobs WHERE queue = 'render' AND state IN ('queued', 'running')"


class Told(Struct, frozen=True, kw_only=True):
    """What was said when a clip was accepted."""

    job_id: UUID
    at: datetime
    start_at: datetime
    finish_at: datetime
    guess_s: float


def main() -> None:
    """Ask, wait, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=40, help="of each owner")
    parser.add_argument("--threads", type=int, default=4)
    options = parser.parse_args()
    works = {**actors.WORKS, "render": sleep_for}
    with tempfile.TemporaryDirectory() as name, servers(Path(name)) as settings, database(settings) as pool:
        owners = [add_owner(pool, tier) for tier in TIERS]
        chance = random.Random(1)  # noqa: S311 - the same bursts each time
        with fleet_of(settings, threads=options.threads, works=works):
            for _ in range(WARM_UP):
                ask(pool, chance, owners[0], options.threads)
            wait_until_idle(pool)
            told, asked_ms = burst(pool, chance, owners, options)
            again = ask_again(pool, told)
            wait_until_idle(pool)
        print(f"an estimate takes {statistics.median(asked_ms):.1f} ms")
        print("told with the 202, before others asked for more:")
        report(pool, told)
        print("told for those that still waited when all had asked:")
        report(pool, again)


def sleep_for(runtime: Runtime, attempt: Attempt) -> Publish:
    """Take the time that a clip of this length takes."""
    with runtime.database.transaction(SERVICE) as tx:
        subject = clip_states.get_for_render(tx, job_id=attempt.job.id)
    factor = 1 + CHANCE * (2 * runtime.random() - 1)
    time.sleep((BASE_S + PER_MEDIA_S * (subject.end_s - subject.start_s)) * factor)
    return lambda _tx: None


def add_owner(pool: Database, tier: str) -> tuple[UUID, UUID]:
    """Insert an owner with a recording of an hour; return both ids."""
    user_id, recording_id = add_user(pool), uuid4()
    with pool.transaction(SERVICE) as tx:
        tx.execute(SET_TIER, {"tier": tier, "user": user_id})
        key = f"{user_id}/{recording_id}/source"
        tx.execute(ADD_RECORDING, {"id": recording_id, "user": user_id, "key": key, "duration_s": DURATION_S})
    return user_id, recording_id


def burst(
    pool: Database, chance: random.Random, owners: list[tuple[UUID, UUID]], options: argparse.Namespace
) -> tuple[list[Told], list[float]]:
    """Let all owners ask in turns of chance; return what they were told, and how long telling took."""
    turns = [owner for owner in owners for _ in range(options.clips)]
    chance.shuffle(turns)
    told, asked_ms = [], []
    for owner in turns:
        each, took_ms = ask(pool, chance, owner, options.threads)
        told.append(each)
        asked_ms.append(took_ms)
        time.sleep(PAUSE_S)
    return told, asked_ms


def ask(pool: Database, chance: random.Random, owner: tuple[UUID, UUID], slots: int) -> tuple[Told, float]:
    """Ask for a clip of some length; return what was told, and the milliseconds that the estimate took."""
    start_s = chance.uniform(0, DURATION_S - LENGTHS_S[1])
    with pool.transaction(SERVICE) as tx:
        row = tx.execute(GUESS).fetchone() or {}
        tier = Tier(name="pro", display_name="Pro", features={quotas.CLIPS: UNLIMITED})
        _, job = clips.create(
            tx,
            user_id=owner[0],
            tier=tier,
            recording_id=owner[1],
            start_s=start_s,
            end_s=start_s + chance.uniform(*LENGTHS_S),
            style=ClipStyle(accuracy="encode"),
        )
        began = time.perf_counter()
        found = estimates.of(tx, job=job)
        took_ms = (time.perf_counter() - began) * 1000
    if found is None:
        raise RuntimeError("the worker has gone")
    guess_s = (row["ahead"] / slots + 1) * row["mean_s"]
    told = Told(job_id=job.id, at=job.run_at, start_at=found.start_at, finish_at=found.finish_at, guess_s=guess_s)
    return told, took_ms


def ask_again(pool: Database, told: list[Told]) -> list[Told]:
    """Return what is told now for those that still wait, with the guess of before."""
    again = []
    for each in told:
        with pool.transaction(SERVICE) as tx:
            job = find_job(tx, each.job_id)
            found = estimates.of(tx, job=job) if job and job.state == "queued" else None
        if found is not None:
            again.append(replace(each, start_at=found.start_at, finish_at=found.finish_at))
    return again


def wait_until_idle(pool: Database) -> None:
    """Wait until nothing is queued or running."""
    while True:
        with pool.transaction(SERVICE) as tx:
            row = tx.execute(OPEN).fetchone()
        if row and row["n"] == 0:
            return
        time.sleep(0.1)


def report(pool: Database, told: list[Told]) -> None:
    """Compare with what happened, and print."""
    starts, ends, guesses, lasted = [], [], [], []
    for each in told:
        with pool.transaction(SERVICE) as tx:
            row = tx.execute(ENDED, {"id": each.job_id}).fetchone()
        if row is None:
            raise RuntimeError("a render failed")
        took_s = (row["finished_at"] - each.at).total_seconds()
        lasted.append(took_s)
        starts.append((each.start_at - row["started_at"]).total_seconds())
        ends.append((each.finish_at - row["finished_at"]).total_seconds())
        guesses.append(each.guess_s - took_s)
    print(
        f"  {len(told)} clips of {len(TIERS)} owners, done after {statistics.median(lasted):.1f} s (median), ", end=""
    )
    print(f"{max(lasted):.1f} s at most")
    for name, errors in (("start", starts), ("finish", ends), ("finish, plain guess", guesses)):
        sizes = sorted(map(abs, errors))
        share = sum(sizes) / sum(lasted)
        p90_s = sizes[int(len(sizes) * 0.9)]
        print(f"  {name:20} off by {statistics.median(sizes):.2f} s (median), {p90_s:.2f} s (p90), ", end="")
        print(f"{share:.0%} of the time, {statistics.mean(errors):+.2f} s on average")


if __name__ == "__main__":
    main()
