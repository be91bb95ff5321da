import base64
from datetime import UTC, datetime
from typing import get_args
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from db.sorting import Sort
from services.errors import InvalidFieldError
from services.paging import (
    decode_score_cursor,
    decode_sort_cursor,
    decode_time_cursor,
    encode_cursor,
    page_of,
    sorted_page_of,
)


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


class Row(Struct, frozen=True):
    id: UUID
    created_at: datetime
    title: str
    length_s: float


ROWS = st.builds(
    Row,
    st.uuids(),
    st.datetimes(timezones=st.just(UTC)),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=300),
    st.floats(0, 1e6),
)


def cursor_after(row: Row, sort: Sort) -> str | None:
    return sorted_page_of([row, row], 1, sort, length_s=lambda it: it.length_s).next_cursor


@given(ROWS)
def test_cursor_of_every_order_comes_back_exactly(row: Row) -> None:
    assert decode_sort_cursor(cursor_after(row, "newest"), "newest") == (row.created_at, row.id)
    assert decode_sort_cursor(cursor_after(row, "oldest"), "oldest") == (row.created_at, row.id)
    assert decode_sort_cursor(cursor_after(row, "longest"), "longest") == (row.length_s, row.id)
    assert decode_sort_cursor(cursor_after(row, "name"), "name") == (row.title, row.id)


@pytest.mark.parametrize("given_in", get_args(Sort))
@pytest.mark.parametrize("asked_in", get_args(Sort))
def test_cursor_of_another_order_is_refused(given_in: Sort, asked_in: Sort) -> None:
    cursor = cursor_after(Row(uuid4(), datetime(2026, 1, 1, tzinfo=UTC), "Talk", 4.5), given_in)
    if given_in == asked_in:
        assert decode_sort_cursor(cursor, asked_in) is not None
    else:
        with pytest.raises(InvalidFieldError):
            decode_sort_cursor(cursor, asked_in)
