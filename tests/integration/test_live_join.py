"""Joining the tracks of live recordings: parts as recorders send them, gaps, and alignment by the sound itself."""

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from support.media.live import RATE, fragmented_mp4, split, webm

from pipeline.errors import MediaError
from pipeline.live.align import refine
from pipeline.live.parts import CLUSTER, FRAGMENT, header_of, join_bytes
from pipeline.reading.probe import probe
from pipeline.task import run_task
from pipeline.types import JoinResult, JoinTask, JoinTrack


def noise(seconds: float, seed: int = 1) -> NDArray[np.float32]:
    """Noise whose loudness changes, so that any stretch of it can be found again."""
    random = np.random.default_rng(seed)
    envelope = np.repeat(random.uniform(0.05, 0.5, int(seconds * 10) + 1), RATE // 10)[: int(seconds * RATE)]
    return (random.standard_normal(len(envelope)) * envelope * 0.3).astype(np.float32)


def join(scratch: Path, *tracks: JoinTrack) -> JoinResult:
    result = run_task(JoinTask(tracks=list(tracks)), scratch, lambda _event: None)
    assert isinstance(result, JoinResult)
    return result


def sound_of(path: Path) -> NDArray[np.float32]:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=8000)
    with av.open(str(path)) as container:
        pieces = [
            piece.to_ndarray().reshape(-1) for frame in container.decode(audio=0) for piece in resampler.resample(frame)
        ]
    return np.concatenate(pieces)


def test_webm_parts_make_one_seekable_file(tmp_path: Path) -> None:
    data = webm(tmp_path / "whole.webm", noise(12)).read_bytes()
    parts = split(data, CLUSTER, back=0, every=2)
    assert len(parts) >= 4
    files = []
    for number, part in enumerate([*parts, b""]):
        files.append(tmp_path / f"{number}")
        files[-1].write_bytes(part)
    assert join_bytes(files, tmp_path / "track") == len(data)
    result = join(tmp_path, JoinTrack(path="track", start_s=0.5))
    found = probe(str(tmp_path / result.path))
    assert result.content_type == "video/webm"
    assert found.duration_s == pytest.approx(12, abs=0.1)
    assert len(sound_of(tmp_path / result.path)) == pytest.approx(12 * 8000, abs=800)


def test_missing_part_leaves_a_gap_and_moves_nothing(tmp_path: Path) -> None:
    parts = split(webm(tmp_path / "whole.webm", noise(12)).read_bytes(), CLUSTER, back=0, every=2)
    (tmp_path / "track").write_bytes(b"".join(parts[:2] + parts[3:]))
    result = join(tmp_path, JoinTrack(path="track", start_s=0.0))
    with av.open(str(tmp_path / result.path)) as container:
        times = [float(packet.pts * packet.time_base) for packet in container.demux(audio=0) if packet.pts is not None]
    steps = np.diff(times)
    assert times[-1] == pytest.approx(12, abs=0.1)
    assert 1.5 < steps.max() < 3.5


def test_fragmented_mp4_is_made_seekable(tmp_path: Path) -> None:
    data = fragmented_mp4(tmp_path / "whole.mp4", noise(8)).read_bytes()
    parts = split(data, FRAGMENT, back=4, every=2)
    assert len(parts) >= 3
    (tmp_path / "track").write_bytes(b"".join(parts))
    result = join(tmp_path, JoinTrack(path="track", start_s=0.0))
    assert result.content_type == "video/mp4"
    assert probe(str(tmp_path / result.path)).duration_s == pytest.approx(8, abs=0.1)


@pytest.mark.parametrize("kind", [webm, fragmented_mp4])
def test_header_makes_later_parts_playable(tmp_path: Path, kind: object) -> None:
    data = kind(tmp_path / "whole", noise(8)).read_bytes()  # type: ignore[operator]
    marker, back = (CLUSTER, 0) if kind is webm else (FRAGMENT, 4)
    parts = split(data, marker, back=back, every=2)
    header = header_of(parts[0])
    assert header
    (tmp_path / "late").write_bytes(header + b"".join(parts[2:]))
    with av.open(str(tmp_path / "late")) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 2 * RATE


@pytest.mark.parametrize("true_s", [1.35, -0.62, 0.0])
def test_tracks_are_aligned_by_what_both_have_heard(tmp_path: Path, true_s: float) -> None:
    room = noise(14)
    first = room[2 * RATE : 12 * RATE]
    begin = round((2 + true_s) * RATE)
    second = (0.4 * room[begin : begin + 9 * RATE] + 0.05 * noise(9, seed=7)).astype(np.float32)
    a, b = webm(tmp_path / "a.webm", first), webm(tmp_path / "b.webm", second)
    assert refine(a, b, true_s + 0.4) == pytest.approx(true_s, abs=0.02)


def test_tracks_without_common_sound_keep_their_clocks(tmp_path: Path) -> None:
    a, b = webm(tmp_path / "a.webm", noise(8)), webm(tmp_path / "b.webm", noise(8, seed=9))
    assert refine(a, b, 0.7) == 0.7


def test_two_voices_are_mixed_each_at_its_time(tmp_path: Path) -> None:
    first, second = noise(10), np.zeros(6 * RATE, np.float32)
    second[: RATE // 2] = 0.4 * np.sin(2 * np.pi * 440 * np.arange(RATE // 2) / RATE)
    webm(tmp_path / "a", first * 0.02)
    webm(tmp_path / "b", second.astype(np.float32))
    result = join(tmp_path, JoinTrack(path="a", start_s=1.0), JoinTrack(path="b", start_s=4.0))
    mixed = sound_of(tmp_path / result.path)
    assert len(mixed) == pytest.approx(10 * 8000, abs=1600)
    loud = np.flatnonzero(np.abs(mixed) > 0.15) / 8000
    assert loud.min() == pytest.approx(3.0, abs=0.05)
    assert loud.max() == pytest.approx(3.5, abs=0.1)


def test_what_is_no_media_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "track").write_bytes(b"no media at all" * 100)
    with pytest.raises(MediaError) as refused:
        join(tmp_path, JoinTrack(path="track", start_s=0.0))
    assert refused.value.code == "no_streams"
