"""One file for each kind of job; its function does the work and returns the function that publishes the result."""

from collections.abc import Mapping
from uuid import UUID

import dramatiq

from services.jobs.service import QUEUES
from workers.actors.billing import BILLING
from workers.actors.detect import detect
from workers.actors.export import EXPORT
from workers.actors.housekeeping import HOUSEKEEPING
from workers.actors.import_url import import_url
from workers.actors.ingest import ingest
from workers.actors.live import LIVE
from workers.actors.mail import MAIL
from workers.actors.relocation import relocate_clip
from workers.actors.render import render
from workers.actors.webhook import WEBHOOK
from workers.execution import Work, execute
from workers.runtime import Runtime

WORKS: Mapping[str, Work] = {
    "ingest": ingest,
    "import": import_url,
    "detect": detect,
    "render": render,
    "relocate_clip": relocate_clip,
    **LIVE,
    **HOUSEKEEPING,
    **WEBHOOK,
    **MAIL,
    **EXPORT,
    **BILLING,
}
PRIORITIES: Mapping[str, int] = {"webhook": 0, "housekeeping": 1, "detect": 2, "ingest": 3, "render": 4}
"""The order in which a process takes the messages it has fetched: short jobs first."""


def register(broker: dramatiq.Broker, runtime: Runtime, works: Mapping[str, Work]) -> None:
    """Declare one actor for each queue; `works` maps kinds of jobs to their functions."""

    def answer(job_id: str, dispatch_no: int) -> None:
        execute(runtime, UUID(job_id), dispatch_no, works)

    for queue in QUEUES:
        dramatiq.actor(actor_name=queue, queue_name=queue, priority=PRIORITIES[queue], broker=broker)(answer)
