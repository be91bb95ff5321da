"""Recordings that cannot be used: the cause is the same whether they are probed, cut or ingested."""

from pathlib import Path

import pytest
from support.media.clip import clip_of, meter, refusal
from support.media.patches import rename_codec
from support.media.recordings import make
from support.media.video import pictures_of, record

from pipeline.errors import MediaError
from pipeline.ingest import ingest
from pipeline.reading.probe import probe
from pipeline.types import IngestTask, Source


def refusals(source: Path, scratch: Path) -> list[MediaError]:
    task = IngestTask(source=Source(location=str(source)))
    return [refusal(probe, source), refusal(clip_of, source, 0, 0.5), refusal(ingest, task, scratch, meter())]


def test_encrypted_recording_is_called_encrypted(tmp_path: Path) -> None:
    key = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "0" * 32, "-encryption_kid", "1" * 32)
    source = record(tmp_path / "cenc.mp4", seconds=2, extra=key)
    for error in refusals(source, tmp_path):
        assert (error.code, error.retryable) == ("encrypted", False)
        assert "damaged" not in error.message


def test_encrypted_webm_with_a_table_of_contents_is_called_encrypted(tmp_path: Path) -> None:
    """The table names the id of the clusters, which is not yet the first of them."""
    seek = element(0x53AB, b"\x1f\x43\xb6\x75") + element(0x53AC, b"\xff")
    encoding = element(0x6240, element(0x5033, b"\x01") + element(0x5035, element(0x47E1, b"\x05")))
    size = element(0xE0, element(0xB0, b"\xa0") + element(0xBA, b"\x60"))
    track = element(0xD7, b"\x01") + element(0x73C5, b"\x01") + element(0x83, b"\x01") + element(0x86, b"V_VP9")
    tracks = element(0x1654AE6B, element(0xAE, track + element(0x6D80, encoding) + size))
    cluster = element(0x1F43B675, element(0xE7, b"\x00") + element(0xA3, b"\x81\x00\x00\x80" + bytes(40)))
    source = tmp_path / "encrypted.webm"
    head = element(0x1A45DFA3, element(0x4282, b"webm"))
    source.write_bytes(head + element(0x18538067, element(0x114D9B74, element(0x4DBB, seek)) + tracks + cluster))
    assert {error.code for error in refusals(source, tmp_path)} == {"encrypted"}


def element(kind: int, content: bytes) -> bytes:
    """Return an EBML element, with its length in as few bytes as muxers use."""
    identity = kind.to_bytes((kind.bit_length() + 7) // 8, "big")
    size = bytes([0x80 | len(content)]) if len(content) < 0x7F else (0x4000 | len(content)).to_bytes(2, "big")
    return identity + size + content


def test_unknown_codec_is_named(tmp_path: Path) -> None:
    source = rename_codec(record(tmp_path / "unknown.mp4", seconds=1, audio=None), b"avc1", b"zzzz")
    for error in refusals(source, tmp_path):
        assert error.code == "unsupported_codec"
        assert "zzzz" in error.message


def test_recording_of_subtitles_alone_holds_nothing_to_clip(tmp_path: Path) -> None:
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:02,000\nhello\n")
    for name, codec in (("words.mkv", "srt"), ("words.mp4", "mov_text")):
        source = make(tmp_path / name, "-i", str(tmp_path / "words.srt"), "-c:s", codec)
        for error in refusals(source, tmp_path):
            assert (error.code, "subtitle" in error.message) == ("no_streams", True)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tiff", "webp"])
def test_still_picture_is_called_one(tmp_path: Path, suffix: str) -> None:
    picture = make(tmp_path / f"still.{suffix}", "-f", "lavfi", "-i", "testsrc2=s=160x96", "-frames:v", "1")
    assert {error.code for error in refusals(picture, tmp_path)} == {"still_image"}


def test_still_picture_of_a_phone_is_called_one(tmp_path: Path) -> None:
    (tmp_path / "photo.heic").write_bytes(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(400))
    assert {error.code for error in refusals(tmp_path / "photo.heic", tmp_path)} == {"still_image"}


def test_moving_gif_is_a_recording(tmp_path: Path) -> None:
    source = record(tmp_path / "moving.gif", seconds=2, video=("-c:v", "gif", "-pix_fmt", "pal8"), audio=None)
    clip, _ = clip_of(source, 0.52, 1.52)
    assert [p.number for p in pictures_of(clip)] == list(range(13, 38))
