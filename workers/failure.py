"""Turns the exception of an attempt into the error of its job."""

import errno

from msgspec import Struct
from msgspec.structs import replace

from db.connection import DatabaseUnavailableError
from pipeline import errors
from pipeline.errors import MediaError
from pipeline.types import Failed
from services.errors import DomainError
from services.jobs.service import JobError
from services.outbound.exchange import SlowPeerError
from storage.store import ObjectNotFoundError, StorageError, StorageFullError
from workers.children.child import ChildFailedError

SETBACKS = frozenset({errors.READ_FAILED.code, errors.NO_SPACE.code})
"""Failures outside the job, for which it is not charged."""
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
# A row shows its error both while another attempt waits and after the last one, so a remedy promises neither.
AGAIN_REMEDY = "If trying again does not help, the operator finds the cause in the log."
URL_AGAIN_REMEDY = "If trying again does not help, use another address, or upload the file itself."
URL_REMEDY = "Use another address, or upload the file itself."
SOURCE_MISSING = JobError(
    code="source_missing", message="The file is no longer in storage.", remedy="Upload it again.", retryable=False
)
UNAVAILABLE = JobError(
    code="unavailable", message="The storage or the database did not answer.", remedy=AGAIN_REMEDY, retryable=True
)


class Failure(Struct, frozen=True, kw_only=True):
    """The failure of an attempt. `error` goes into the row; a setback is not charged as an attempt."""

    error: JobError
    is_setback: bool = False
    is_bug: bool = False
    """An unforeseen exception: it is logged with its traceback."""


def describe(exc: Exception) -> Failure:
    """Describe any exception of an attempt, by its class."""
    if isinstance(exc, StorageFullError) or (isinstance(exc, OSError) and exc.errno in DISK_FULL):
        exc = MediaError(errors.NO_SPACE)
    if isinstance(exc, ChildFailedError):
        return _of_media(exc.failed)
    if isinstance(exc, MediaError):
        return _of_media(exc)
    if isinstance(exc, DomainError):
        # A peer that stalls is charged: fourteen more attempts would waste fourteen times as much time.
        is_setback = exc.retryable and not isinstance(exc, SlowPeerError)
        error = JobError(code=exc.code, message=exc.message, remedy=_remedy(exc), retryable=exc.retryable)
        return Failure(error=error, is_setback=is_setback)
    if isinstance(exc, ObjectNotFoundError):
        return Failure(error=SOURCE_MISSING)
    if isinstance(exc, StorageError | DatabaseUnavailableError):
        return Failure(error=UNAVAILABLE, is_setback=True)
    message = f"The service made a mistake ({type(exc).__name__})."
    return Failure(error=replace(UNAVAILABLE, code="internal", message=message), is_bug=True)


def _of_media(failed: MediaError | Failed) -> Failure:
    error = JobError(
        code=failed.code,
        message=failed.message,
        remedy=failed.remedy,
        retryable=failed.retryable,
        stream=failed.stream,
        time_s=failed.time_s,
    )
    return Failure(error=error, is_setback=failed.code in SETBACKS)


def _remedy(exc: DomainError) -> str:
    if exc.details.get("field") == "url":
        return URL_AGAIN_REMEDY if exc.retryable else URL_REMEDY
    return AGAIN_REMEDY if exc.retryable else ""
