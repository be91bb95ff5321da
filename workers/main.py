"""A worker process: puts the parts together, runs them, and leaves without losing or repeating anything."""

import signal
import threading
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import gettempdir
from types import FrameType
from uuid import UUID, uuid4

import dramatiq
import structlog

from db.connection import Database
from services.accounts.mail import open_mailer
from services.jobs.service import QUEUES
from services.outbound.fetch import SafeFetcher
from services.process.resources import open_from
from services.process.settings import Settings, SettingsError
from workers import actors, scratch
from workers.attempt import Stop
from workers.children.launcher import Launcher
from workers.execution import Work
from workers.lease_renewer import Identity, Keeper
from workers.ledger import Ledger
from workers.queue.broker import IDLE_POLL_MS, open_broker
from workers.queue.slots import Gate
from workers.runtime import Runtime

DRAIN_GRACE_S = 25.0
"""Kubernetes kills 30 s after SIGTERM: what is not done by then is handed back in the five seconds that are left."""
HAND_BACK_S = 4.0
DATABASE_WAIT_S = 30.0
TICK_S = 0.2

log = structlog.get_logger(__name__)


def run(
    settings: Settings,
    *,
    queues: Sequence[str] = QUEUES,
    threads: int | None = None,
    works: Mapping[str, Work] = actors.WORKS,
) -> None:
    """Work until SIGTERM or SIGINT, then finish or hand back what is under way; a second signal shortens the grace.

    SettingsError for a queue that does not exist; DatabaseUnavailableError when the database does not come up.
    """
    unknown = set(queues) - set(QUEUES)
    if unknown:
        raise SettingsError(f"There is no queue {', '.join(sorted(unknown))}; there are {', '.join(QUEUES)}")
    leaving = _Leaving()
    slots = threads or settings.worker_threads
    database = Database(settings.database_url, max_size=slots + 2, name="snuggles-worker")
    database.open(wait_s=DATABASE_WAIT_S)
    runtime = _open_runtime(settings, database, queues=queues, slots=slots)
    broker = open_broker(settings.broker_url, gate=runtime.gate, connections=slots + len(queues) + 3)
    actors.register(broker, runtime, works)
    worker = dramatiq.Worker(broker, queues=set(queues), worker_timeout=IDLE_POLL_MS, worker_threads=slots)
    worker.queue_prefetch = slots
    try:
        worker.start()
        runtime.keeper.start()
        log.info("worker_ready", worker_id=str(runtime.worker_id), queues=list(queues), slots=slots)
        leaving.wait(runtime)
        _leave(runtime, worker, leaving)
    finally:
        runtime.keeper.close()
        runtime.launcher.close()
        runtime.scratch.close()
        broker.close()
        database.close()


def _open_runtime(settings: Settings, database: Database, *, queues: Sequence[str], slots: int) -> Runtime:
    worker_id = uuid4()
    root = settings.scratch_dir or Path(gettempdir()) / "snuggles-scratch"
    swept = scratch.sweep(root)
    if swept:
        log.info("scratch_swept", folders=swept)
    identity = Identity(worker_id=worker_id, version=version("big-snuggles"), queues=tuple(queues), slots=slots)
    return Runtime(
        worker_id=worker_id,
        database=database,
        stores=open_from(settings),
        fetcher=SafeFetcher(allowed=settings.import_allow_hosts),
        scratch=scratch.Scratch(root, _corner(worker_id)),
        keeper=Keeper(database, identity),
        ledger=Ledger(database, worker_id),
        gate=Gate(slots),
        launcher=Launcher(),
        threads=slots,
        recording_max_bytes=settings.recording_max_bytes,
        mailer=open_mailer(settings.smtp_url, settings.mail_from),
        public_url=settings.public_url,
    )


def _corner(worker_id: UUID) -> str:
    return f"worker-{worker_id.hex[:12]}"


class _Leaving:
    """Counts the signals that ask this process to end."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.pressed = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def wait(self, runtime: Runtime) -> None:
        """Return when asked to end; an operator's drain only stops new jobs until then."""
        while not self.asked.wait(TICK_S):
            if runtime.keeper.drain_requested.is_set() and not runtime.gate.is_closed:
                log.info("worker_drained_by_operator")
                runtime.gate.close()
                runtime.keeper.drain()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        (self.pressed if self.asked.is_set() else self.asked).set()


def _leave(runtime: Runtime, worker: dramatiq.Worker, leaving: _Leaving) -> None:
    """Take nothing new, let what is under way finish within the grace, hand back the rest uncharged."""
    runtime.gate.close()
    runtime.keeper.drain()
    log.info("worker_draining", jobs=len(runtime.keeper.held))
    _wait_until_idle(runtime, DRAIN_GRACE_S, leaving.pressed)
    for attempt in runtime.keeper.held:
        attempt.stop(Stop.DRAINED)
    _wait_until_idle(runtime, HAND_BACK_S, threading.Event())
    worker.stop(timeout=int(HAND_BACK_S * 1000))
    log.info("worker_stopped")


def _wait_until_idle(runtime: Runtime, longest_s: float, enough: threading.Event) -> None:
    deadline_s = time.monotonic() + longest_s
    while runtime.keeper.held and time.monotonic() < deadline_s and not enough.wait(TICK_S / 4):
        pass
