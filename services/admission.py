"""Refusing early what would only fail later: no disk left, or a queue that is hours long."""

from collections.abc import Callable
from pathlib import Path
from shutil import disk_usage

from db.connection import Transaction
from services import estimates
from services.errors import UnavailableError
from services.estimates import Estimate
from services.jobs import Job

RESERVE_BYTES = 512 * 1024**2
"""What stays free for the database, logs and the files of work under way."""
LONGEST_WAIT_S = 6 * 3600.0
"""Who waits longer than a night's sleep is better served by an honest no."""
RETRY_AFTER_S = 900


def require_disk(
    folder: Path | None, *, free_bytes: Callable[[Path], int] = lambda path: disk_usage(path).free
) -> None:
    """Raise UnavailableError when the disk of the local storage adapter is down to the reserve.

    `folder` is where that keeps its objects; None means S3, which is never full.
    """
    if folder is not None and free_bytes(folder) < RESERVE_BYTES:
        raise UnavailableError(
            "The server's disk is nearly full, so no new recordings are taken now. Try again later; the operator can "
            "make room by deleting recordings and clips.",
            retry_after_s=RETRY_AFTER_S,
        )


def require_timely(tx: Transaction, *, job: Job) -> Estimate | None:
    """Return when a job will begin and end; UnavailableError, and no job, when it would wait for hours."""
    found = estimates.of(tx, job=job)
    if found is not None and found.starts_in_s > LONGEST_WAIT_S:
        hours = round(found.starts_in_s / 3600)
        raise UnavailableError(
            f"So much of yours is waiting already that this would not begin for {hours} hours. Cancel some of it, or "
            "ask again later.",
            retry_after_s=RETRY_AFTER_S,
        )
    return found
