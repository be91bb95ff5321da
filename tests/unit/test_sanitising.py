import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import InvalidFieldError, UnsupportedMediaTypeError
from services.sanitising import MAX_TITLE_LENGTH, clean_content_type, clean_filename, clean_title, title_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("talk.mp4", "talk.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ada\\talk.mp4", "talk.mp4"),
        ("/", "recording"),
        ("..", "recording"),
        ("", "recording"),
        ("a\0b\r\nc.mp4", "a b c.mp4"),
        ("\u202egnp.4pm", "gnp.4pm"),
        ("Vortrag über Öl.mp4", "Vortrag über Öl.mp4"),
    ],
)
def test_file_name_loses_what_leads_elsewhere(name: str, expected: str) -> None:
    assert clean_filename(name) == expected


@given(st.text(max_size=2000))
def test_any_file_name_becomes_one_that_can_be_stored(name: str) -> None:
    cleaned = clean_filename(name)
    assert 1 <= len(cleaned) <= 255
    assert not set("/\\\0\n\r") & set(cleaned)
    assert cleaned not in {".", ".."}


@pytest.mark.parametrize(
    ("filename", "expected"),
    [("talk.mp4", "talk"), ("talk .mp4", "talk"), ("a.b.mp4", "a.b"), ("talk", "talk"), (" .mp4", " .mp4")],
)
def test_title_of_a_file_is_its_name_without_the_suffix(filename: str, expected: str) -> None:
    assert title_of(filename) == expected


@given(st.text(max_size=1000))
def test_title_is_one_visible_line_or_refused(title: str) -> None:
    try:
        cleaned = clean_title(title)
    except InvalidFieldError:
        return
    assert 1 <= len(cleaned) <= MAX_TITLE_LENGTH
    assert cleaned.isprintable()
    assert cleaned == cleaned.strip()


@pytest.mark.parametrize(
    "content_type", ["video/mp4", "AUDIO/MPEG", "video/x-matroska; codecs=avc1", "application/mp4"]
)
def test_media_types_are_taken(content_type: str) -> None:
    assert clean_content_type(content_type) == content_type.partition(";")[0].lower()


@pytest.mark.parametrize(
    "content_type", ["application/zip", "text/plain", "image/png", "video", "", "video/", "video/mp4\r\nX: y", "a/b"]
)
def test_other_types_are_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        clean_content_type(content_type)
