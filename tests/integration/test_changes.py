"""The listener of the API: it goes on whatever it hears."""

import asyncio
from uuid import UUID, uuid4

import psycopg
import pytest

from api.changes import CHANNELS, Changes

PAYLOADS = ["", "not an id", "x" * 7000, "{}", "\N{SNOWMAN}"]


async def hear(database_url: str, owner_url: str, payloads: list[str], subject_id: UUID) -> list[UUID]:
    """The jobs that are noted after these notifications, with the subject's own as the last."""
    changes, told = Changes(database_url), list[UUID]()
    changes.on("room_events", lambda payload: told.append(UUID(payload)))
    with changes.all_jobs() as follower, changes.subscription(subject_id) as changed:
        async with changes.listening(), await psycopg.AsyncConnection.connect(owner_url, autocommit=True) as sender:
            await asyncio.wait_for(changed.wait(), 10)  # it listens
            changed.clear()
            for payload in payloads:
                for channel in CHANNELS:
                    await sender.execute("SELECT pg_notify(%s, %s)", (channel, payload))
            await sender.execute("SELECT pg_notify('jobs_changed', %s)", (str(subject_id),))
            await asyncio.wait_for(changed.wait(), 10)
            return follower.take()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_malformed_notification_is_passed_over(database_url: str, owner_url: str, payload: str) -> None:
    subject_id = uuid4()
    assert asyncio.run(hear(database_url, owner_url, [payload], subject_id)) == [subject_id]
