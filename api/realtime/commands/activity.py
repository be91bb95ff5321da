"""Counts of activity in rooms, kept in memory and written every few seconds."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from uuid import UUID

import structlog
from litestar.concurrency import sync_to_thread

from db import live_recordings as live_rows
from db import room_participants as participant_rows
from db.connection import SERVICE, Database, DatabaseUnavailableError

FLUSH_S = 5.0

logger = structlog.get_logger(__name__)


class Activity:
    """Reactions and seconds of voice by room and person since the last write."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reactions: defaultdict[tuple[UUID, UUID], int] = defaultdict(int)
        self._voice_s: defaultdict[tuple[UUID, UUID], float] = defaultdict(float)

    def count_reaction(self, room_id: UUID, user_id: UUID) -> None:
        """Count a reaction."""
        self._reactions[room_id, user_id] += 1

    def add_voice(self, room_id: UUID, user_id: UUID, seconds: float) -> None:
        """Add seconds for which a microphone was on."""
        self._voice_s[room_id, user_id] += seconds

    async def run(self) -> None:
        """Write every few seconds, until cancelled; then once more."""
        try:
            while True:
                await asyncio.sleep(FLUSH_S)
                await sync_to_thread(self._write)
        finally:
            self._write()

    def _write(self) -> None:
        reactions, self._reactions = self._reactions, defaultdict(int)
        voice_s, self._voice_s = self._voice_s, defaultdict(float)
        keys = {*reactions, *voice_s}
        if not keys:
            return
        try:
            with self._database.transaction(SERVICE) as tx:
                for room_id, number in sorted(_by_room(reactions).items()):
                    live_rows.add_activity(tx, room_id=room_id, kind="reaction", number=number)
                for room_id, user_id in sorted(keys):
                    participant_rows.add_activity(
                        tx,
                        room_id=room_id,
                        user_id=user_id,
                        reactions=reactions.get((room_id, user_id), 0),
                        voice_s=voice_s.get((room_id, user_id), 0.0),
                    )
        except DatabaseUnavailableError:
            logger.warning("activity_lost", people=len(keys))


def _by_room(reactions: Mapping[tuple[UUID, UUID], int]) -> dict[UUID, int]:
    """Return how many reactions each room has seen."""
    totals: dict[UUID, int] = defaultdict(int)
    for (room_id, _), number in reactions.items():
        totals[room_id] += number
    return totals
