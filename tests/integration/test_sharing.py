"""Many clips of one recording: what was read of it, and encoded for one clip, serves the others."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from support.media.video import H264_B, complaints, pictures_of, record, sync_of
from support.servers.range_server import RangeServer, serve_ranges

from cli.media.clipping import Analysis, Style, make_clips
from pipeline.errors import MediaError
from pipeline.reading.access.block_cache import BLOCK_BYTES, BLOCKS_A_FILE, Identity, SharedBlockCache
from pipeline.reading.access.ranges import RangeReader
from pipeline.reading.index import build_index
from pipeline.reading.probe import probe
from pipeline.rendering.cut import cut
from pipeline.task import run_task
from pipeline.types import Done, Highlight, RenderResult, RenderTask, Source, event_decoder

STARTS_S = (10.4, 11.2)
CLIPS = [(start_s, start_s + 6 + 0.32 * n) for n in range(5) for start_s in STARTS_S]
"""Ten clips that overlap: two places where somebody begins, five where they end."""
HEAD_PICTURES = 50
"""From the keyframe at 10 s to that at 12 s."""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty seconds with a keyframe every two, some 300 kB a second."""
    folder = tmp_path_factory.mktemp("shared")
    video = (*H264_B, "-g", "50", "-keyint_min", "50", "-sc_threshold", "0", "-b:v", "2400k", "-x264-params",
             "nal-hrd=cbr:vbv-maxrate=2400:vbv-bufsize=2400:filler=1")  # fmt: skip
    path = record(folder / "talk.mp4", seconds=40, video=video, extra=("-movflags", "+faststart"))
    build_index(path).save(folder / "talk.index")
    return path


def source_at(server: RangeServer, recording: Path, cache_dir: Path | None) -> Source:
    index = recording.with_suffix(".index")
    return Source(
        location=server.address(recording.name),
        index=str(index),
        cache_dir=None if cache_dir is None else str(cache_dir),
    )


def ten_clips(server: RangeServer, recording: Path, folder: Path, cache_dir: Path | None) -> tuple[int, int]:
    """Cut all clips, each with its source opened again; return the bytes sent and the pictures decoded."""
    before, decoded = server.sent_bytes, 0
    for number, (start_s, end_s) in enumerate(CLIPS):
        out = folder / f"{number}.mp4"
        report = cut(source_at(server, recording, cache_dir), start_s=start_s, end_s=end_s, out=out)
        assert report.accuracy == "exact"
        decoded += report.decoded
    return server.sent_bytes - before, decoded


def test_ten_clips_read_and_decode_what_they_share_once(recording: Path, tmp_path: Path) -> None:
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    alone.mkdir()
    shared.mkdir()
    with serve_ranges(recording.parent) as server:
        bytes_alone, decoded_alone = ten_clips(server, recording, alone, None)
        bytes_shared, decoded_shared = ten_clips(server, recording, shared, tmp_path / "cache")
        one_for_all = cut(
            source_at(server, recording, None), start_s=STARTS_S[0], end_s=CLIPS[-1][1], out=tmp_path / "all.mp4"
        )
    tails = decoded_alone - len(CLIPS) * HEAD_PICTURES
    assert tails >= 0
    assert decoded_shared == decoded_alone - (len(CLIPS) - len(STARTS_S)) * HEAD_PICTURES
    assert bytes_shared <= one_for_all.bytes_read + BLOCK_BYTES
    assert bytes_alone > 6 * bytes_shared
    for number in range(len(CLIPS)):
        assert pictures_of(shared / f"{number}.mp4") == pictures_of(alone / f"{number}.mp4")
        assert complaints(shared / f"{number}.mp4") == ""


def test_rendered_clips_share_as_well(recording: Path, tmp_path: Path) -> None:
    """Rendering works on a copy of the stretch, which is another file for every clip."""
    cache_dir = tmp_path / "cache"
    with serve_ranges(recording.parent) as server:
        source = source_at(server, recording, cache_dir)
        for number, end_s in enumerate((16.4, 17.2)):
            scratch = tmp_path / str(number)
            scratch.mkdir()
            made = run_task(RenderTask(source=source, start_s=10.4, end_s=end_s), scratch, lambda _event: None)
            assert isinstance(made, RenderResult)
            assert made.accuracy == "exact"
            parts = {path.name for path in cache_dir.glob("parts/*")}
            if number == 0:
                first, read = parts, server.sent_bytes
            assert [p.number for p in pictures_of(scratch / "clip.mp4")] == list(range(260, round(end_s * 25)))
            assert abs(sync_of(scratch / "clip.mp4").at_start_s) < 0.002
            assert complaints(scratch / "clip.mp4") == ""
    assert len(first) >= 1
    assert len(parts - first) <= 1, "the second clip's head is the first's; only its tail may be new"
    assert server.sent_bytes - read < read / 4


def test_clips_at_the_command_line_read_an_address_once(recording: Path, tmp_path: Path) -> None:
    with serve_ranges(recording.parent) as server:
        source = source_at(server, recording, tmp_path / "cache")
        moments = [moment(start_s, start_s + 5) for start_s in (10.4, 12.8, 14.0)]
        analysis = Analysis(source=source, probe=probe(source), highlights=moments)
        before = server.sent_bytes
        clips = make_clips(analysis, Style(formats=["mp4"]), tmp_path / "clips", lambda _title: lambda _event: None)
        shared = server.sent_bytes - before
        whole = cut(source_at(server, recording, None), start_s=10.4, end_s=19.0, out=tmp_path / "all.mp4")
    assert len(clips) == len(moments)
    assert shared <= whole.bytes_read + 2 * BLOCK_BYTES


def moment(start_s: float, end_s: float) -> Highlight:
    return Highlight(start_s=start_s, end_s=end_s, core_start_s=start_s, core_end_s=end_s, peak_s=start_s, score=1.0,
                     kind="humor", kind_confidence=1.0, reasons=[])  # fmt: skip


def test_children_may_share_at_the_same_time(recording: Path, tmp_path: Path) -> None:
    with serve_ranges(recording.parent) as server:
        source = source_at(server, recording, tmp_path / "cache")
        children = []
        for number in range(4):
            scratch = tmp_path / str(number)
            scratch.mkdir()
            child = subprocess.Popen(
                [sys.executable, "-m", "pipeline.task"], cwd=scratch, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert child.stdin is not None
            child.stdin.write(msgspec.json.encode(RenderTask(source=source, start_s=10.4, end_s=14.4)))
            child.stdin.close()
            children.append(child)
        for child in children:
            assert child.stdout is not None
            with child:
                last = event_decoder.decode(child.stdout.read().splitlines()[-1])
            assert isinstance(last, Done), last
    for number in range(4):
        assert [p.number for p in pictures_of(tmp_path / str(number) / "clip.mp4")] == list(range(260, 360))
    assert {path.suffix for path in (tmp_path / "cache").rglob("*") if path.is_file()} == {".blocks", ".part", ""}


def test_part_is_made_anew_where_a_kept_one_is_damaged(recording: Path, tmp_path: Path) -> None:
    source = Source(location=str(recording), cache_dir=str(tmp_path / "cache"))
    first = cut(source, start_s=10.4, end_s=14, out=tmp_path / "one.mp4")
    for part in tmp_path.glob("cache/parts/*"):
        part.write_bytes(part.read_bytes()[:100])
    again = cut(source, start_s=10.4, end_s=14, out=tmp_path / "two.mp4")
    assert again.decoded == first.decoded
    assert pictures_of(tmp_path / "two.mp4") == pictures_of(tmp_path / "one.mp4")


def test_blocks_are_dropped_oldest_first_and_read_again(tmp_path: Path) -> None:
    content = bytes(range(256)) * (BLOCK_BYTES // 256)
    blocks = SharedBlockCache(tmp_path / "cache", limit=2)
    for number in range(3):
        blocks.put(number * BLOCKS_A_FILE, content)
    blocks.close()
    found = SharedBlockCache(tmp_path / "cache", limit=2)
    assert [number * BLOCKS_A_FILE in found for number in range(3)] == [False, True, True]
    assert found.get(BLOCKS_A_FILE) == content
    assert found.get(0) is None
    found.close()


@pytest.mark.parametrize("cache", ["SharedBlockCache(Path(sys.argv[1]))", "_BlockCache()"])
def test_block_that_half_fits_on_the_disk_is_an_error_and_not_here(tmp_path: Path, cache: str) -> None:
    program = f"""
import resource, sys
from pathlib import Path
from pipeline.reading.access.block_cache import BLOCK_BYTES, DATA_AT, SharedBlockCache
from pipeline.reading.access.ranges import _BlockCache
blocks = {cache}
blocks.put(0, bytes(BLOCK_BYTES))
resource.setrlimit(resource.RLIMIT_FSIZE, (DATA_AT + BLOCK_BYTES + 1000,) * 2)
try:
    blocks.put(1, bytes(BLOCK_BYTES))
except OSError:
    print(0 in blocks, 1 in blocks)
"""
    answer = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, capture_output=True, text=True)
    assert answer.stdout.split() == ["True", "False"]


def test_reader_goes_on_when_all_that_was_kept_is_dropped_under_it(recording: Path, tmp_path: Path) -> None:
    whole = recording.read_bytes()
    with (
        serve_ranges(recording.parent) as server,
        RangeReader(server.address(recording.name), cache_dir=tmp_path / "cache") as reader,
    ):
        assert reader.read(100_000) == whole[:100_000]
        for path in (tmp_path / "cache").glob("*.blocks"):
            path.unlink()
        reader.seek(0)
        assert reader.read() == whole


def test_what_was_kept_of_a_file_that_has_changed_is_not_served(recording: Path, tmp_path: Path) -> None:
    with serve_ranges(recording.parent) as server:
        with RangeReader(server.address(recording.name), cache_dir=tmp_path / "cache") as reader:
            reader.read(1000)
        server.etag = '"two"'
        with RangeReader(server.address(recording.name), cache_dir=tmp_path / "cache") as reader:
            reader.seek(20 * BLOCK_BYTES)
            with pytest.raises(MediaError) as caught:
                reader.read(1000)
    assert caught.value.code == "read_failed"
    assert "changed" in str(caught.value)
    blocks = SharedBlockCache(tmp_path / "cache")
    assert blocks.identity() == Identity('"one"', recording.stat().st_size)
    assert not blocks.identify(Identity('"two"', recording.stat().st_size))
    blocks.close()
