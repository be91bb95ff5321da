"""The taxonomy of media failures, and its page in the documentation."""

import re
from pathlib import Path

import pytest

from pipeline.errors import DECODE_FAILED, READ_FAILED, Cause, MediaError
from pipeline.errors_table import causes, table
from pipeline.reading.problems import PROBLEMS
from pipeline.task import failure

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


def test_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == table()


def test_codes_are_unique() -> None:
    codes = [cause.code for cause in causes()]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("cause", causes(), ids=lambda cause: cause.code)
def test_each_cause_says_what_it_means_and_what_to_do(cause: Cause) -> None:
    assert cause.code == cause.code.lower().replace(" ", "_")
    assert cause.meaning[0].isupper()
    assert not cause.meaning.endswith(".")
    assert cause.remedy.endswith(".")


def test_failed_job_says_its_remedy_once() -> None:
    error = MediaError(DECODE_FAILED, "a slice is broken")
    failed = failure(error)
    assert failed.message == "The stream could not be decoded: a slice is broken."
    assert failed.remedy == "The file is damaged here; send a better copy."


def test_message_names_stream_and_time() -> None:
    error = MediaError(DECODE_FAILED, "a slice is broken", stream=1, time_s=12.5)
    assert str(error) == (
        "The stream could not be decoded (stream 1) at 12.500 s: a slice is broken. "
        "The file is damaged here; send a better copy."
    )
    assert (error.code, error.retryable, error.stream, error.time_s) == ("decode_failed", False, 1, 12.5)


def test_only_passing_causes_are_retryable() -> None:
    assert READ_FAILED.retryable
    assert {c.code for c in causes() if c.retryable} == {"crashed", "no_space", "read_failed"}


def test_page_explains_every_note_of_a_recording() -> None:
    """Each code that looking at a recording can give is in the table, and none that it cannot."""
    pipeline = PAGE.parents[1] / "pipeline"
    sources = [*(pipeline / "listening").rglob("*.py"), *(pipeline / "reading").rglob("*.py")]
    said = re.compile(r'(?:_problem\(|Problem\(code=|_problems\.note\()\s*"(\w+)"')
    assert {code for path in sources for code in said.findall(path.read_text(encoding="utf-8"))} == set(PROBLEMS)
