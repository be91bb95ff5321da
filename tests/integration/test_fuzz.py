"""Damaged recordings by the thousand: each gives a result or a clear cause, none hangs, nothing is left behind.

`FUZZ_MUTATIONS=200000 pytest tests/integration/test_fuzz.py` is the long run; a number that fails is its own seed.
"""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from support.media.rare_seeds import write_rare_seeds
from support.media.video import AAC, H264, H264_B, record

WORKER = Path(__file__).parents[1] / "support" / "media" / "fuzz_worker.py"
MUTATIONS = int(os.environ.get("FUZZ_MUTATIONS", "1200"))
SHARDS = 4
PATIENCE_S = 30
"""A mutation that takes longer than this hangs: each takes some ten milliseconds."""
LOST = -1
RARE_SHARE = 6
"""So many times fewer than of the usual containers: most of these must be decoded and encoded."""
RARE_FROM = 500_000


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small recordings of every container."""
    folder = tmp_path_factory.mktemp("seeds")
    small = {"seconds": 0.6, "size": (64, 48)}
    video = (*H264_B, "-g", "8")
    fragments = ("-movflags", "+frag_keyframe+empty_moov")
    record(folder / "plain.mp4", video=video, **small)  # type: ignore[arg-type] # the two above
    record(folder / "fragmented.mp4", video=(*H264, "-g", "8"), extra=fragments, **small)  # type: ignore[arg-type] # the same
    for name in ("matroska.mkv", "stream.ts", "flash.flv"):
        record(folder / name, video=video, audio=AAC, **small)  # type: ignore[arg-type] # the same
    record(folder / "old.avi", video=("-c:v", "mpeg4"), audio=("-c:a", "libmp3lame"), **small)  # type: ignore[arg-type] # the same
    vp9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-pix_fmt", "yuv420p")
    record(folder / "web.webm", video=vp9, audio=("-c:a", "libopus"), **small)  # type: ignore[arg-type] # the same
    hevc = ("-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-x265-params", "log-level=none:keyint=8")
    record(folder / "hevc.mp4", video=hevc, **small)  # type: ignore[arg-type] # the same
    repeated = (*video, "-x264-params", "repeat-headers=1")
    found = record(folder / "repeated.mp4", video=repeated, **small).read_bytes()  # type: ignore[arg-type] # the same
    (folder / "unfinished.mp4").write_bytes(found[: found.rindex(b"moov") - 4])
    for name, codec in (("a.mp3", "libmp3lame"), ("b.wav", "pcm_s16le"), ("c.flac", "flac"), ("d.ogg", "libvorbis")):
        record(folder / name, seconds=0.6, video=None, audio=("-c:a", codec))
    return folder


@pytest.fixture(scope="module")
def rare_seeds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small recordings of every container that is accepted beside those."""
    return write_rare_seeds(tmp_path_factory.mktemp("rare"))


def run_shard(seeds: Path, scratch: Path, first: int, count: int) -> Counter[str]:
    """Work through mutations, going on behind one that takes the process down."""
    ends: Counter[str] = Counter()
    at = first
    while at < first + count:
        command = [sys.executable, str(WORKER), str(seeds), str(scratch), str(at), str(first + count - at)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            signal_timer = PATIENCE_S + count
            try:
                said, errors = process.communicate(timeout=signal_timer)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                said, errors = process.communicate()
                pytest.fail(f"it hangs: {said.splitlines()[-1:]}")
        lines = [line.split(" ", 1) for line in said.splitlines()]
        ends.update(line[1] for line in lines if len(line) > 1 and line[1])
        assert process.returncode <= 0, errors[-3000:]
        if process.returncode == 0:
            break
        ends["crashed"] += 1
        at = int(lines[-1][0]) + 1
        for left in scratch.iterdir():
            left.unlink()
    return ends


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_damaged_recordings_end_with_a_result_or_a_cause(seeds: Path, tmp_path: Path, shard: int) -> None:
    count = MUTATIONS // SHARDS
    ends = run_shard(seeds, tmp_path, shard * count, count)
    assert sum(ends.values()) == count
    assert ends["done"] > count // 20
    assert ends["crashed"] <= count // 500
    assert len(ends) >= 4
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_damaged_recordings_in_rare_containers_end_with_a_result_or_a_cause(
    rare_seeds: Path, tmp_path: Path, shard: int
) -> None:
    count = MUTATIONS // SHARDS // RARE_SHARE
    ends = run_shard(rare_seeds, tmp_path, RARE_FROM + shard * count, count)
    assert sum(ends.values()) == count
