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
from fleet import add_user, make_media
from msgspec import Struct
from receiver import Receiver, receiver
from storm_blows import Storm
from storm_count import assert_all_is_counted, assert_nothing_runs, settle
from storm_owner import Owner
from storm_scratch import small_disk
from storm_site import Pulse, Site
from swift_server import require_swift

from services.tokens import Tokens

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


SCALE = Scale(actions=44, rounds=5) if IS_LONG else Scale(actions=4, rounds=1)


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
def site(tmp_path: Path, told: Receiver) -> Iterator[Site]:
    require_swift()
    made = Site(tmp_path, told)
    try:
        yield made
    finally:
        made.stop()


def make_owners(site: Site, told: Receiver, seed: int) -> list[Owner]:
    media = make_media(site.folder / "talk.mp4", duration_s=14, size="128x72").read_bytes()
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
            )
        )
    return owners


@pytest.mark.chaos
@pytest.mark.timeout(7200 if IS_LONG else 900)
@pytest.mark.parametrize("seed", seeds())
def test_storm_loses_nothing_and_repeats_nothing(site: Site, told: Receiver, seed: int) -> None:
    print(f"CHAOS_SEED={seed}{' CHAOS=long' if IS_LONG else ''}")  # noqa: T201 - pytest shows it when it fails
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
        counted = assert_all_is_counted(site, owners)
        assert site.deserters == []
        assert_nothing_runs(site, pulse)
        log.info("storm_over", seed=seed, blows=storm.struck, jobs=counted)
