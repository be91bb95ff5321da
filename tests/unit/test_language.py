from datetime import date, datetime

import pytest

from services.language import day, preferred


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-CH, de;q=0.9, en;q=0.8", "de"),
        ("fr-FR, fr;q=0.9, de;q=0.5, en;q=0.4", "de"),
        ("en-GB, de;q=0.9", "en"),
        ("de;q=0", "en"),
        ("en;q=0.2, DE;q=0.3", "de"),
        ("fr, *;q=0.1", "en"),
        (";;q=x,,de;q=", "en"),
        ("x" * 10_000, "en"),
    ],
)
def test_header_chooses_the_language(header: str, language: str) -> None:
    assert preferred(header) == language


def test_date_is_written_as_its_language_does() -> None:
    at = datetime.combine(date(2026, 3, 1), datetime.min.time())
    assert (day(at, "en"), day(at, "de")) == ("1 March 2026", "1. März 2026")
