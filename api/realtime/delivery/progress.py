"""Progress of the clips of connected people."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import structlog
from litestar.concurrency import sync_to_thread

from api.base_deps import BaseDeps
from db.connection import SERVICE, DatabaseUnavailableError
from services.clips import service as clips
from services.clips.service import ClipStep

PAUSE_S = 0.5
"""Changes are gathered for this long: one query and one event per clip, however often its worker reports."""

Tell = Callable[[UUID, str, Mapping[str, Any]], None]

logger = structlog.get_logger(__name__)


class ProgressFeed:
    """Turns notifications of changed jobs into `clip:progress` for the clips' owners, where they are connected."""

    def __init__(self, deps: BaseDeps, *, people: Callable[[], Sequence[UUID]], tell: Tell) -> None:
        self._deps = deps
        self._people = people
        self._tell = tell

    async def run(self) -> None:
        """Run until cancelled."""
        with self._deps.changes.all_jobs() as changed:
            while True:
                await changed.is_news.wait()
                await asyncio.sleep(PAUSE_S)
                job_ids, people = changed.take(), self._people()
                if not job_ids or not people:
                    continue
                try:
                    steps = await sync_to_thread(self._read, job_ids, people)
                except DatabaseUnavailableError:
                    continue  # missed progress is out of date
                for step in steps:
                    self._tell(step.user_id, "clip:progress", data_of(step))

    def _read(self, job_ids: list[UUID], people: Sequence[UUID]) -> list[ClipStep]:
        with self._deps.database.transaction(SERVICE) as tx:
            return clips.steps_under_way(tx, job_ids=job_ids, user_ids=people)


def data_of(step: ClipStep) -> dict[str, Any]:
    """Return the event's data; progress in percent."""
    return {
        "clipId": str(step.clip_id),
        "recordingId": str(step.recording_id),
        "jobId": str(step.job_id),
        "status": step.status,
        "progress": step.progress,
        "stage": step.stage,
        "etaSeconds": step.eta_s,
    }
