"""One attempt at one job: how far it is, and the one way to stop it from outside."""

import enum
import threading
from collections.abc import Callable

from db.leases import Lease, Renewal
from services.jobs.service import Job, lease_of
from storage.store import Store


class Stop(enum.Enum):
    """Why an attempt has to stop before it is done."""

    CANCELLED = "cancelled"
    LEASE_LOST = "lease_lost"
    DRAINED = "drained"


class StoppedError(Exception):
    """The attempt was stopped from outside; `reason` says why."""

    def __init__(self, reason: Stop) -> None:
        self.reason = reason
        super().__init__(reason.value)


class Attempt:
    """A claimed job in this process. The keeper renews and stops it; the actor reports and checks."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.lease: Lease = lease_of(job)
        self._lock = threading.Lock()
        self._stop: Stop | None = None
        self._kill: Callable[[], None] | None = None
        self._progress = 0.0
        self._stage: str | None = None
        self._eta_s: float | None = None
        self.written: list[tuple[Store, str]] = []
        """Objects that this attempt stored and nothing refers to yet: deleted unless it publishes them."""

    def report(self, *, stage: str, fraction: float, eta_s: float | None = None) -> None:
        """Say how far the work is (0 to 1); it is written with the next renewal."""
        with self._lock:
            self._progress, self._stage, self._eta_s = min(100.0, max(0.0, fraction * 100)), stage, eta_s

    def renewal(self) -> Renewal:
        """Return what the keeper writes about this attempt."""
        with self._lock:
            return Renewal(lease=self.lease, progress=self._progress, stage=self._stage, eta_s=self._eta_s)

    @property
    def stop_reason(self) -> Stop | None:
        """Why the attempt has to stop; None while it may go on."""
        return self._stop

    def stop(self, reason: Stop) -> None:
        """Make the attempt stop: kills its child at once. The first reason counts, but a lost lease beats all."""
        with self._lock:
            if self._stop is None or reason is Stop.LEASE_LOST:
                self._stop = reason
            kill = self._kill
        if kill is not None:
            kill()

    def on_stop(self, kill: Callable[[], None] | None) -> None:
        """Name what ends the work in progress; called at once when the attempt has been stopped already."""
        with self._lock:
            self._kill = kill
            is_stopped = self._stop is not None
        if kill is not None and is_stopped:
            kill()

    def check(self) -> None:
        """Raise StoppedError when the attempt has to stop."""
        if self._stop is not None:
            raise StoppedError(self._stop)
