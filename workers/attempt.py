"""One attempt at one job: its progress, and the way to stop it from another thread."""

import contextvars
import enum
import threading
from collections.abc import Callable
from typing import TypeVar

from db.leases import Lease, Renewal
from services.jobs.service import Job, lease_of
from storage.store import Store

STOP_TICK_S = 0.2
"""How long an uninterruptible call takes to notice that its attempt was stopped."""

Result = TypeVar("Result")


class Stop(enum.Enum):
    """Why an attempt must stop before its work is done."""

    CANCELLED = "cancelled"
    LEASE_LOST = "lease_lost"
    DRAINED = "drained"


class StoppedError(Exception):
    """The attempt was stopped from outside; `reason` says why."""

    def __init__(self, reason: Stop) -> None:
        self.reason = reason
        super().__init__(reason.value)


class Attempt:
    """A claimed job in this process. The lease renewer renews and stops it; the actor reports progress and checks."""

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
        """Objects that this attempt stored and no row refers to yet; deleted unless the attempt publishes them."""

    def report(self, *, stage: str, fraction: float, eta_s: float | None = None) -> None:
        """Set the progress (0 to 1); the next renewal of the lease writes it."""
        with self._lock:
            self._progress, self._stage, self._eta_s = min(100.0, max(0.0, fraction * 100)), stage, eta_s

    def renewal(self) -> Renewal:
        """Return the lease and progress for the next renewal."""
        with self._lock:
            return Renewal(lease=self.lease, progress=self._progress, stage=self._stage, eta_s=self._eta_s)

    @property
    def stop_reason(self) -> Stop | None:
        """Why the attempt must stop; None while it may continue."""
        return self._stop

    def stop(self, reason: Stop) -> None:
        """Stop the attempt and kill its child. The first reason counts, but a lost lease overrides the others."""
        with self._lock:
            if self._stop is None or reason is Stop.LEASE_LOST:
                self._stop = reason
            kill = self._kill
        if kill is not None:
            kill()

    def on_stop(self, kill: Callable[[], None] | None) -> None:
        """Set the function that ends the work in progress; it is called at once if the attempt was already stopped."""
        with self._lock:
            self._kill = kill
            is_stopped = self._stop is not None
        if kill is not None and is_stopped:
            kill()

    def check(self) -> None:
        """Raise StoppedError when the attempt must stop."""
        if self._stop is not None:
            raise StoppedError(self._stop)

    def wait_for(self, call: Callable[[], Result]) -> Result:
        """Return the result of a call that cannot be interrupted, such as a request to a slow storage.

        StoppedError as soon as the attempt is stopped; the call then ends by itself, and its result is dropped.
        """
        self.check()
        results: list[Result] = []
        errors: list[BaseException] = []
        ended = threading.Event()

        def run() -> None:
            try:
                results.append(call())
            except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
                errors.append(error)
            finally:
                ended.set()

        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(run,), name="attempt-call", daemon=True).start()
        while not ended.wait(STOP_TICK_S):
            self.check()
        if errors:
            raise errors[0]
        return results[0]
