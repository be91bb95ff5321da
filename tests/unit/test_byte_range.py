import datetime as dt

import pytest

from api.http.byte_range import UnsatisfiableRangeError, choose_range, is_unchanged
from storage.store import ObjectStat

MODIFIED = dt.datetime(2026, 5, 4, 3, 2, 1, 500_000, dt.UTC)
DATE = "Mon, 04 May 2026 03:02:01 GMT"
OBJECT = ObjectStat(key="k", size_bytes=100, etag="abc", content_type="video/mp4", modified_at=MODIFIED)
EMPTY = ObjectStat(key="k", size_bytes=0, etag="abc", content_type="video/mp4", modified_at=MODIFIED)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-0", range(1)),
        ("bytes=10-19", range(10, 20)),
        ("bytes=90-", range(90, 100)),
        ("bytes=90-1000", range(90, 100)),
        ("bytes=-10", range(90, 100)),
        ("bytes=-1000", range(100)),
        (" bytes=5-5 ", range(5, 6)),
    ],
)
def test_single_range_is_chosen(asked: str, expected: range) -> None:
    assert choose_range({"range": asked}, OBJECT) == expected


@pytest.mark.parametrize(
    "asked",
    ["", "bytes=", "bytes=-", "bytes=5-4", "bytes=0-1,5-6", "items=0-1", "bytes=a-b", "bytes=1.5-2", "bytes=+1-2"],
)
def test_range_that_is_malformed_or_multiple_is_ignored(asked: str) -> None:
    assert choose_range({"range": asked}, OBJECT) is None


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=9999999999999999999-"])
def test_range_without_a_byte_is_unsatisfiable(asked: str) -> None:
    with pytest.raises(UnsatisfiableRangeError):
        choose_range({"range": asked}, OBJECT)


def test_every_range_of_an_empty_object_is_unsatisfiable() -> None:
    with pytest.raises(UnsatisfiableRangeError):
        choose_range({"range": "bytes=0-"}, EMPTY)
    assert choose_range({}, EMPTY) is None


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ('"abc"', True),
        ('"old"', False),
        ('W/"abc"', False),
        (DATE, True),
        ("Mon, 04 May 2026 03:02:00 GMT", False),
        ("nonsense", False),
    ],
)
def test_range_counts_only_while_if_range_holds(condition: str, *, holds: bool) -> None:
    chosen = choose_range({"range": "bytes=0-9", "if-range": condition}, OBJECT)
    assert chosen == (range(10) if holds else None)


@pytest.mark.parametrize(
    ("headers", "unchanged"),
    [
        ({}, False),
        ({"if-none-match": '"abc"'}, True),
        ({"if-none-match": 'W/"abc"'}, True),
        ({"if-none-match": '"old", "abc"'}, True),
        ({"if-none-match": "*"}, True),
        ({"if-none-match": '"old"'}, False),
        ({"if-none-match": '"old"', "if-modified-since": DATE}, False),
        ({"if-modified-since": DATE}, True),
        ({"if-modified-since": "Mon, 04 May 2026 03:02:00 GMT"}, False),
        ({"if-modified-since": "yesterday"}, False),
    ],
)
def test_version_that_the_client_has_is_recognised(headers: dict[str, str], *, unchanged: bool) -> None:
    assert is_unchanged(headers, OBJECT) == unchanged
