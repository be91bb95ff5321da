"""Opening what people send: media, and everything that only claims to be."""

import io
import socket
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support.media.video import H264, record, run_ffmpeg

from pipeline.errors import MediaError
from pipeline.reading.index import build_index
from pipeline.reading.probe import probe
from pipeline.rendering.cut import cut


def zipped() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("talk.mp4", b"x" * 10_000)
    return made.getvalue()


PLAYLISTS = {
    "m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n",
    "m3u8_after_blank": b"\xef\xbb\xbf\r\n#EXTM3U\n#EXTINF:10,\nhttp://169.254.169.254/latest\n",
    "concat": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    "file": b"file:///etc/passwd\n",
    "http": b"http://127.0.0.1:9/video.mp4\n",
    "dash": b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>file:///etc/passwd</BaseURL></MPD>',
    "smil": b'<smil><body><video src="file:///etc/passwd"/></body></smil>',
    "asx": b'<asx version="3.0"><entry><ref href="file:///etc/passwd"/></entry></asx>',
    "pls": b"[playlist]\nFile1=/etc/passwd\nNumberOfEntries=1\n",
    "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
}
NOT_MEDIA = {
    "text": b"This is a plain text that only has a wrong name.\n" * 20,
    "html": b"<!doctype html><title>404</title><p>not found</p>" * 10,
    "json": b'{"error": "expired"}' * 20,
    "zip": zipped(),
    "pdf": b"%PDF-1.7\n" + bytes(range(256)) * 20,
    "png": b"\x89PNG\r\n\x1a\n" + b"\x00\x00\x00\rIHDR" + b"\x00" * 200,
    "zeros": bytes(100_000),
    "noise": bytes((i * 7919 + i // 3) % 251 for i in range(50_000)),
    "one_byte": b"x",
    "subtitles": b"WEBVTT\n\n00:00.000 --> 00:05.000\nhello\n" * 10,
    "srt": b"1\n00:00:00,000 --> 00:00:05,000\nhello\n\n" * 10,
    "elf": b"\x7fELF" + bytes(2000),
}


def failure(path: Path) -> MediaError:
    with pytest.raises(MediaError) as caught:
        probe(path)
    return caught.value


@pytest.mark.parametrize("name", PLAYLISTS)
@pytest.mark.parametrize("suffix", [".mp4", ".m3u8"])
def test_playlist_is_refused_whatever_its_name(tmp_path: Path, name: str, suffix: str) -> None:
    path = tmp_path / f"talk{suffix}"
    path.write_bytes(PLAYLISTS[name])
    error = failure(path)
    assert error.code == "forbidden_format"
    assert not error.retryable


@pytest.mark.parametrize("name", NOT_MEDIA)
def test_what_is_no_media_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "talk.mp4"
    path.write_bytes(NOT_MEDIA[name])
    assert failure(path).code in {"not_media", "no_streams", "still_image"}


def test_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "talk.mp4").touch()
    assert failure(tmp_path / "talk.mp4").code == "empty_file"


def test_missing_file_and_folder_are_read_failures(tmp_path: Path) -> None:
    assert failure(tmp_path / "nothing.mp4").code == "read_failed"
    assert failure(tmp_path).code == "read_failed"


def test_name_with_a_null_byte_is_a_read_failure(tmp_path: Path) -> None:
    assert failure(Path(f"{tmp_path}/a\x00b.mp4")).code == "read_failed"


def test_file_without_moov_says_so(tmp_path: Path) -> None:
    source = record(tmp_path / "whole.mp4", seconds=1)
    data = source.read_bytes()
    at = data.rindex(b"moov") - 4
    (tmp_path / "broken.mp4").write_bytes(data[:at])
    error = failure(tmp_path / "broken.mp4")
    assert error.code == "moov_missing"
    assert "moov" in error.message


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9])
def test_mp4_cut_off_before_its_index_is_truncated(tmp_path: Path, share: float) -> None:
    source = record(tmp_path / "whole.mp4", seconds=2)
    data = source.read_bytes()
    (tmp_path / "part.mp4").write_bytes(data[: int(len(data) * share)])
    assert failure(tmp_path / "part.mp4").code in {"truncated", "moov_missing"}


CONTAINERS: dict[str, Callable[[Path], Path]] = {
    "faststart.mp4": lambda path: record(path, seconds=3, video=(*H264, "-g", "25"), extra=("-movflags", "+faststart")),
    "fragmented.mp4": lambda path: record(
        path, seconds=3, video=(*H264, "-g", "25"), extra=("-movflags", "+frag_keyframe+empty_moov")
    ),
    "plain.mkv": lambda path: record(path, seconds=3, video=(*H264, "-g", "25")),
    "stream.ts": lambda path: record(path, seconds=3, video=(*H264, "-g", "25")),
    "sound.wav": lambda path: record(path, seconds=3, video=None, audio=("-c:a", "pcm_s16le")),
    "sound.mp3": lambda path: record(path, seconds=3, video=None, audio=("-c:a", "libmp3lame")),
}


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("share", [0.45, 0.8, 0.99])
def test_truncated_recording_gives_what_is_there_or_says_why(tmp_path: Path, name: str, share: float) -> None:
    whole = CONTAINERS[name](tmp_path / name)
    part = tmp_path / f"part-{name}"
    data = whole.read_bytes()
    part.write_bytes(data[: int(len(data) * share)])
    try:
        found = probe(part)
        build_index(part)
    except MediaError as error:
        assert error.code in {"truncated", "not_media", "decode_failed"}  # noqa: PT017 - either is right
        return
    out = tmp_path / ("clip.mp4" if found.video is not None else "clip.m4a")
    try:
        cut(part, start_s=0.2, end_s=0.9, out=out)
    except MediaError as error:
        assert error.code in {"decode_failed", "out_of_range", "truncated"}  # noqa: PT017 - either is right
        assert not out.exists()
    else:
        assert 0.5 < probe(out).duration_s < 1.1


def test_media_that_points_elsewhere_opens_nothing(tmp_path: Path) -> None:
    """A MOV whose track lies in another file (an external data reference) must not have that file read."""
    source = record(tmp_path / "whole.mov", seconds=1, audio=None)
    secret = tmp_path / "secret.mov"
    source.rename(secret)
    data = bytearray(secret.read_bytes())
    at = data.index(b"url \x00\x00\x00\x01")
    data[at : at + 8] = b"alis\x00\x00\x00\x00"
    (tmp_path / "reference.mov").write_bytes(bytes(data))
    secret.unlink()
    try:
        probe(tmp_path / "reference.mov")
    except MediaError as error:
        assert error.code in {"not_media", "no_streams", "decode_failed", "truncated"}  # noqa: PT017 - either is right


def test_no_connection_is_made_for_an_address_inside_a_file(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        port = server.getsockname()[1]
        accepted: list[object] = []

        def listen() -> None:
            try:
                accepted.append(server.accept())
            except TimeoutError:
                return

        thread = threading.Thread(target=listen)
        thread.start()
        for number, text in enumerate(("#EXTM3U\n#EXTINF:1,\n{}\n", "ffconcat version 1.0\nfile '{}'\n", "{}\n")):
            path = tmp_path / f"{number}.mp4"
            path.write_text(text.format(f"http://127.0.0.1:{port}/x.ts"), encoding="ascii")
            assert failure(path).code == "forbidden_format"
        thread.join()
    assert accepted == []


def test_nothing_is_said_on_standard_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = record(tmp_path / "whole.ts", seconds=1)
    (tmp_path / "part.ts").write_bytes(path.read_bytes()[1000:-700])
    probe(tmp_path / "part.ts")
    assert capfd.readouterr() == ("", "")


def test_file_that_holds_only_subtitles_has_no_streams(tmp_path: Path) -> None:
    captions = tmp_path / "captions.srt"
    captions.write_text("1\n00:00:00,000 --> 00:00:03,000\nhello\n", encoding="ascii")
    run_ffmpeg("-i", captions, "-c:s", "srt", tmp_path / "only.mkv")
    error = failure(tmp_path / "only.mkv")
    assert error.code == "no_streams"
    assert "subtitle" in error.message
