"""Reading over HTTP by ranges: what a cut costs at the server, and what happens when the server misbehaves."""

from pathlib import Path

import pytest
from support.media.video import complaints, pictures_of, record, run_ffmpeg, sync_of
from support.servers.range_server import RangeServer, serve_ranges

from pipeline.cutting.stretch.extract import extract_stretch
from pipeline.errors import MediaError
from pipeline.reading.access.ranges import BLOCK_BYTES, RangeReader
from pipeline.reading.index import build_index, open_indexed
from pipeline.reading.probe import probe
from pipeline.rendering.cut import cut
from pipeline.types import Source

PIECE_S = 4
PIECES = 900
ALLOWED_SHARE = 1.3
ALLOWED_BYTES = 4_000_000


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One hour of pictures and sound: four seconds, nine hundred times."""
    folder = tmp_path_factory.mktemp("hour")
    video = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-b:v", "300k", "-pix_fmt", "yuv420p")
    piece = record(folder / "piece.mp4", seconds=PIECE_S, video=video)
    listing = folder / "list.txt"
    listing.write_text(f"file {piece.name}\n" * PIECES)
    run_ffmpeg("-f", "concat", "-i", listing, "-c", "copy", "-movflags", "+faststart", folder / "hour.mp4")
    return folder / "hour.mp4"


def store_index(source: Path, folder: Path) -> str:
    path = folder / "index.bin"
    build_index(source).save(path)
    return str(path)


@pytest.mark.parametrize("accuracy", ["exact", "fast"])
def test_half_a_minute_of_an_hour_reads_hardly_more_than_itself(hour: Path, tmp_path: Path, accuracy: str) -> None:
    index = store_index(hour, tmp_path)
    out = tmp_path / "clip.mp4"
    with serve_ranges(hour.parent) as server:
        source = Source(location=server.address(hour.name), index=index)
        report = cut(source, start_s=1800.6, end_s=1830.6, out=out, accuracy=accuracy)  # type: ignore[arg-type] # given above
    assert report.accuracy == accuracy
    assert server.sent_bytes <= ALLOWED_SHARE * out.stat().st_size + ALLOWED_BYTES
    assert server.sent_bytes <= ALLOWED_SHARE * out.stat().st_size + 4 * BLOCK_BYTES + 100_000
    assert report.bytes_read == server.sent_bytes
    assert server.requests <= 8
    assert complaints(out) == ""


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("plain.ts", ()),
        ("plain.mkv", ()),
        ("plain.flv", ()),
        ("without_cues.mkv", ("-live", "1")),
        ("fragments.mp4", ("-movflags", "frag_keyframe+empty_moov")),
        ("fragments_by_time.mp4", ("-movflags", "empty_moov", "-frag_duration", "3000000")),
        ("fragments_with_edits.mp4", ("-movflags", "frag_keyframe+delay_moov")),
        ("segments.mp4", ("-movflags", "dash")),
        ("negative_offsets.mp4", ("-movflags", "cmaf")),
    ],
)
def test_other_containers_read_hardly_more_than_the_clip(
    hour: Path, tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    source_path = tmp_path / name
    run_ffmpeg("-i", hour, "-t", "600", "-c", "copy", *options, source_path)
    index = store_index(source_path, tmp_path)
    out = tmp_path / "clip.mp4"
    with serve_ranges(tmp_path) as server:
        cut(Source(location=server.address(source_path.name), index=index), start_s=300.6, end_s=306.6, out=out)
    assert server.sent_bytes <= ALLOWED_SHARE * out.stat().st_size + 1_000_000
    # Finding the place by the index changes nothing of the clip.
    whole = tmp_path / "whole.mp4"
    cut(Source(location=str(source_path)), start_s=300.6, end_s=306.6, out=whole)
    assert pictures_of(out) == pictures_of(whole)


def test_cut_over_http_equals_cut_from_disk(tmp_path: Path) -> None:
    path = record(tmp_path / "recording.mp4", seconds=4)
    with serve_ranges(tmp_path) as server:
        cut(server.address(path.name), start_s=0.6, end_s=3.0, out=tmp_path / "far.mp4")
    cut(path, start_s=0.6, end_s=3.0, out=tmp_path / "near.mp4")
    assert pictures_of(tmp_path / "far.mp4") == pictures_of(tmp_path / "near.mp4")
    assert abs(sync_of(tmp_path / "far.mp4").at_end_s) < 0.002


def test_ten_clips_of_an_open_recording_share_what_was_read(hour: Path, tmp_path: Path) -> None:
    index = store_index(hour, tmp_path)
    times = [(1800.6 + n, 1812.6 + n) for n in range(10)]
    with serve_ranges(hour.parent) as server:
        source = Source(location=server.address(hour.name), index=index)
        with open_indexed(source) as media:
            for number, (start_s, end_s) in enumerate(times):
                report = cut(media, start_s=start_s, end_s=end_s, out=tmp_path / f"{number}.mp4")
                assert report.accuracy == "exact"
        shared = server.sent_bytes
        server.sent_bytes = 0
        cut(source, start_s=times[0][0], end_s=times[-1][1], out=tmp_path / "all.mp4")
    assert shared <= 1.5 * server.sent_bytes
    assert [p.number for p in pictures_of(tmp_path / "0.mp4")] == [p.number for p in pictures_of(tmp_path / "all.mp4")][
        :300
    ]


def test_index_of_another_file_is_not_used(tmp_path: Path) -> None:
    one = record(tmp_path / "one.mp4", seconds=2)
    other = record(tmp_path / "other.mp4", seconds=3)
    index = store_index(other, tmp_path)
    with serve_ranges(tmp_path) as server:
        report = cut(
            Source(location=server.address(one.name), index=index), start_s=0.5, end_s=1.5, out=tmp_path / "c.mp4"
        )
    assert report.accuracy == "exact"
    assert [p.number for p in pictures_of(tmp_path / "c.mp4")] == list(range(12, 37))


def test_damaged_index_is_not_used(tmp_path: Path) -> None:
    path = record(tmp_path / "one.mp4", seconds=2)
    (tmp_path / "index.bin").write_bytes(b"nonsense")
    source = Source(location=str(path), index=str(tmp_path / "index.bin"))
    assert cut(source, start_s=0.5, end_s=1.5, out=tmp_path / "clip.mp4").accuracy == "exact"


def test_passing_faults_of_the_server_are_ridden_out(tmp_path: Path) -> None:
    path = record(tmp_path / "recording.mp4", seconds=2)
    with serve_ranges(tmp_path) as server:
        server.statuses[:] = [503, 500]
        server.cut_after_bytes[:] = [1000, 5000]
        reader = RangeReader(server.address(path.name), sleep=_no_pause)
        with reader:
            assert reader.read() == path.read_bytes()


def _no_pause(_seconds: float) -> None:
    """Wait for nothing."""


def read_failure(server: RangeServer, name: str) -> MediaError:
    with pytest.raises(MediaError) as caught, RangeReader(server.address(name), sleep=_no_pause) as reader:
        reader.read(100)
    return caught.value


@pytest.mark.parametrize(
    ("status", "detail", "remedy"),
    [
        (403, "the link has expired or was refused (HTTP 403)", "Try again with a new link."),
        (401, "the link has expired or was refused (HTTP 401)", "Try again with a new link."),
        (404, "the server answered 404 (Not Found)", "Check the address."),
        (410, "the server answered 410 (Gone)", "Check the address."),
        (499, "the server answered 499", "Check the address."),
    ],
)
def test_refusal_is_read_failed_at_once(tmp_path: Path, status: int, detail: str, remedy: str) -> None:
    (tmp_path / "file").write_bytes(b"x" * 1000)
    with serve_ranges(tmp_path) as server:
        server.statuses[:] = [status] * 10
        error = read_failure(server, "file")
    assert error.code == "read_failed"
    assert error.retryable
    assert error.message == f"The recording could not be read: {detail}. {remedy}"
    assert error.remedy == remedy
    assert server.requests == 1


@pytest.mark.parametrize(
    "url", ["http://", "http://[::1", "http://host:99999/a", "http://host:b/", "http://a..b/", f"http://{'a' * 64}.b/"]
)
def test_address_that_cannot_be_is_refused_before_anything_is_asked(url: str) -> None:
    with pytest.raises(MediaError) as caught:
        RangeReader(url, sleep=_no_pause)
    assert "not an http or https address" in caught.value.message


@pytest.mark.parametrize("name", ["two words.mp4", "café.mp4", "50%25.mp4"])
def test_address_as_people_write_it_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name.replace("%25", "%")
    path.write_bytes(b"x" * 1000)
    with serve_ranges(tmp_path) as server, RangeReader(server.address(name), sleep=_no_pause) as reader:
        assert reader.read() == path.read_bytes()


def test_server_that_stays_broken_is_read_failed(tmp_path: Path) -> None:
    with serve_ranges(tmp_path) as server:
        server.statuses[:] = [503] * 100
        error = read_failure(server, "file")
    assert error.code == "read_failed"
    assert server.requests == 4


def test_server_without_ranges_is_read_failed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 1000)
    with serve_ranges(tmp_path) as server:
        server.ignores_ranges = True
        error = read_failure(server, "file")
    assert "ranges" in error.message


def test_unreachable_server_is_read_failed(tmp_path: Path) -> None:
    with serve_ranges(tmp_path) as server:
        url = server.address("file")
    with pytest.raises(MediaError) as caught, RangeReader(url, sleep=_no_pause) as reader:
        reader.read(10)
    assert caught.value.code == "read_failed"


def test_file_replaced_while_reading_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * (3 * BLOCK_BYTES))
    with serve_ranges(tmp_path) as server, RangeReader(server.address("file"), sleep=_no_pause) as reader:
        reader.read(10)
        server.etag = '"two"'
        reader.seek(2 * BLOCK_BYTES)
        with pytest.raises(MediaError) as caught:
            reader.read(10)
    assert "changed" in caught.value.message


def test_reading_the_same_place_twice_costs_one_transfer(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(range(256)) * 1024)
    with serve_ranges(tmp_path) as server, RangeReader(server.address("file")) as reader:
        for _ in range(5):
            reader.seek(70_000)
            assert reader.read(4) == bytes([112, 113, 114, 115])
    assert server.sent_bytes == BLOCK_BYTES


def test_read_failure_inside_a_cut_keeps_its_cause(tmp_path: Path) -> None:
    path = record(tmp_path / "recording.mp4", seconds=4)
    with serve_ranges(tmp_path) as server:
        server.statuses[:] = [403] * 50
        with pytest.raises(MediaError) as caught:
            extract_stretch(server.address(path.name), start_s=1, end_s=2, out=tmp_path / "segment")
    assert caught.value.code == "read_failed"
    assert not list(tmp_path.glob("segment.*"))


def test_probe_over_http_reads_little_of_a_long_file(hour: Path) -> None:
    with serve_ranges(hour.parent) as server:
        found = probe(server.address(hour.name))
    assert found.duration_s == pytest.approx(PIECE_S * PIECES, rel=0.01)
    assert server.sent_bytes < hour.stat().st_size / 10


def test_index_lists_keyframes_and_survives_saving(hour: Path, tmp_path: Path) -> None:
    from pipeline.reading.packets import PacketIndex

    built = build_index(hour)
    built.save(tmp_path / "index.bin")
    loaded = PacketIndex.load(tmp_path / "index.bin")
    assert loaded.keyframes(0) == built.keyframes(0)
    keyframes = loaded.keyframes(0)
    assert len(keyframes) == PIECES * PIECE_S * 25 // 50
    assert keyframes[1] - keyframes[0] == pytest.approx(2.0, abs=0.05)
    assert loaded.duration_s == built.duration_s
    assert (tmp_path / "index.bin").stat().st_size < 10 * sum(len(s) for s in built.streams.values())
