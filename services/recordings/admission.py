"""Refuses work early that would fail later: the disk is full, or the queue is hours long."""

import math
from collections.abc import Callable
from pathlib import Path
from shutil import disk_usage

from db import estimates as rows
from db.connection import Transaction, as_service
from services.billing.tier import UNLIMITED, Tier
from services.errors import UnavailableError
from services.jobs import estimate as estimates
from services.jobs.estimate import Estimate
from services.jobs.service import Job
from services.process.settings import Settings

RETRY_AFTER_S = 900


def require_disk(
    settings: Settings, *, size_bytes: int = 0, free_bytes: Callable[[Path], int] = lambda path: disk_usage(path).free
) -> None:
    """Raise UnavailableError if these bytes would bring a local disk below the reserve.

    Local disks are those of the storage folder and the scratch folder, if set: S3 is never full. Storage itself counts
    the bytes that other uploads have announced (`Store.require_space`).
    """
    for folder in (settings.storage_dir, settings.scratch_dir):
        if folder is None:
            continue
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if free_bytes(there) < settings.disk_reserve_bytes + (size_bytes if folder == settings.storage_dir else 0):
            raise disk_full()


def disk_full() -> UnavailableError:
    """Return the error for a full disk."""
    return UnavailableError(
        "The server's disk is nearly full, so nothing new is taken now. Try again later; the operator can make "
        "room by deleting recordings and clips.",
        reason="disk",
        retry_after_s=RETRY_AFTER_S,
    )


def require_timely(tx: Transaction, *, job: Job, tier: Tier) -> Estimate | None:
    """Return when a new job will begin and end; UnavailableError if it would wait for hours."""
    # A refusal serves an owner with a backlog of hours better than a place at its end.
    limit_s = tier.limit("queue_wait_s")
    longest_s = math.inf if limit_s == UNLIMITED else float(limit_s)
    found = estimates.of(tx, job=job)
    if found is not None and found.starts_in_s > longest_s:
        raise UnavailableError(
            f"So much of yours is waiting already that this would not begin for {_hours(found.starts_in_s)}. Cancel "
            "some of it, or ask again later.",
            reason="queue",
            retry_after_s=RETRY_AFTER_S,
        )
    if found is None and job.state == "queued":
        _require_taken(tx, job.queue, longest_s)
    return found


def _require_taken(tx: Transaction, queue: str, longest_s: float) -> None:
    """Raise UnavailableError if no worker has taken from the queue for longer than a short pause."""
    with as_service(tx):
        age_s = rows.find_oldest_due_s(tx, queue=queue)
    if age_s > longest_s:
        raise UnavailableError(
            f"This kind of work has been waiting for {_hours(age_s)}, and nobody is doing it now. Try again later.",
            reason="queue",
            retry_after_s=RETRY_AFTER_S,
        )


def _hours(seconds: float) -> str:
    return f"{max(2, round(seconds / 3600))} hours"
