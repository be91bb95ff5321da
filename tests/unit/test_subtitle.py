"""Subtitles from strangers: read strictly, written so that every character stands for itself."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import MediaError
from pipeline.rendering.encoding.subtitle import Cue, Style, clean, parse, shift, write_ass

SRT = (
    "1\r\n00:00:01,000 --> 00:00:02,500\r\nHello <i>there</i>\r\nsecond line\r\n\r\n2\n01:00:00,5 --> 01:00:02,0\nlate"
)
VTT = """WEBVTT - title

NOTE a comment
with two lines

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.000 align:start position:10%
<v Ann>Hi &amp; bye</v>
"""


def dialogues(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").split("\n") if line.startswith("Dialogue:")]


def test_srt_is_read() -> None:
    assert parse(SRT) == [
        Cue(start_s=1.0, end_s=2.5, text="Hello there\nsecond line"),
        Cue(start_s=3600.5, end_s=3602.0, text="late"),
    ]


def test_webvtt_is_read_without_notes_styles_and_settings() -> None:
    assert parse(VTT) == [Cue(start_s=1.0, end_s=2.0, text="Hi & bye")]


@pytest.mark.parametrize("text", ["", "hello", "1\n00:00:05,000 --> 00:00:01,000\nbackwards\n", "-->\n\n-->"])
def test_text_without_a_cue_is_refused(text: str) -> None:
    with pytest.raises(MediaError) as caught:
        parse(text)
    assert caught.value.code == "invalid_option"


def test_too_many_cues_are_refused() -> None:
    with pytest.raises(MediaError, match="more than"):
        parse("\n\n".join(f"{n}\n00:00:00,000 --> 00:00:01,000\nx" for n in range(5_002)))


def test_cues_move_with_the_clip_and_end_with_it() -> None:
    cues = [Cue(start_s=s, end_s=s + 2, text=str(s)) for s in (8.0, 9.0, 11.0, 15.0)]
    assert [(c.start_s, c.end_s, c.text) for c in shift(cues, -10.0, 4.0)] == [(0.0, 1.0, "9.0"), (1.0, 3.0, "11.0")]


def test_override_tags_and_line_breaks_are_no_commands(tmp_path: Path) -> None:
    write_ass(
        tmp_path / "t.ass",
        Style(width=640, height=360),
        [Cue(start_s=0, end_s=1, text=clean("{\\fscx400}a\\Nb {open\nnext"))],
        title="{\\p1}m 0 0{\\p0} C:\\Name",
        duration_s=3,
    )
    caption, title = dialogues(tmp_path / "t.ass")
    assert caption.endswith("a\\\u2060Nb \\{open\\Nnext")
    assert title.endswith("m 0 0 C:\\\u2060Name")


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_text_adds_an_event_or_a_section(caption: str, title: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "t.ass")
        write_ass(path, Style(width=640, height=360), [Cue(start_s=0, end_s=1, text=caption)], title=title)
        lines = path.read_text(encoding="utf-8").split("\n")
    assert len([line for line in lines if line.startswith("[")]) == 3
    events = lines[lines.index("[Events]") + 2 :]
    assert all(line.startswith("Dialogue: ") for line in events if line)
    assert len([line for line in events if line]) <= 2
