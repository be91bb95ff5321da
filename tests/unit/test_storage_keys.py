import unicodedata
from urllib.parse import unquote
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import keys
from storage.store import InvalidKeyError

USER = UUID("11111111-1111-4111-8111-111111111111")
THING = UUID("22222222-2222-4222-8222-222222222222")
JOB = UUID("33333333-3333-4333-8333-333333333333")


def test_keys_begin_with_their_owner_and_carry_the_attempt() -> None:
    assert keys.source_key(USER, THING) == f"{USER}/{THING}/source"
    assert keys.ingest_key(USER, THING, 2, "timeline.npz") == f"{USER}/{THING}/ingest/2/timeline.npz"
    assert (
        keys.detect_key(USER, THING, JOB, attempt=1, name="curve.json") == f"{USER}/{THING}/detect/{JOB}/1/curve.json"
    )
    assert keys.clip_key(USER, THING, 3, keys.CLIP_FILE_NAMES["mp4"]) == f"{USER}/{THING}/3/clip.mp4"


def test_prefixes_end_at_a_slash_so_that_none_is_the_start_of_another() -> None:
    for prefix in (
        keys.user_prefix(USER),
        keys.recording_prefix(USER, THING),
        keys.clip_prefix(USER, THING),
    ):
        assert prefix.endswith("/")
    assert keys.clip_key(USER, THING, 1, "clip.mp4").startswith(keys.clip_prefix(USER, THING))


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\\b", "a\x00b", "a\nb", "x" * 256, "\ud800"])
def test_name_that_would_leave_its_folder_is_no_key(name: str) -> None:
    with pytest.raises(InvalidKeyError):
        keys.clip_key(USER, THING, 1, name)


def test_key_longer_than_s3_allows_is_refused() -> None:
    assert keys.check_key("/".join(["x" * 255] * 4))
    with pytest.raises(InvalidKeyError, match="at most 1024 bytes"):
        keys.check_key("/".join(["x" * 255] * 5))


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("My talk", "My talk.mp4"),
        ("My talk.mp4", "My talk.mp4"),
        ("My talk.MP4", "My talk.mp4"),
        ("Müller's Überraschung — 日本語 🎉", "Müller's Überraschung — 日本語 🎉.mp4"),
        ("../../etc/passwd", "etc passwd.mp4"),
        ("..\\..\\windows\\system32", "windows system32.mp4"),
        ('a/b:c*d?e"f<g>h|i', "a b c d e f g h i.mp4"),
        ("line\r\nSet-Cookie: x=1", "line Set-Cookie x=1.mp4"),
        ("safe\u202egpj.exe", "safe gpj.exe.mp4"),
        ("\u200bzero\ufeff", "zero.mp4"),
        ("...hidden...", "hidden.mp4"),
        ("", "download.mp4"),
        (" . / \\ ", "download.mp4"),
        ("\x00\x1f\x7f", "download.mp4"),
        ("CON", "_CON.mp4"),
        ("nul.tar", "_nul.tar.mp4"),
        ("com1", "_com1.mp4"),
        ("LPT¹", "_LPT¹.mp4"),
        ("console", "console.mp4"),
        ("\ud83d broken", "broken.mp4"),
    ],
)
def test_download_name_is_recognisable_and_harmless(title: str, expected: str) -> None:
    assert keys.download_name(title, extension=".mp4") == expected


@given(st.text(max_size=400))
def test_download_name_is_always_one_short_visible_segment(title: str) -> None:
    name = keys.download_name(title, extension=".webm")
    assert name.endswith(".webm")
    assert len(name) > len(".webm")
    assert len(name.encode()) <= keys.MAX_NAME_BYTES + 1  # an underscore in front of a device name
    assert not set('/\\:*?"<>|\r\n\x00') & set(name)
    assert not name.startswith((".", " "))
    assert all(unicodedata.category(c)[0] != "C" or c in "\u200c\u200d" for c in name)
    assert keys.download_name(name, extension=".webm") == name


@given(st.text(max_size=200))
def test_content_disposition_is_ascii_of_one_line_and_keeps_the_name(name: str) -> None:
    value = keys.content_disposition(name)
    assert value.isascii()
    assert value.isprintable()
    quoted = value.removeprefix('attachment; filename="').split('"')[0]
    assert "\\" not in quoted
    _, found, exact = value.partition("filename*=UTF-8''")
    assert unquote(exact) == name.encode(errors="replace").decode() if found else quoted == name


def test_content_disposition_may_show_in_the_page() -> None:
    assert keys.content_disposition("clip.mp4", inline=True) == 'inline; filename="clip.mp4"'


def test_name_without_ascii_letters_keeps_its_extension_for_old_clients() -> None:
    assert keys.content_disposition("日本.mp4").startswith('attachment; filename="download.mp4"; ')
