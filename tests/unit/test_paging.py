import base64
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidFieldError
from services.paging import decode_score_cursor, decode_time_cursor, encode_cursor, page_of


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_time_cursor_comes_back_to_the_microsecond(at: datetime, row_id: UUID) -> None:
    assert decode_time_cursor(encode_cursor((at, row_id))) == (at, row_id)


@given(st.floats(0, 1), st.uuids())
def test_score_cursor_comes_back_exactly(score: float, row_id: UUID) -> None:
    assert decode_score_cursor(encode_cursor((score, row_id))) == (score, row_id)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "!!!!",
        "é",
        "x" * 10_000,
        base64.urlsafe_b64encode(b"[]").decode(),
        base64.urlsafe_b64encode(b'["2026-01-01T00:00:00Z"]').decode(),
        base64.urlsafe_b64encode(b'{"a": 1}').decode(),
        base64.urlsafe_b64encode(b"\xff\xff").decode(),
    ],
)
def test_text_that_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        decode_time_cursor(text)
    assert caught.value.details == {"field": "cursor"}


@given(st.text(max_size=300))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    for decode in (decode_time_cursor, decode_score_cursor):
        try:
            decode(text)
        except InvalidFieldError:
            continue


def test_page_names_the_last_row_only_when_more_follow() -> None:
    positions = [(datetime(2026, 1, day, tzinfo=UTC), uuid4()) for day in (3, 2, 1)]
    full = page_of(["a", "b", "c"], 2, positions)
    assert full.items == ["a", "b"]
    assert decode_time_cursor(full.next_cursor) == positions[1]
    last = page_of(["a", "b"], 2, positions[:2])
    assert last.items == ["a", "b"]
    assert last.next_cursor is None
