"""What went wrong, as the row keeps it: code, message, remedy, and whether trying again can help."""

import errno
from typing import Any

from msgspec import Struct

from db.connection import DatabaseUnavailableError
from pipeline import errors
from pipeline.errors import MediaError
from services.errors import DomainError
from services.outbound.exchange import SlowPeerError
from storage.store import ObjectNotFoundError, StorageError
from workers.children.child import ChildFailedError

SETBACKS = frozenset({errors.READ_FAILED.code, errors.NO_SPACE.code})
"""Failures of what is around a job: it is not charged for them."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
# A row's error is read while another attempt waits and when there are no more, so neither is promised.
AGAIN_REMEDY = "If trying again does not help, the operator finds the cause in the log."
URL_AGAIN_REMEDY = "If trying again does not help, use another address, or upload the file itself."
URL_REMEDY = "Use another address, or upload the file itself."


class Failure(Struct, frozen=True, kw_only=True):
    """How an attempt failed. `error` goes into the row; a setback is not charged as an attempt."""

    error: dict[str, Any]
    is_setback: bool = False
    is_bug: bool = False
    """Nobody foresaw this: it is logged with its traceback."""


def describe(exc: Exception) -> Failure:
    """Describe any exception of an attempt, by its class."""
    if isinstance(exc, OSError) and exc.errno in FULL:  # of our own writing on the scratch disk
        exc = MediaError(errors.NO_SPACE)
    if isinstance(exc, ChildFailedError):
        said = exc.failed
        error = _error(said.code, said.message, said.remedy, retryable=said.retryable)
        return Failure(error={**error, "stream": said.stream, "time_s": said.time_s}, is_setback=said.code in SETBACKS)
    if isinstance(exc, MediaError):
        error = _error(exc.code, exc.message, exc.remedy, retryable=exc.retryable)
        return Failure(error={**error, "stream": exc.stream, "time_s": exc.time_s}, is_setback=exc.code in SETBACKS)
    if isinstance(exc, DomainError):
        # A peer that wastes our time is charged for it: fourteen more attempts would waste fourteen times as much.
        is_setback = exc.retryable and not isinstance(exc, SlowPeerError)
        error = _error(exc.code, exc.message, _remedy(exc), retryable=exc.retryable)
        return Failure(error=error, is_setback=is_setback)
    if isinstance(exc, ObjectNotFoundError):
        return Failure(
            error=_error("source_missing", "The file is no longer in storage.", "Upload it again.", retryable=False)
        )
    if isinstance(exc, StorageError | DatabaseUnavailableError):
        message = "The storage or the database did not answer."
        return Failure(error=_error("unavailable", message, AGAIN_REMEDY, retryable=True), is_setback=True)
    message = f"The service made a mistake ({type(exc).__name__})."
    return Failure(error=_error("internal", message, AGAIN_REMEDY, retryable=True), is_bug=True)


def _remedy(exc: DomainError) -> str:
    if exc.details.get("field") == "url":
        return URL_AGAIN_REMEDY if exc.retryable else URL_REMEDY
    return AGAIN_REMEDY if exc.retryable else ""


def _error(code: str, message: str, remedy: str, *, retryable: bool) -> dict[str, Any]:
    return {
        "code": code,
        "message": message,
        "remedy": remedy,
        "retryable": retryable,
        "stream": None,
        "time_s": None,
    }
