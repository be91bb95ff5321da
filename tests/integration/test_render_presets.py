"""Presets as a decoder sees them: framing, text, waveform, colours."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.media.recordings import Seen, frame_count, listen, look, make, numbered, tone

from pipeline.errors import MediaError
from pipeline.rendering.encoding.ffmpeg import executable
from pipeline.task import run_task
from pipeline.types import Event, RenderResult, RenderTask, Source


def render(source: Path, scratch: Path, start_s: float, end_s: float, **fields: Any) -> RenderResult:
    fields.setdefault("accuracy", "encode")
    scratch.mkdir(exist_ok=True)
    events: list[Event] = []
    task = RenderTask(source=Source(location=str(source)), start_s=start_s, end_s=end_s, **fields)
    result = run_task(task, scratch, events.append)
    assert isinstance(result, RenderResult)
    return result


def near(picture: NDArray[np.uint8], colour: tuple[int, int, int], within: int = 60) -> NDArray[np.bool_]:
    """Return which pixels have about this colour."""
    return np.asarray(np.abs(picture.astype(int) - np.array(colour)).sum(axis=2) < within)


def frame_at(path: Path, time_s: float) -> NDArray[np.uint8]:
    seen = look(make(path.with_suffix(".part.mkv"), "-ss", str(time_s), "-i", str(path), "-t", "0.05", "-c:v", "ffv1"))
    return seen.rgb


@pytest.fixture(scope="module")
def walker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flickering red box that walks from the left to the right of a grey room in six seconds."""
    return make(
        tmp_path_factory.mktemp("source") / "walker.mp4",
        *("-f", "lavfi", "-i", "color=c=gray:s=320x180:r=25:d=6"),
        *("-f", "lavfi", "-i", "color=c=red:s=40x40:r=25:d=6,noise=alls=60:allf=t"),
        *("-filter_complex", "[0][1]overlay=x='20+40*t':y=70:shortest=1,format=yuv420p"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "50"),
    )


@pytest.fixture(scope="module")
def panels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red, green and blue thirds that do not move."""
    return make(
        tmp_path_factory.mktemp("source") / "panels.mp4",
        *("-f", "lavfi", "-i", "color=c=0x00ff00:s=318x180:r=10:d=2,format=gbrp"),
        *("-vf", "drawbox=w=106:color=red:t=fill,drawbox=x=212:w=106:color=blue:t=fill,format=yuv420p"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "10"),
    )


def red_place(seen: NDArray[np.uint8]) -> float:
    """Return where the red box is across the picture, 0 to 1."""
    columns = np.flatnonzero(((seen[..., 0] > 140) & (seen[..., 1] < 110)).sum(axis=0) > seen.shape[0] // 12)
    assert columns.size
    return float(columns.mean() / seen.shape[1])


def test_vertical_follows_what_moves(walker: Path, tmp_path: Path) -> None:
    render(walker, tmp_path, 0, 6, preset="vertical")
    seen = look(tmp_path / "clip.mp4")
    assert (seen.width, seen.height) == (720, 1280)
    for time_s in (0.5, 2.0, 4.0, 5.5):
        assert 0.15 < red_place(frame_at(tmp_path / "clip.mp4", time_s)) < 0.85


def test_vertical_stays_in_the_middle_when_asked(panels: Path, tmp_path: Path) -> None:
    render(panels, tmp_path, 0, 2, preset="vertical", options={"follow": "centre"})
    picture = look(tmp_path / "clip.mp4").rgb
    assert near(picture, (0, 255, 0), 90).mean() > 0.95


def test_blurred_sides_show_the_whole_picture_over_itself(panels: Path, tmp_path: Path) -> None:
    render(panels, tmp_path, 0, 2, preset="vertical", options={"blurred_sides": True})
    picture = look(tmp_path / "clip.mp4").rgb
    assert picture.shape == (1280, 720, 3)
    middle = picture[640]
    assert near(middle[None, 40:200], (255, 0, 0), 90).mean() > 0.95
    assert near(middle[None, 280:440], (0, 255, 0), 90).mean() > 0.95
    assert near(middle[None, 520:680], (0, 0, 255), 90).mean() > 0.95
    top = picture[60:360, 300:420]
    assert near(top, (0, 255, 0), 120).mean() > 0.9


def test_square_and_720p_have_their_sizes(panels: Path, tmp_path: Path) -> None:
    render(panels, tmp_path / "square", 0, 1, preset="square")
    assert look(tmp_path / "square" / "clip.mp4").rgb.shape == (720, 720, 3)
    large = make(tmp_path / "large.mp4", "-i", str(panels), "-vf", "scale=1920:1080,setsar=1", "-preset", "ultrafast")
    render(large, tmp_path / "small", 0, 1, preset="720p")
    assert look(tmp_path / "small" / "clip.mp4").rgb.shape == (720, 1280, 3)


def test_audiogram_shows_waveform_title_and_progress_in_the_theme(tmp_path: Path) -> None:
    voice = tone(tmp_path / "voice.wav", volume=0.8)
    colours = {"background": "#203040", "wave": "#ffe000", "text": "#ffffff", "progress": "#ff00ff"}
    options = {"shape": "landscape", **colours}
    title = "An {\\b1}unlikely\\N title: 日本 & more"
    formats = ["mp4", "webm"]
    result = render(
        voice, tmp_path / "out", 0.5, 5.5, preset="audiogram", title=title, options=options, formats=formats
    )
    assert [o.path for o in result.outputs] == ["clip.mp4", "clip.webm", "thumbnail.jpg", "preview.webp"]
    for name in ("clip.mp4", "clip.webm"):
        seen: Seen = look(tmp_path / "out" / name)
        assert seen.rgb.shape == (720, 1280, 3)
        assert seen.end_s == pytest.approx(5.0, abs=0.05)
        middle = frame_at(tmp_path / "out" / name, 2.5)
        assert near(middle, (0x20, 0x30, 0x40)).mean() > 0.5
        wave = near(middle, (0xFF, 0xE0, 0x00), 120)
        assert 0.02 < wave.mean() < 0.4
        columns = np.flatnonzero(wave.sum(axis=0))
        assert columns.min() < 0.1 * 1280
        assert columns.max() > 0.9 * 1280
        text = near(middle[:200], (255, 255, 255), 120)
        assert 0.005 < text.mean() < 0.2
        bar = near(middle[-3:], (255, 0, 255), 120)
        assert bar.mean() == pytest.approx(0.5, abs=0.03)
    sound, rate = listen(tmp_path / "out" / "clip.mp4")
    assert len(sound) / rate == pytest.approx(5.0, abs=0.05)


def test_waveform_passes_under_the_playhead_with_the_sound(tmp_path: Path) -> None:
    """A beep of a quarter second past the first minute stands where its time is: 120 pixels a second off the middle."""
    beep_s, beep = 60.5, "0.8*sin(2*PI*500*t)*between(t,60.5,60.75)"
    voice = make(tmp_path / "beep.wav", "-f", "lavfi", "-i", f"aevalsrc='{beep}':s=8000:d=62")
    options = {"shape": "landscape", "wave": "#ffe000"}
    render(voice, tmp_path / "out", 0, 62, preset="audiogram", options=options)
    silent = frame_at(tmp_path / "out" / "clip.mp4", 1.0).astype(int)
    assert np.abs(silent[300, 100:600] - silent[100, 100:600]).max() <= 2  # the waveform has no box around it
    for time_s in (58.5, 59.95, 60.0, 60.5, 61.5):
        picture = frame_at(tmp_path / "out" / "clip.mp4", time_s)
        tall = np.flatnonzero(near(picture, (0xFF, 0xE0, 0x00), 120)[360 - 40])
        assert tall.min() == pytest.approx(640 + 120 * (beep_s - time_s), abs=20)
        assert tall.max() == pytest.approx(640 + 120 * (beep_s + 0.25 - time_s), abs=20)


def test_audiogram_of_a_video_uses_its_sound_alone(tmp_path: Path) -> None:
    talk = numbered(tmp_path / "talk.mp4", seconds=3)
    options = {"shape": "square", "show_progress": False}
    render(talk, tmp_path / "out", 0, 2, preset="audiogram", options=options)
    picture = look(tmp_path / "out" / "clip.mp4").rgb
    assert picture.shape == (1080, 1080, 3)
    assert near(picture[-3:], (0x14, 0x16, 0x1F)).all()


def test_captions_show_in_their_time_on_a_machine_without_fonts(
    panels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FONTCONFIG_PATH", "/nonexistent")
    captions = "WEBVTT\n\n00:00.500 --> 00:01.000\nHELLO\n\n00:01.500 --> 00:02.000\nΩώ\n"
    render(panels, tmp_path, 0, 2, options={"subtitles": captions})

    def white(time_s: float) -> float:
        return float(near(frame_at(tmp_path / "clip.mp4", time_s)[110:], (255, 255, 255), 150).mean())

    assert white(0.2) == 0
    assert white(0.7) > 0.0005
    assert white(1.2) == 0
    assert white(1.7) > 0.0005


def test_captions_of_the_recording_move_with_the_clip(panels: Path, tmp_path: Path) -> None:
    captions = "1\n00:00:01,200 --> 00:00:01,800\nHELLO\n"
    render(panels, tmp_path, 1, 2, options={"subtitles": captions, "subtitles_origin": "recording"})
    assert near(frame_at(tmp_path / "clip.mp4", 0.5)[110:], (255, 255, 255), 150).any()
    assert not near(frame_at(tmp_path / "clip.mp4", 0.1)[110:], (255, 255, 255), 150).any()


def test_subtitles_that_are_none_are_refused(panels: Path, tmp_path: Path) -> None:
    with pytest.raises(MediaError) as caught:
        render(panels, tmp_path, 0, 1, options={"subtitles": "no cues here"})
    assert caught.value.code == "invalid_option"


def test_storyboard_shows_the_clip_from_left_to_right(walker: Path, tmp_path: Path) -> None:
    result = render(walker, tmp_path, 0, 6, options={"storyboard": True})
    board = look(tmp_path / "storyboard.jpg").rgb
    assert (board.shape[1], board.shape[0]) == (1600, 5 * 90)
    assert next(o for o in result.outputs if o.path == "storyboard.jpg").width == 1600
    places = [red_place(board[90 * row : 90 * row + 90, :160]) for row in range(5)]
    assert places == sorted(places)
    assert places[0] < 0.2
    assert places[-1] > 0.6


def test_the_thumbnail_is_the_frame_that_shows_most(tmp_path: Path) -> None:
    source = make(
        tmp_path / "dull.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=320x180:r=10:d=6"),
        *("-vf", "drawbox=color=black:t=fill:enable='not(between(t,3.2,4.1))'"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "10"),
    )
    render(source, tmp_path / "out", 0, 6)
    assert look(tmp_path / "out" / "thumbnail.jpg").rgb.std() > 30
    assert frame_count(tmp_path / "out" / "preview.webp") >= 8


def test_every_made_file_decodes_without_a_message(walker: Path, tmp_path: Path) -> None:
    import subprocess

    result = render(walker, tmp_path, 0.3, 3.1, formats=["mp4", "webm"], preset="square")
    for output in result.outputs:
        command = [executable(), "-v", "warning", "-i", str(tmp_path / output.path), "-f", "null", "-"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stderr == "", output.path
