"""Thumbnail, preview and storyboard as viewers see them, however the clip was made."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.media.recordings import look, make

from pipeline.task import run_task
from pipeline.types import Event, RenderTask, Source

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
MARKED = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"


def render(source: Path, scratch: Path, end_s: float, **fields: Any) -> Path:
    scratch.mkdir(exist_ok=True)
    events: list[Event] = []
    run_task(
        RenderTask(source=Source(location=str(source)), start_s=0.0, end_s=end_s, **fields), scratch, events.append
    )
    return scratch


def pictures(path: Path) -> list[NDArray[np.uint8]]:
    """Decode a still or an animated picture with FFmpeg, by the matrix such files have; at 8 frames a second."""
    stem = path.with_suffix(".seen")
    stem.mkdir(exist_ok=True)
    make(stem / "%03d.png", "-i", str(path), "-r", "8", "-pix_fmt", "rgb24")
    return [look(png).rgb for png in sorted(stem.glob("*.png"))]


@pytest.fixture(scope="module")
def flag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of red, green and blue thirds side by side, in HD and therefore BT.709."""
    thirds = "drawbox=w=424:color=red:t=fill,drawbox=x=848:w=424:color=blue:t=fill"
    return make(
        tmp_path_factory.mktemp("flag") / "flag.mp4",
        *("-f", "lavfi", "-i", "color=c=0x00ff00:s=1272x720:r=10:d=2,format=gbrp"),
        *("-vf", f"{thirds},scale=out_color_matrix=bt709,format=yuv420p,{MARKED}"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "10"),
    )


@pytest.mark.parametrize(
    ("turn", "fields"),
    [
        (0, {"accuracy": "encode"}),
        (0, {"accuracy": "fast"}),
        (0, {"accuracy": "encode", "formats": ["webm"]}),
        (180, {"accuracy": "fast"}),
    ],
)
def test_colours_of_an_hd_clip_stay_what_they_are(
    flag: Path, tmp_path: Path, turn: int, fields: dict[str, Any]
) -> None:
    source = (
        flag if not turn else make(tmp_path / "t.mp4", "-display_rotation", str(turn), "-i", str(flag), "-c", "copy")
    )
    made = render(source, tmp_path / "out", 2.0, options={"storyboard": True}, **fields)
    expected = COLOURS[::-1] if turn else COLOURS
    for name, share in (("thumbnail.jpg", 1.0), ("preview.webp", 1.0), ("storyboard.jpg", 0.1)):
        picture = pictures(made / name)[0]
        width, row = picture.shape[1] * share, int(picture.shape[0] * share) // 2
        for third, colour in enumerate(expected):
            seen = picture[row, int(width * (third + 0.5) / 3)].astype(int)
            assert np.abs(seen - colour).max() < 12, (name, third, seen)


def test_preview_shows_the_second_before_the_telling_frame_and_two_after(tmp_path: Path) -> None:
    """Black but for 4.0 to 4.6 s: the preview of eight frames a second runs from about 3.0 to 6.0."""
    source = make(
        tmp_path / "dull.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=9"),
        *("-vf", "drawbox=color=black:t=fill:enable='not(between(t,4.0,4.6))'"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "25"),
    )
    made = render(source, tmp_path / "out", 9.0, accuracy="encode")
    assert pictures(made / "thumbnail.jpg")[0].std() > 30
    bright = [picture.mean() > 40 for picture in pictures(made / "preview.webp")]
    assert len(bright) == 24
    assert bright.index(True) == pytest.approx(8, abs=4)
    assert 3 <= sum(bright) <= 6
    assert not bright[-1]


def test_preview_of_the_last_moment_ends_with_the_clip(tmp_path: Path) -> None:
    source = make(
        tmp_path / "end.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=9"),
        *("-vf", "drawbox=color=black:t=fill:enable='lt(t,8.2)'"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "25"),
    )
    made = render(source, tmp_path / "out", 9.0, accuracy="fast")
    bright = [picture.mean() > 40 for picture in pictures(made / "preview.webp")]
    assert len(bright) == 24
    assert bright == sorted(bright)
    assert 5 <= sum(bright) <= 8


def test_clip_of_one_frame_has_pictures(tmp_path: Path) -> None:
    source = make(
        tmp_path / "one.mp4", *("-f", "lavfi", "-i", "testsrc2=s=64x36:r=5:d=0.2"), "-c:v", "libx264", "-frames:v", "1"
    )
    made = render(source, tmp_path / "out", 0.2, accuracy="encode")
    assert len(pictures(made / "preview.webp")) == 1
    assert pictures(made / "thumbnail.jpg")[0].shape == (36, 64, 3)


def test_thumbnail_of_sound_is_the_telling_frame_of_a_recording_whose_clock_starts_late(tmp_path: Path) -> None:
    source = make(
        tmp_path / "late.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=320x180:r=25:d=1.5", "-f", "lavfi", "-i", "anoisesrc=d=1.5"),
        *("-vf", "drawbox=color=black:t=fill:enable='lt(t,1.0)'", "-output_ts_offset", "0.6"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"),
    )
    made = render(source, tmp_path / "out", 1.5, accuracy="encode", formats=["mp3"])
    assert pictures(made / "thumbnail.jpg")[0].std() > 30
