"""MP4 and MOV files whose index (moov) was never written, or is cut off: what can be told from their data is played."""

import io
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from support.api.command import run_snuggles
from support.media.audio import applause, mixed, speech, write_audio
from support.media.video import AAC, H264, H264_B, complaints, likeness_db, pictures_of, record, run_ffmpeg, sync_of
from support.servers.range_server import serve_ranges

from cli.media.clipping import inspect
from pipeline.errors import MediaError
from pipeline.ingest import detect, ingest
from pipeline.progress import Meter
from pipeline.reading.format.nal import H264_IDR
from pipeline.reading.index import load_index
from pipeline.reading.probe import probe
from pipeline.reading.recovery.raw_pictures import Window, find_codec, find_pictures
from pipeline.reading.recovery.recover import _ticks
from pipeline.rendering.cut import cut
from pipeline.types import DetectOptions, DetectTask, IngestTask, Source

REPEATED = ("-g", "25", "-x264-params", "repeat-headers=1")
HEVC = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-x265-params",
        "log-level=none:repeat-headers=1:keyint=25:bframes=3")  # fmt: skip
NTSC = Fraction(30000, 1001)
FRAME_S = 1 / 25


def without_index(whole: Path, *, lost_bytes: int = 0) -> Path:
    """Cut an MP4 off where its index begins, or some bytes before, as a recorder leaves it whose battery fell out."""
    data = whole.read_bytes()
    at = data.rindex(b"moov") - 4 - lost_bytes
    head = data.index(b"mdat") - 4
    broken = whole.with_name(f"broken{whole.suffix}")
    # Recorders write the size of the data when they stop.
    broken.write_bytes(data[:head] + b"\0\0\0\0" + data[head + 4 : at])
    return broken


def codes(path: Path) -> set[str]:
    return {problem.code for problem in probe(path).problems}


@pytest.mark.parametrize(
    ("suffix", "video", "rate", "sound_rate", "channels"),
    [
        (".mp4", (*H264_B, *REPEATED), Fraction(25), 48_000, 1),
        (".mov", (*H264_B, *REPEATED), Fraction(25), 44_100, 2),
        (".mp4", (*H264, "-g", "25", "-x264-params", "repeat-headers=1:slices=4"), NTSC, 48_000, 2),
        (".mp4", (*H264_B, "-g", "25", "-x264-params", "repeat-headers=1:force-cfr=1"), Fraction(50), 32_000, 1),
        (".mp4", HEVC, Fraction(25), 48_000, 2),
        (".mp4", (*H264_B, *REPEATED, "-flags", "+ilme+ildct"), Fraction(25), 48_000, 1),
    ],
)
def test_recording_without_index_is_played_in_step(  # noqa: PLR0913, PLR0917 - one for each property of a recording
    tmp_path: Path, suffix: str, video: tuple[str, ...], rate: Fraction, sound_rate: int, channels: int
) -> None:
    whole = record(
        tmp_path / f"whole{suffix}", seconds=12, rate=rate, video=video, sound_rate=sound_rate, channels=channels
    )
    broken = without_index(whole)
    found = probe(broken)
    assert found.duration_s == pytest.approx(12, abs=0.1)
    assert found.size_bytes == broken.stat().st_size
    assert {"recovered", "sound_recovered"} <= {problem.code for problem in found.problems}
    sound = found.stream(found.audio or 0)
    assert (sound.sample_rate, sound.channels) == (sound_rate, channels)
    out = tmp_path / "clip.mp4"
    cut(broken, start_s=6.3, end_s=9.3, out=out)
    assert complaints(out) == ""
    first = int(6.3 * rate + 1e-6)
    assert [p.number for p in pictures_of(out)] == list(range(first, first + round(3 * rate)))
    sync = sync_of(out, rate=rate, recorded_rate=sound_rate)
    assert max(abs(sync.at_start_s), abs(sync.at_end_s)) < 1 / rate
    assert likeness_db(whole, out) > 28


@pytest.mark.parametrize("accuracy", ["exact", "fast", "encode"])
def test_data_that_breaks_off_inside_a_picture_loses_only_that_one(tmp_path: Path, accuracy: str) -> None:
    whole = record(tmp_path / "whole.mp4", seconds=6, video=(*H264_B, *REPEATED))
    broken = without_index(whole, lost_bytes=9000)
    found = probe(broken)
    assert 4 < found.duration_s < 6
    out = tmp_path / "clip.mp4"
    cut(broken, start_s=1.2, end_s=3.2, out=out, accuracy=accuracy)  # type: ignore[arg-type] # one of the three
    numbers = [p.number for p in pictures_of(out)]
    assert numbers[-50:] == list(range(30, 80))[-len(numbers[-50:]) :]
    assert complaints(out) == ""


def test_index_that_is_cut_off_still_lends_its_settings(tmp_path: Path) -> None:
    """The parameter sets stand only in the index here, whose first track is there and whose second is not."""
    whole = record(tmp_path / "whole.mp4", seconds=6, video=(*H264_B, "-g", "25"))
    data = whole.read_bytes()
    at = data.index(b"avcC", data.rindex(b"moov")) + 70
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(data[:at])
    assert "recovered" in codes(broken)
    out = tmp_path / "clip.mp4"
    cut(broken, start_s=1.2, end_s=3.2, out=out)
    assert [p.number for p in pictures_of(out)] == list(range(30, 80))
    assert complaints(out) == ""


def test_settings_that_only_the_index_held_are_named(tmp_path: Path) -> None:
    broken = without_index(record(tmp_path / "whole.mp4", seconds=2, video=(*H264_B, "-g", "25")))
    with pytest.raises(MediaError) as caught:
        probe(broken)
    assert caught.value.code == "moov_missing"
    assert "SPS, PPS" in caught.value.message
    assert "another recording of the same device" in caught.value.message


class Counted(Window):
    """A window that counts what it was asked for."""

    handed_bytes = 0

    def at(self, position: int, length: int) -> bytes:
        part = super().at(position, length)
        self.handed_bytes += len(part)
        return part


def test_data_full_of_lengths_that_are_none_is_given_up_soon(tmp_path: Path) -> None:
    """Heads stand close together behind a large picture; each claims fifteen MiB, and shows at once that it is none."""
    whole = record(tmp_path / "whole.mp4", seconds=1, video=(*H264, *REPEATED), audio=("-an",)).read_bytes()
    at = sets = whole.index(b"mdat") + 4
    while whole[at + 4] & 0x1F != H264_IDR:
        at += 4 + int.from_bytes(whole[at : at + 4], "big")
    head = whole[at + 4 : at + 36]
    large = (2**20).to_bytes(4, "big") + head + b"\xff" * (2**20 - len(head))
    claim = (15 * 2**20).to_bytes(4, "big") + head + b"\0\0\1\xff"
    data = whole[sets:at] + large + claim * (20 * 2**20 // len(claim))
    window = Counted(io.BytesIO(data), len(data))
    codec = find_codec(window, 0)
    assert codec is not None
    found = find_pictures(window, 0, codec)
    assert (len(found), found.is_given_up) == (1, True)
    assert window.handed_bytes < 16 * 2**30


@pytest.mark.parametrize("rate", [Fraction(1, 200_000), Fraction(1, 3601), Fraction(7, 10), NTSC, Fraction(1000)])
def test_pictures_however_rare_get_ticks_that_fit_into_the_index(rate: Fraction) -> None:
    scale, duration = _ticks(rate)
    assert Fraction(scale, duration) == rate
    assert 1000 <= scale < 2**32
    assert duration < 2**31


def test_sound_that_cannot_be_told_is_said_to_be_lost(tmp_path: Path) -> None:
    video = (*H264_B, *REPEATED)
    broken = without_index(record(tmp_path / "whole.mov", seconds=4, video=video, audio=("-c:a", "pcm_s16le")))
    found = probe(broken)
    assert found.audio is None
    assert {"recovered", "sound_lost"} <= {problem.code for problem in found.problems}
    out = tmp_path / "clip.mp4"
    cut(broken, start_s=1.2, end_s=3.2, out=out)
    assert [p.number for p in pictures_of(out)] == list(range(30, 80))


@pytest.mark.parametrize(
    ("name", "audio"),
    [("memo.m4a", AAC), ("memo.mp4", AAC), ("long.mp4", (*AAC, "-b:a", "320k")), ("memo.m4a", ("-c:a", "alac"))],
)
def test_file_of_sound_alone_without_index_says_why_not(tmp_path: Path, name: str, audio: tuple[str, ...]) -> None:
    """By its brand, or where that tells nothing, by its data."""
    seconds = 12 if name == "long.mp4" else 4
    broken = without_index(record(tmp_path / name, seconds=seconds, video=None, audio=audio, channels=2))
    with pytest.raises(MediaError) as caught:
        probe(broken)
    assert caught.value.code == "moov_missing"
    assert "it holds sound alone" in caught.value.message
    assert "picture" not in caught.value.message


def test_film_that_begins_with_sound_is_no_file_of_sound_alone(tmp_path: Path) -> None:
    """Its pictures come later; that their settings are lost is said all the same."""
    whole = record(tmp_path / "whole.mp4", seconds=2, video=(*H264_B, "-g", "25"))
    memo = record(tmp_path / "memo.mp4", seconds=2, video=None, audio=AAC).read_bytes()
    film = without_index(whole).read_bytes()
    at = film.index(b"mdat") + 4
    sound = memo[memo.index(b"mdat") + 4 : memo.rindex(b"moov") - 4]
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(film[:at] + sound + film[at:])
    with pytest.raises(MediaError) as caught:
        probe(broken)
    assert "SPS, PPS" in caught.value.message


def a_talk(folder: Path) -> Path:
    """Ninety seconds of talk without an index, with applause from 40 s to 46 s."""
    voice = write_audio(
        folder / "voice.m4a", mixed(speech(90, seed=5), (40.0, applause(6.0))), rate=16_000, codec="aac"
    )
    picture = record(folder / "picture.mp4", seconds=90, video=(*H264, *REPEATED), audio=None)
    run_ffmpeg("-i", picture, "-i", voice, "-map", "0:v", "-map", "1:a", "-c", "copy", folder / "whole.mp4")
    return without_index(folder / "whole.mp4")


def test_command_line_makes_clips_of_a_recovered_recording_and_says_what_was_lost(tmp_path: Path) -> None:
    broken = a_talk(tmp_path)
    done = run_snuggles("clip", broken, "--sensitivity", "0.5", "--top", "1", "--out", "clips", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "The recorder stopped before it wrote the file's index (moov)" in done.stdout
    clips = list((tmp_path / "clips").glob("*.mp4"))
    assert len(clips) == 1
    assert complaints(clips[0]) == ""
    done = run_snuggles("cut", broken, "--start", "10", "--end", "13", "--out", "cut.mp4", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "The recorder stopped before it wrote the file's index (moov)" in done.stdout
    assert [p.number for p in pictures_of(tmp_path / "cut.mp4")] == list(range(250, 325))


def test_cut_tells_scripts_of_a_recovery(tmp_path: Path) -> None:
    broken = without_index(record(tmp_path / "whole.mp4", seconds=6, video=(*H264_B, *REPEATED)))
    times = ("--start", "1.2", "--end", "2.2")
    done = run_snuggles("cut", broken, *times, "--out", "cut.mp4", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["problems"] == [
        {"code": problem.code, "message": problem.message, "stream": None, "time_s": None}
        for problem in probe(broken).problems
        if problem.code in {"recovered", "sound_recovered"}
    ]
    assert [p.number for p in pictures_of(tmp_path / "cut.mp4")] == list(range(30, 55))


def test_what_the_search_found_is_handed_on_to_the_clip(tmp_path: Path) -> None:
    broken = without_index(record(tmp_path / "whole.mp4", seconds=2, video=(*H264_B, *REPEATED)))
    seen = inspect(Source(location=str(broken)), tmp_path)
    index = load_index(seen.source)
    assert index is not None
    assert index.recovery is not None
    assert index.recovery.problems == seen.losses


@pytest.mark.parametrize("where", ["file", "url"])
def test_moment_of_a_recovered_recording_becomes_a_clip(tmp_path: Path, where: str) -> None:
    """As a worker does it: one ingest, then cuts by the stored index, which reads only the clip's own bytes."""
    broken = a_talk(tmp_path)
    with serve_ranges(tmp_path) as server:
        location = server.address(broken.name) if where == "url" else str(broken)
        source = Source(location=location, size_bytes=broken.stat().st_size)
        ingested = ingest(IngestTask(source=source), tmp_path, Meter(lambda _: None))
        assert ingested.poster is not None
        assert ingested.index is not None
        options = DetectOptions(sensitivity=0.5, top=1)
        found = detect(DetectTask(timeline=ingested.timeline, options=options), tmp_path, Meter(lambda _: None))
        best = found.highlights[0]
        assert best.core_start_s < 46
        assert best.core_end_s > 40
        indexed = Source(location=location, size_bytes=source.size_bytes, index=str(tmp_path / ingested.index))
        out = tmp_path / "clip.mp4"
        report = cut(indexed, start_s=best.start_s, end_s=best.end_s, out=out)
    assert report.accuracy == "exact"
    numbers = [p.number for p in pictures_of(out)]
    assert numbers == list(range(int(best.start_s * 25 + 1e-3), int(best.start_s * 25 + 1e-3) + len(numbers)))
    assert len(numbers) == pytest.approx((best.end_s - best.start_s) * 25, abs=2)
    if where == "url":
        assert report.bytes_read < broken.stat().st_size / 2 + 500_000


def test_data_that_lies_about_its_lengths_ends_the_search(tmp_path: Path) -> None:
    """Heads that look like pictures of 8 MiB at every eighth byte: the search is given up, not done 200,000 times."""
    whole = record(tmp_path / "whole.mp4", seconds=2, video=(*H264_B, *REPEATED))
    broken = without_index(whole)
    with broken.open("ab") as file:
        file.write(b"\x00\x7f\xff\xff\x41\xe0\x10\xff" * 200_000)
    found = probe(broken)
    assert found.duration_s == pytest.approx(2, abs=0.2)
    recovered = next(problem for problem in found.problems if problem.code == "recovered")
    assert "too damaged to be searched" in recovered.message


@pytest.mark.parametrize("junk", ["noise", "zeros", "units"])
def test_junk_behind_pictures_is_left_out(tmp_path: Path, junk: str) -> None:
    broken = without_index(record(tmp_path / "whole.mp4", seconds=2, video=(*H264_B, *REPEATED)))
    content = {
        "noise": np.random.default_rng(5).bytes(3_000_000),
        "zeros": bytes(3_000_000),
        "units": b"\x00\x00\x00\x02\x09\x10" * 100_000,
    }
    with broken.open("ab") as file:
        file.write(content[junk])
    found = probe(broken)
    assert found.duration_s == pytest.approx(2, abs=0.2)
