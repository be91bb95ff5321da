"""One file a kind of job; each does the work and returns what publishes it."""

from collections.abc import Mapping
from uuid import UUID

import dramatiq

from services.jobs.service import QUEUES
from workers.actors.detect import detect
from workers.actors.housekeeping import HOUSEKEEPING
from workers.actors.import_url import import_url
from workers.actors.ingest import ingest
from workers.actors.mail import MAIL
from workers.actors.render import render
from workers.actors.webhook import WEBHOOK
from workers.execution import Work, execute
from workers.runtime import Runtime

WORKS: Mapping[str, Work] = {
    "ingest": ingest,
    "import": import_url,
    "detect": detect,
    "render": render,
    **HOUSEKEEPING,
    **WEBHOOK,
    **MAIL,
}
PRIORITIES: Mapping[str, int] = {"webhook": 0, "housekeeping": 1, "detect": 2, "ingest": 3, "render": 4}
"""Which of the messages that a process has at hand it takes first: short work before long."""


def register(broker: dramatiq.Broker, runtime: Runtime, works: Mapping[str, Work]) -> None:
    """Declare one actor for each queue; `works` says what each kind of job is done by."""

    def answer(job_id: str, dispatch_no: int) -> None:
        execute(runtime, UUID(job_id), dispatch_no, works)

    for queue in QUEUES:
        dramatiq.actor(actor_name=queue, queue_name=queue, priority=PRIORITIES[queue], broker=broker)(answer)
