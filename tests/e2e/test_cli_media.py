"""Commands that need no server, on a recording whose moments are known."""

import json
import os
import shutil
import signal
import subprocess
import sys
import wave
from pathlib import Path

import av
import pytest
from support.api.command import COMMAND, PLAIN, Snuggles
from support.media.video import record

from cli.demo.sample import EVENTS

MOMENTS = [event for event in EVENTS if event.is_moment]
DISTRACTORS = [event for event in EVENTS if not event.is_moment]
HIGHLIGHT_FIELDS = {"start_s", "end_s", "core_start_s", "core_end_s", "peak_s", "score", "kind", "reasons"}
CLIP_FIELDS = {"path", "start_s", "end_s", "format", "size_bytes", "copied_s", "encoded_s"}


def overlaps(highlight: dict[str, float], start_s: float, duration_s: float) -> bool:
    return highlight["start_s"] < start_s + duration_s and start_s < highlight["end_s"]


def decoded(path: Path) -> tuple[float, int, int]:
    """Return the seconds of sound, the pictures and the samples that a file really holds."""
    with av.open(str(path)) as container:
        pictures = sum(1 for _ in container.decode(video=0)) if container.streams.video else 0
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    return sum(frame.samples for frame in frames) / frames[0].sample_rate, pictures, len(frames)


def test_probe_loads_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    source = record(tmp_path / "small.mp4", seconds=0.4)
    script = "import sys; from cli.main import run; run(sys.argv[1:]); print(*sorted(sys.modules), file=sys.stderr)"
    command = [sys.executable, "-c", script, "probe", str(source)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "1: audio aac" in done.stdout
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert not loaded & {"rich", "numpy", "services", "db", "storage", "psycopg", "ffmpeg"}


def one_sentence(text: str) -> bool:
    return text.count("\n") == 1 and "Traceback" not in text


def test_highlights_of_the_sample_are_the_reactions_and_not_the_noises(snuggles: Snuggles, sample: Path) -> None:
    done = snuggles("highlights", sample, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert done.stderr == ""
    assert found["source"]["duration_s"] == pytest.approx(180, abs=0.2)
    highlights = found["highlights"]
    for moment in MOMENTS:
        assert any(overlaps(highlight, moment.start_s, moment.duration_s) for highlight in highlights), moment
    for noise in DISTRACTORS:
        assert not any(overlaps(highlight, noise.start_s, noise.duration_s) for highlight in highlights), noise
    for highlight in highlights:
        assert set(highlight) >= HIGHLIGHT_FIELDS
        assert highlight["start_s"] <= highlight["core_start_s"] <= highlight["core_end_s"] <= highlight["end_s"]
        total = sum(reason["contribution"] for reason in highlight["reasons"])
        assert total == pytest.approx(highlight["score"], abs=0.01)


def test_top_and_sensitivity_limit_what_is_found(snuggles: Snuggles, sample: Path) -> None:
    done = snuggles("highlights", sample, "--top", "2", "--sensitivity", "0.5", "--json")
    scores = [highlight["score"] for highlight in json.loads(done.stdout)["highlights"]]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)


def test_advice_on_sensitivity_is_given_only_where_it_helps(snuggles: Snuggles, tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "silence.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(2 * 8000 * 12))
    assert "--sensitivity 0.5" in snuggles("highlights", "silence.wav").stdout
    low = snuggles("clip", "silence.wav", "--sensitivity", "0.2")
    assert (low.returncode, low.stderr) == (0, "")
    assert "--sensitivity" not in low.stdout
    assert "No moment of this recording stands out" in low.stdout


def test_highlights_for_people_name_times_kind_and_reasons(snuggles: Snuggles, sample: Path) -> None:
    done = snuggles("highlights", sample, "--top", "1")
    assert done.returncode == 0, done.stderr
    header, row = done.stdout.splitlines()[:2]
    assert header.split() == ["#", "from", "to", "peak", "score", "kind", "why"]
    assert "celebration" in row or "humor" in row


def test_clip_writes_whole_files_with_telling_names(snuggles: Snuggles, sample: Path, tmp_path: Path) -> None:
    done = snuggles("clip", sample, "--top", "2", "--out", "out", "--formats", "mp4,mp3", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    clips = found["clips"]
    assert [clip["format"] for clip in clips] == ["mp4", "mp3"] * 2
    for clip in clips:
        assert set(clip) >= CLIP_FIELDS
        path = tmp_path / clip["path"]
        assert path.stat().st_size == clip["size_bytes"]
        assert path.name.startswith("sample-0")
        sound_s, pictures, _ = decoded(path)
        length_s = clip["end_s"] - clip["start_s"]
        assert sound_s == pytest.approx(length_s, abs=0.15)
        assert clip["format"] == "mp3" or pictures == pytest.approx(length_s * 15, abs=3)
    assert [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == []


def test_cut_says_what_it_did(snuggles: Snuggles, sample: Path, tmp_path: Path) -> None:
    done = snuggles("cut", sample, "--start", "31.3", "--end", "41.7", "--out", "clip.mp4", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["copied_s"] + result["encoded_s"] == pytest.approx(10.4, abs=0.2)
    assert 0 < result["bytes_read"] <= sample.stat().st_size
    sound_s, pictures, _ = decoded(tmp_path / "clip.mp4")
    assert sound_s == pytest.approx(10.4, abs=0.1)
    assert pictures == pytest.approx(156, abs=1)


def test_probe_lists_streams(snuggles: Snuggles, sample: Path) -> None:
    done = snuggles("probe", sample, "--json")
    found = json.loads(done.stdout)
    assert [stream["codec"] for stream in found["streams"]] == ["h264", "aac"]
    assert found["duration_s"] == pytest.approx(180, abs=0.2)
    assert "h264 640x360" in snuggles("probe", sample).stdout


def test_sound_alone_becomes_mp3(snuggles: Snuggles, sample: Path, tmp_path: Path) -> None:
    snuggles("cut", sample, "--start", "20", "--end", "50", "--out", "talk.mp3")
    done = snuggles("clip", "talk.mp3", "--top", "1", "--sensitivity", "0.3", "--json")
    assert done.returncode == 0, done.stderr
    (clip,) = json.loads(done.stdout)["clips"]
    assert clip["format"] == "mp3"
    assert (tmp_path / clip["path"]).suffix == ".mp3"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.mp4", b""),
        ("text.mp4", b"This is no film.\n" * 500),
        ("zip.mp4", b"PK\x03\x04" + bytes(2000)),
        ("list.mp4", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
        ("concat.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n"),
    ],
)
@pytest.mark.parametrize("command", ["probe", "highlights", "clip"])
def test_what_is_no_recording_is_refused_with_one_sentence(
    snuggles: Snuggles, tmp_path: Path, command: str, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    done = snuggles(command, name, "--json")
    assert done.returncode == 1
    assert done.stdout == ""
    assert one_sentence(done.stderr), done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_truncated_recording_is_refused_or_used_as_far_as_it_goes(
    snuggles: Snuggles, sample: Path, tmp_path: Path
) -> None:
    whole = sample.read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])
    done = snuggles("clip", "half.mp4", "--top", "1", "--json")
    if done.returncode == 0:
        assert json.loads(done.stdout)["source"]["problems"] != []
    else:
        assert done.returncode == 1
        assert one_sentence(done.stderr)


def test_recording_without_sound_says_so(snuggles: Snuggles, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "mute.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(100):
            container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    done = snuggles("highlights", "mute.mp4", "--json")
    assert done.returncode in {0, 1}
    assert "sound" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("times", "status"),
    [
        (("41", "31"), 1),
        (("10", "10"), 1),
        (("-5", "5"), 1),
        (("170", "400"), 1),
        (("nan", "10"), 1),
        (("0", "inf"), 1),
        (("ten", "20"), 2),
    ],
)
def test_times_that_make_no_sense_are_refused(
    snuggles: Snuggles, sample: Path, tmp_path: Path, times: tuple[str, str], status: int
) -> None:
    done = snuggles("cut", sample, "--start", times[0], "--end", times[1], "--out", "clip.mp4", "--json")
    assert done.returncode == status
    assert one_sentence(done.stderr), done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nothing",),
        ("clip",),
        ("clip", "x.mp4", "--formats", "gif"),
        ("clip", "x.mp4", "--preset", "huge"),
        ("highlights", "x.mp4", "--sensitivity", "2"),
        ("highlights", "x.mp4", "--top", "0"),
        ("cut", "x.mp4", "--start", "1", "--end", "2", "--out", "clip.gif"),
        ("cut", "x.mp4", "--start", "1"),
        ("user",),
        ("up", "--port", "70000"),
    ],
)
def test_wrong_usage_ends_with_status_2(snuggles: Snuggles, arguments: tuple[str, ...]) -> None:
    done = snuggles(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert one_sentence(done.stderr), done.stderr


@pytest.mark.parametrize(
    ("arguments", "end"),
    [
        (("clip", "x.mp4", "--preset", "huge"), "'square', 'audiogram'; see `snuggles --help`."),
        (("prob", "x.mp4"), "Did you mean 'probe'? See `snuggles --help`."),
    ],
)
def test_wrong_usage_is_told_in_words_for_people(snuggles: Snuggles, arguments: tuple[str, ...], end: str) -> None:
    said = snuggles(*arguments).stderr.rstrip("\n")
    assert said.endswith(end)
    assert "Value error" not in said


@pytest.mark.parametrize("location", ["", "ftp://example.com/talk.mp4", "file:///etc/hosts"])
def test_what_is_neither_a_file_nor_a_web_address_is_said_so(snuggles: Snuggles, location: str) -> None:
    done = snuggles("probe", "--", location)
    assert (done.returncode, done.stdout) == (1, "")
    assert one_sentence(done.stderr), done.stderr
    assert "an http(s) address" in done.stderr


@pytest.mark.parametrize(
    "rest", [("probe",), ("highlights",), ("clip",), ("cut", "--start", "1", "--end", "2", "--out", "a.mp4")]
)
@pytest.mark.parametrize("address", ["http://[::1/talk.mp4", "http://host:99999/talk.mp4"])
def test_address_that_cannot_be_is_refused_by_every_command(
    snuggles: Snuggles, rest: tuple[str, ...], address: str
) -> None:
    done = snuggles(*rest, address)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "The recording could not be read: this is not an http or https address. Check the address.\n"


def test_missing_file_and_folder_are_named(snuggles: Snuggles, tmp_path: Path) -> None:
    missing = snuggles("probe", "gone.mp4")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "gone.mp4" in missing.stderr
    assert snuggles("probe", tmp_path).returncode == 1


def test_out_that_cannot_be_written_is_named(snuggles: Snuggles, sample: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = snuggles("cut", sample, "--start", "1", "--end", "3", "--out", "file/clip.mp4")
    assert done.returncode == 1
    assert one_sentence(done.stderr), done.stderr


def test_cut_never_replaces_the_recording_or_a_folder(snuggles: Snuggles, sample: Path, tmp_path: Path) -> None:
    shutil.copyfile(sample, tmp_path / "talk.mp4")
    (tmp_path / "other.mp4").symlink_to("talk.mp4")
    (tmp_path / "folder.mp4").mkdir()
    for out, word in (("talk.mp4", "itself"), ("other.mp4", "itself"), ("folder.mp4", "folder")):
        done = snuggles("cut", "talk.mp4", "--start", "1", "--end", "7", "--out", out)
        assert done.returncode == 1
        assert one_sentence(done.stderr), done.stderr
        assert word in done.stderr
    assert (tmp_path / "talk.mp4").read_bytes() == sample.read_bytes()


def test_hostile_file_names_are_only_names(snuggles: Snuggles, tmp_path: Path) -> None:
    name = "-i; rm -rf $HOME 'ü' %d concat:x.wav"
    with wave.open(str(tmp_path / name), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(2 * 8000 * 12))
    done = snuggles("cut", "--start", "1", "--end", "7", "--out", "clip.mp3", "--", name)
    assert done.returncode == 0, done.stderr
    assert decoded(tmp_path / "clip.mp3")[0] == pytest.approx(6, abs=0.1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_clip_leaves_nothing_half_written(sample: Path, tmp_path: Path, number: int) -> None:
    command = [*COMMAND, "clip", str(sample), "--out", "out", "--formats", "webm", "--preset", "720p"]
    with subprocess.Popen(command, cwd=tmp_path, env=PLAIN, stderr=subprocess.PIPE, text=True) as process:
        out = tmp_path / "out"
        while process.poll() is None and not (out.is_dir() and any(any(each.iterdir()) for each in out.iterdir())):
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.02)
        process.send_signal(number)
        assert process.wait(20) == 130
        assert "Interrupted" in (process.stderr.read() if process.stderr else "")
    for path in out.rglob("*"):
        assert path.suffix in {".webm", ".jpg"}
        assert path.stat().st_size > 0


@pytest.mark.parametrize(
    ("start", "end"), [("62.5", "1:10"), ("1:02.5", "0:01:10.0"), ("1:02.500", "70")], ids=["mixed", "clock", "digits"]
)
def test_times_are_taken_as_seconds_and_as_a_clock_shows_them(
    snuggles: Snuggles, sample: Path, tmp_path: Path, start: str, end: str
) -> None:
    out = tmp_path / "clip.mp3"
    done = snuggles("cut", "--start", start, "--end", end, "--", sample, "--out", out, "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert (made["start_s"], made["end_s"]) == (62.5, 70.0)
    assert decoded(out)[0] == pytest.approx(7.5, abs=0.06)


@pytest.mark.parametrize("start", ["1:2:3:4", "1:70", "1:61:00", "-1:00", "soon", ""])
def test_time_that_is_none_is_refused_in_one_sentence(
    snuggles: Snuggles, sample: Path, tmp_path: Path, start: str
) -> None:
    done = snuggles("cut", sample, f"--start={start}", "--end", "70", "--out", tmp_path / "clip.mp3")
    assert done.returncode == 2
    assert one_sentence(done.stderr)
    assert "is not a time" in done.stderr


def test_file_name_that_is_not_utf8_is_worked_on_and_shown(snuggles: Snuggles, sample: Path, tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/talk-\xff.ogg"))
    shutil.copy(sample, odd)
    for command in (
        ("probe", odd, "--json"),
        ("cut", odd, "--start", "60", "--end", "66", "--out", tmp_path / "clip.mp3", "--json"),
    ):
        done = snuggles(*command)
        assert done.returncode == 0, done.stderr
        json.loads(done.stdout)
    assert "talk-\ufffd.ogg" in snuggles("probe", odd, "--json").stdout
    assert snuggles("probe", odd).returncode == 0


@pytest.mark.parametrize("content", [None, b"", b"PK\3\4" * 100, b"\x1c\0\0\0TFL3" + bytes(200)])
@pytest.mark.parametrize("command", ["highlights", "clip"])
def test_tagger_that_cannot_be_used_is_refused_in_one_sentence(
    snuggles: Snuggles, sample: Path, tmp_path: Path, command: str, content: bytes | None
) -> None:
    """Missing, empty, another kind of file, and a model that ends after its head."""
    model = tmp_path / "model.tflite"
    if content is not None:
        model.write_bytes(content)
    done = snuggles(command, sample, "--tagger", model)
    assert (done.returncode, done.stdout) == (1, "")
    assert one_sentence(done.stderr), done.stderr
    assert "model.tflite" in done.stderr
    assert not (tmp_path / "clips").exists()
