"""Options and geometry of presets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import MediaError
from pipeline.rendering.presets import display_size, parse_options, picture_for, theme_of
from pipeline.types import AudiogramOptions, Preset, StreamInfo, VerticalOptions

PRESETS: tuple[Preset, ...] = ("original", "720p", "vertical", "square")


def stream(width: int, height: int, *, rotation: int = 0, aspect: str = "1/1") -> StreamInfo:
    return StreamInfo(
        index=0, kind="video", codec="h264", width=width, height=height, rotation=rotation, sample_aspect=aspect
    )


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        ({"blurr": True}, "blurr"),
        ({"height": 1000}, "1000"),
        ({"fade_in_s": -1}, "fade_in_s"),
        ({"fade_in_s": "1"}, "fade_in_s"),
        ({"subtitles": "x" * 1_000_001}, "subtitles"),
    ],
)
def test_a_wrong_option_is_named(raw: dict[str, object], word: str) -> None:
    with pytest.raises(MediaError) as caught:
        parse_options("vertical", raw)
    assert caught.value.code == "invalid_option"
    assert word in caught.value.message


def test_options_of_another_preset_are_refused() -> None:
    with pytest.raises(MediaError, match="blurred_sides"):
        parse_options("720p", {"blurred_sides": True})


def test_colours_given_replace_those_of_the_theme() -> None:
    options = parse_options("audiogram", {"theme": "light", "wave": "#102030"})
    assert isinstance(options, AudiogramOptions)
    assert theme_of(options).wave == "#102030"
    assert theme_of(options).background == "#faf8f5"
    with pytest.raises(MediaError):
        parse_options("audiogram", {"wave": "red; drawtext"})


@pytest.mark.parametrize(
    ("source", "size"),
    [
        (stream(1920, 1080), (1920, 1080)),
        (stream(1920, 1080, rotation=90), (1080, 1920)),
        (stream(720, 576, aspect="16/11"), (1047, 576)),
        (stream(720, 576, aspect="8/9"), (720, 648)),
        (stream(1440, 1080, aspect="4:3", rotation=270), (1080, 1920)),
        (stream(640, 480, aspect="0/0"), (640, 480)),
    ],
)
def test_display_size_applies_aspect_and_rotation(source: StreamInfo, size: tuple[int, int]) -> None:
    assert display_size(source) == size


@pytest.mark.parametrize(
    ("preset", "source", "size"),
    [
        ("original", stream(641, 361), (642, 362)),
        ("original", stream(7680, 4320), (4096, 2304)),
        ("720p", stream(1920, 1080), (1280, 720)),
        ("720p", stream(1080, 1920), (720, 1280)),
        ("720p", stream(320, 180), (320, 180)),
        ("vertical", stream(1920, 1080), (1080, 1920)),
        ("vertical", stream(1280, 720), (720, 1280)),
        ("square", stream(1920, 1080), (1080, 1080)),
        ("square", stream(640, 360), (720, 720)),
    ],
)
def test_frames_have_the_size_platforms_want(preset: Preset, source: StreamInfo, size: tuple[int, int]) -> None:
    picture = picture_for(preset, parse_options(preset, {}), source)
    assert (picture.width, picture.height) == size


def test_blurred_sides_keep_the_whole_picture() -> None:
    assert picture_for("vertical", VerticalOptions(blurred_sides=True), stream(1920, 1080)).mode == "blur"


@given(
    preset=st.sampled_from(PRESETS),
    width=st.integers(1, 8192),
    height=st.integers(1, 8192),
    rotation=st.sampled_from([0, 90, 180, 270]),
    aspect=st.sampled_from(["1/1", "4/3", "16/11", "8/9"]),
)
def test_any_source_gets_an_even_frame_and_a_window_inside_its_picture(
    preset: Preset, width: int, height: int, rotation: int, aspect: str
) -> None:
    source = stream(width, height, rotation=rotation, aspect=aspect)
    picture = picture_for(preset, parse_options(preset, {}), source)
    shown = display_size(source)
    assert picture.width >= 2
    assert picture.height >= 2
    assert picture.width % 2 == picture.height % 2 == 0
    assert max(picture.width, picture.height) <= 4096
    if picture.mode == "crop":
        assert 1 <= picture.crop_width <= shown[0]
        assert 1 <= picture.crop_height <= shown[1]
        assert picture.crop_width == shown[0] or picture.crop_height == shown[1]
