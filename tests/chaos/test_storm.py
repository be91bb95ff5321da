"""A storm: owners at work through the public API while a seeded script kills, freezes, fills and cuts what there is.

CHAOS_SEED replays one storm, CHAOS_SEEDS=n runs n in a row, CHAOS=long makes them long.
"""

import os
import random
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from msgspec import Struct
from support.api.receiver import Receiver, receiver
from support.chaos.blows import Storm
from support.chaos.count import assert_all_is_counted, assert_nothing_runs, settle, sweep_in_two_days
from support.chaos.owner import Owner
from support.chaos.scratch import small_disk
from support.chaos.site import Pulse, Site
from support.servers.fleet import add_user, make_media, rows
from support.servers.range_server import RangeServer, serve_ranges
from support.storage.swift import require_swift

from services.accounts.token import Tokens

OWNERS = 5
IS_LONG = os.environ.get("CHAOS") == "long"
CI_SEED = 20261122
FAILURES = 80

log = structlog.get_logger(__name__)


class Scale(Struct, frozen=True):
    """How much happens in a storm."""

    actions: int
    """What each owner does."""
    rounds: int
    """How often each kind of blow is struck."""
    jobs: int
    """How many jobs of owners there are at least at the end."""


SCALE = Scale(actions=44, rounds=5, jobs=300) if IS_LONG else Scale(actions=4, rounds=1, jobs=20)


def seeds() -> list[int]:
    first = os.environ.get("CHAOS_SEED")
    number = int(os.environ.get("CHAOS_SEEDS", "1"))
    begin = int(first) if first else secrets.randbelow(10**9) if IS_LONG else CI_SEED
    return list(range(begin, begin + number))


@pytest.fixture
def told(seed: int) -> Iterator[Receiver]:
    """A receiver that fails now and then in the beginning."""
    dice = random.Random(f"{seed}-receiver")  # noqa: S311 - a seed that replays, no secret
    with receiver() as started:
        started.statuses = dice.choices([204, 500, 503], [4, 1, 1], k=FAILURES)
        yield started


@pytest.fixture
def source(tmp_path: Path) -> Iterator[RangeServer]:
    """Somebody's web server with a recording on it, which is away at first and then hangs up."""
    folder = tmp_path / "source"
    folder.mkdir()
    make_media(folder / "talk.mp4", duration_s=14, size="128x72")
    with serve_ranges(folder) as started:
        started.statuses = [503, 500]
        started.cut_after_bytes = [1000, 20_000]
        yield started


@pytest.fixture
def site(tmp_path: Path, told: Receiver, source: RangeServer) -> Iterator[Site]:
    require_swift()
    made = Site(tmp_path, told, source)
    try:
        yield made
    finally:
        made.stop()


def make_owners(site: Site, told: Receiver, seed: int) -> list[Owner]:
    media = (site.source.folder / "talk.mp4").read_bytes()
    tokens = Tokens(site.settings.jwt_secret)
    owners = []
    for number in range(OWNERS):
        user_id = add_user(site.database, tier="pro")
        owners.append(
            Owner(
                user_id=user_id,
                token=tokens.issue(user_id).token,
                addresses=site.addresses,
                media=media,
                seed=f"{seed}-owner-{number}",
                actions=SCALE.actions,
                hook=told.url,
                source=site.source.url,
            )
        )
    return owners


def count_jobs_of_owners(site: Site) -> int:
    return int(rows(site.database, "SELECT count(*) AS n FROM jobs WHERE user_id IS NOT NULL")[0]["n"])


@pytest.mark.chaos
@pytest.mark.timeout(7200 if IS_LONG else 900)
@pytest.mark.parametrize("seed", seeds())
def test_storm_loses_nothing_and_repeats_nothing(
    site: Site, told: Receiver, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with capsys.disabled():
        print(f"CHAOS_SEED={seed} CHAOS={'long' if IS_LONG else 'short'}", flush=True)  # noqa: T201 - it replays this
    with small_disk(site.scratch) as has_small_disk:
        site.start()
        pulse = Pulse(site)
        storm = Storm(site, pulse, seed=seed, has_small_disk=has_small_disk)
        owners = make_owners(site, told, seed)
        for owner in owners:
            owner.start()
        try:
            storm.rage(SCALE.rounds, is_over=lambda: not any(owner.is_alive() for owner in owners))
            storm.calm()
            pulse.wait(lambda: not any(owner.is_alive() for owner in owners), "the owners")
        finally:
            for owner in owners:
                owner.abandoned.set()
                owner.join()
        assert [owner.error for owner in owners if owner.error] == []
        settle(site, pulse)
        sweep_in_two_days(site)
        settle(site, pulse)
        counted = assert_all_is_counted(site, owners)
        assert site.deserters == []
        assert_nothing_runs(site, pulse)
        assert count_jobs_of_owners(site) >= SCALE.jobs
        log.info("storm_over", seed=seed, blows=storm.struck, jobs=counted, of_owners=count_jobs_of_owners(site))
