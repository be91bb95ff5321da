from datetime import UTC, datetime

import pytest

from services.outbound.header import file_name_of, pause_of

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("", ""),
        ("inline", ""),
        ('attachment; filename="Friday talk.mp4"', "Friday talk.mp4"),
        ("attachment; filename=talk.mp4", "talk.mp4"),
        ("attachment; filename*=UTF-8''%C3%9Cbung%20eins.mp4", "Übung eins.mp4"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="C:\\\\talks\\\\one.mp4"', "one.mp4"),
        ('attachment; filename="a\u202e4pm.exe"', "a4pm.exe"),
        ("attachment; filename*=no-such-set''%ff", "ÿ"),
        ('attachment; filename="' + "a" * 400 + '"', "a" * 255),
    ],
)
def test_file_name_of_an_answer_has_no_folders_and_no_hidden_characters(header: str, name: str) -> None:
    assert file_name_of(header) == name


@pytest.mark.parametrize(
    ("header", "pause_s"),
    [
        ("", None),
        ("120", 120.0),
        ("Sat, 31 Jan 2026 12:05:00 GMT", 300.0),
        ("Sat, 31 Jan 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("9" * 30, None),
    ],
)
def test_pause_is_read_as_seconds_or_as_a_date(header: str, pause_s: float | None) -> None:
    assert pause_of(header, now=NOW) == pause_s
