"""A worker process: builds its parts, runs them, and shuts down without losing or repeating a job."""

import signal
import threading
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import gettempdir
from types import FrameType
from uuid import uuid4

import dramatiq
import structlog

from db.connection import Database
from services.billing.sync import open_billing
from services.jobs.service import QUEUES
from services.mail.transport import open_mailer
from services.outbound.fetch import SafeFetcher
from services.process.resources import open_from
from services.process.settings import Settings, SettingsError
from workers import actors, scratch
from workers.attempt import Stop
from workers.children import sandbox
from workers.children.launcher import Launcher
from workers.completer import Completer
from workers.execution import Work
from workers.lease_renewer import Identity, LeaseRenewer
from workers.queue.broker import IDLE_POLL_MS, open_broker
from workers.queue.slots import SlotLimit
from workers.runtime import Runtime

DRAIN_GRACE_S = 25.0
"""Kubernetes kills 30 s after SIGTERM; jobs still running after the grace period are returned in the last 5 s."""
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
    exit_when_drained_s: float | None = None,
) -> None:
    """Work until SIGTERM or SIGINT, then finish or return the running jobs; a second signal ends the grace at once.

    With `exit_when_drained_s`, a drained worker ends after being idle for that long, so that its supervisor starts a
    new one; until then the drain can be undone. SettingsError for an unknown queue; DatabaseUnavailableError when the
    database does not answer in time.
    """
    unknown = set(queues) - set(QUEUES)
    if unknown:
        raise SettingsError(f"Unknown queue {', '.join(sorted(unknown))}; choose from {', '.join(QUEUES)}")
    shutdown = _Shutdown()
    slots = threads or settings.worker_threads
    database = Database(settings.database_url, max_size=slots + 2, name="snuggles-worker")
    database.open(wait_s=DATABASE_WAIT_S)
    runtime = _open_runtime(settings, database, queues=queues, slots=slots)
    broker = open_broker(settings.broker_url, slots=runtime.slots, connections=slots + len(queues) + 3)
    actors.register(broker, runtime, works)
    worker = dramatiq.Worker(broker, queues=set(queues), worker_timeout=IDLE_POLL_MS, worker_threads=slots)
    worker.queue_prefetch = slots
    try:
        worker.start()
        runtime.lease_renewer.start()
        log.info("worker_ready", worker_id=str(runtime.worker_id), queues=list(queues), slots=slots)
        shutdown.wait(runtime, exit_when_drained_s=exit_when_drained_s)
        _shut_down(runtime, worker, shutdown)
    finally:
        runtime.lease_renewer.close()
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
        buckets=open_from(settings),
        fetcher=SafeFetcher(allowed=settings.import_allow_hosts),
        scratch=scratch.Scratch(root, f"worker-{worker_id.hex[:12]}"),
        lease_renewer=LeaseRenewer(database, identity),
        completer=Completer(database, worker_id),
        slots=SlotLimit(slots),
        launcher=Launcher(sandbox=sandbox.choose(reads_urls=settings.s3_endpoint is not None)),
        threads=slots,
        recording_max_bytes=settings.recording_max_bytes,
        disk_reserve_bytes=settings.disk_reserve_bytes,
        mailer=open_mailer(settings.smtp_url, settings.mail_from),
        public_url=settings.public_url,
        tagger=settings.tagger,
        tagger_model=settings.tagger_model,
        billing=open_billing(settings, database),
    )


class _Shutdown:
    """Turns signals into events: the first asks the process to end, the second ends the grace period."""

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.hurried = threading.Event()
        self._idle_since_s: float | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def wait(self, runtime: Runtime, *, exit_when_drained_s: float | None) -> None:
        """Return at the first signal; until then, an operator's drain stops new jobs, and undraining resumes them."""
        while not self.requested.wait(TICK_S):
            wants_drain = runtime.lease_renewer.drain_requested.is_set()
            if wants_drain and not runtime.slots.is_closed:
                log.info("worker_drained_by_operator")
                _stop_claiming(runtime)
            elif not wants_drain and runtime.slots.is_closed:
                log.info("worker_undrained_by_operator")
                _resume_claiming(runtime)
            if exit_when_drained_s is not None and self._idle_s(runtime) >= exit_when_drained_s:
                return

    def _idle_s(self, runtime: Runtime) -> float:
        """Return the seconds for which the process has been drained and idle."""
        if not runtime.slots.is_closed or runtime.lease_renewer.held:
            self._idle_since_s = None
        elif self._idle_since_s is None:
            self._idle_since_s = time.monotonic()
        return 0.0 if self._idle_since_s is None else time.monotonic() - self._idle_since_s

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        (self.hurried if self.requested.is_set() else self.requested).set()


def _stop_claiming(runtime: Runtime) -> None:
    """Fetch no more messages, return those already fetched, and tell the dispatcher."""
    runtime.slots.close()
    runtime.completer.close()
    runtime.lease_renewer.drain()


def _resume_claiming(runtime: Runtime) -> None:
    runtime.completer.open()
    runtime.slots.open()
    runtime.lease_renewer.resume()


def _shut_down(runtime: Runtime, worker: dramatiq.Worker, shutdown: _Shutdown) -> None:
    """Claim no more jobs, let the running ones finish within the grace, and return the rest uncharged."""
    _stop_claiming(runtime)
    log.info("worker_draining", jobs=len(runtime.lease_renewer.held))
    _wait_until_idle(runtime, DRAIN_GRACE_S, shutdown.hurried)
    for attempt in runtime.lease_renewer.held:
        attempt.stop(Stop.DRAINED)
    _wait_until_idle(runtime, HAND_BACK_S, threading.Event())
    worker.stop(timeout=int(HAND_BACK_S * 1000))
    log.info("worker_stopped")


def _wait_until_idle(runtime: Runtime, longest_s: float, enough: threading.Event) -> None:
    deadline_s = time.monotonic() + longest_s
    while runtime.lease_renewer.held and time.monotonic() < deadline_s and not enough.wait(TICK_S / 4):
        pass
