import errno

import pytest

from db.connection import DatabaseUnavailableError
from pipeline import errors
from pipeline.errors import MediaError
from pipeline.types import Failed
from services.errors import InvalidFieldError, NotFoundError, UnavailableError
from services.jobs.service import JobError
from storage.store import ObjectNotFoundError, StorageError
from workers.children.child import ChildFailedError
from workers.failure import describe


def said(code: str, *, retryable: bool) -> ChildFailedError:
    return ChildFailedError(Failed(code=code, message="m", remedy="r", retryable=retryable, stream=1, time_s=2.5))


@pytest.mark.parametrize(
    ("error", "code", "retryable", "is_setback"),
    [
        (MediaError(errors.DECODE_FAILED), "decode_failed", False, False),
        (MediaError(errors.CRASHED), "crashed", True, False),
        (MediaError(errors.READ_FAILED), "read_failed", True, True),
        (MediaError(errors.NO_SPACE), "no_space", True, True),
        (said("not_media", retryable=False), "not_media", False, False),
        (said("read_failed", retryable=True), "read_failed", True, True),
        (NotFoundError("gone"), "not_found", False, False),
        (UnavailableError("busy"), "unavailable", True, True),
        (ObjectNotFoundError("gone"), "source_missing", False, False),
        (StorageError("away"), "unavailable", True, True),
        (DatabaseUnavailableError("away"), "unavailable", True, True),
        (OSError(errno.ENOSPC, "No space left on device"), "no_space", True, True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "no_space", True, True),
        (OSError(errno.EACCES, "Permission denied"), "internal", True, False),
        (ZeroDivisionError("ours"), "internal", True, False),
    ],
)
def test_error_becomes_what_its_class_says(error: Exception, code: str, *, retryable: bool, is_setback: bool) -> None:
    failure = describe(error)
    assert failure.error.code == code
    assert failure.error.retryable is retryable
    assert failure.is_setback is is_setback
    assert failure.error.message


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (InvalidFieldError("url", "it answered 404"), {"Use another address"}),
        (UnavailableError("it answered 503", field="url"), {"trying again", "use another address"}),
        (UnavailableError("busy"), {"trying again"}),
    ],
)
def test_import_that_cannot_be_fetched_has_a_remedy(error: Exception, words: set[str]) -> None:
    remedy = describe(error).error.remedy
    assert {word for word in words if word in remedy} == words


@pytest.mark.parametrize(
    "error",
    [UnavailableError("busy"), StorageError("away"), DatabaseUnavailableError("away"), ZeroDivisionError("ours")],
)
def test_advice_promises_no_attempt_that_a_dead_job_does_not_get(error: Exception) -> None:
    remedy = describe(error).error.remedy
    assert remedy.startswith("If trying again does not help")


def test_childs_words_are_kept_with_stream_and_time() -> None:
    failure = describe(said("decode_failed", retryable=False))
    assert failure.error == JobError(code="decode_failed", message="m", remedy="r", stream=1, time_s=2.5)


def test_only_what_nobody_foresaw_is_a_bug_and_its_text_stays_in_the_log() -> None:
    failure = describe(ValueError("postgresql://user:secret@host"))
    assert failure.is_bug
    assert "secret" not in str(failure.error)
    assert not describe(StorageError("away")).is_bug
