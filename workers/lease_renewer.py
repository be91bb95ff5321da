"""Renews the leases of this process every second, and registers the process as a live worker."""

import os
import socket
import threading
import time
from collections.abc import Sequence
from uuid import UUID

import psutil
import structlog
from msgspec import Struct

from db import workers
from db.connection import SERVICE, Database, DatabaseUnavailableError, allow_loss
from db.leases import Lease, renew_leases
from services.jobs.service import LEASE_S
from workers.attempt import Attempt, Stop

RENEW_S = 1.0
"""Also how often cancels are noticed and progress is written."""
BEAT_S = 5.0

log = structlog.get_logger(__name__)


class Identity(Struct, frozen=True, kw_only=True):
    """A worker process, as described by its row."""

    worker_id: UUID
    version: str
    queues: Sequence[str]
    slots: int


class LeaseRenewer:
    """Renews all leases of a process in one thread, and stops attempts that are cancelled or have lost their lease."""

    def __init__(self, database: Database, identity: Identity) -> None:
        self.identity = identity
        self.drain_requested = threading.Event()
        self._database = database
        self._process = psutil.Process()
        self._lock = threading.Lock()
        self._attempts: dict[Lease, Attempt] = {}
        self._stopped = threading.Event()
        self._is_draining = False
        self._thread = threading.Thread(target=self._run, name="lease-renewer", daemon=True)

    def start(self) -> None:
        """Register the process and start the thread; DatabaseUnavailableError when the row cannot be written."""
        self.beat(wake=True)
        self._thread.start()

    def close(self) -> None:
        """Stop renewing and delete the row of the process."""
        self._stopped.set()
        self._thread.join()
        try:
            with self._database.transaction(SERVICE) as tx:
                workers.remove_worker(tx, self.identity.worker_id)
        except DatabaseUnavailableError as error:
            log.warning("worker_not_removed", error=str(error))

    def add(self, attempt: Attempt) -> None:
        """Renew the lease of this attempt from now on."""
        with self._lock:
            self._attempts[attempt.lease] = attempt

    def remove(self, attempt: Attempt) -> None:
        """Stop renewing its lease."""
        with self._lock:
            self._attempts.pop(attempt.lease, None)

    @property
    def held(self) -> list[Attempt]:
        """The running attempts."""
        with self._lock:
            return list(self._attempts.values())

    def beat(self, *, wake: bool) -> None:
        """Update the row of the process, and read whether an operator wants it drained."""
        with self._database.transaction(SERVICE) as tx:
            allow_loss(tx)
            wants_drain = workers.beat(
                tx,
                worker_id=self.identity.worker_id,
                host=socket.gethostname(),
                pid=os.getpid(),
                version=self.identity.version,
                queues=list(self.identity.queues),
                slots=self.identity.slots,
                memory_bytes=self._memory_bytes(),
                is_draining=self._is_draining,
            )
            if wake:
                workers.wake_dispatcher(tx)
        if wants_drain:
            self.drain_requested.set()
        else:
            self.drain_requested.clear()

    def resume(self) -> None:
        """Tell the dispatcher that this process takes jobs again."""
        self._is_draining = False
        try:
            self.beat(wake=True)
        except DatabaseUnavailableError as error:
            log.warning("resume_not_announced", error=str(error))

    def drain(self) -> None:
        """Tell the dispatcher that this process takes no more jobs."""
        self._is_draining = True
        try:
            self.beat(wake=False)
        except DatabaseUnavailableError as error:
            log.warning("drain_not_announced", error=str(error))

    def _run(self) -> None:
        beaten_s = time.monotonic()
        while not self._stopped.wait(RENEW_S):
            try:
                self.renew()
                if time.monotonic() - beaten_s >= BEAT_S:
                    beaten_s = time.monotonic()
                    self.beat(wake=False)
            except DatabaseUnavailableError as error:
                log.warning("leases_not_renewed", error=str(error), jobs=len(self._attempts))
            except Exception:  # the edge of a thread: if it died, every lease of the process would expire
                log.exception("leases_not_renewed")

    def renew(self) -> None:
        """Renew all leases in one statement, and stop attempts that are cancelled or lost."""
        attempts = self.held
        if not attempts:
            return
        with self._database.transaction(SERVICE) as tx:
            allow_loss(tx)  # the next renewal is a second away
            held = renew_leases(tx, [attempt.renewal() for attempt in attempts], lease_s=LEASE_S)
        for attempt in attempts:
            is_cancelled = held.get(attempt.job.id)
            if is_cancelled is None:
                attempt.stop(Stop.LEASE_LOST)
            elif is_cancelled:
                attempt.stop(Stop.CANCELLED)

    def _memory_bytes(self) -> int:
        """Return the resident memory of this process and its media children."""
        total = self._process.memory_info().rss
        for child in self._process.children(recursive=True):
            try:
                total += child.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return int(total)
