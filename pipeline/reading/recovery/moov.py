"""Writes the beginning of an MP4 file (`ftyp`, `moov`, the head of `mdat`) for the media data that follows it.

The data may be that of a file without an index, or a fragmented recording with a part of its index in each fragment.

Source: ISO/IEC 14496-12 (boxes), ISO/IEC 14496-14 (`esds`), ISO/IEC 14496-15 (`avc1`, `hvc1`).
"""

import struct
from collections.abc import Callable
from fractions import Fraction
from itertools import groupby

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Ints = NDArray[np.int64]
MOVIE_SCALE = 90_000
MDAT_HEAD_BYTES = 16
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_LANGUAGE = 0x55C4
"""`und`, three letters of five bits each."""


class Track(Struct, frozen=True, kw_only=True):
    """One track. `position` and `size` of its samples in bytes."""

    sample_entry: bytes
    is_video: bool
    scale: int
    """Ticks a second."""
    duration: int | Ints
    """Ticks from sample to sample: of all of them, or of each."""
    position: Ints
    size: Ints
    shift: Ints | None = None
    """Ticks from decoding to display of each sample."""
    keys: Ints | None = None
    """Numbers of the samples, from 0, where decoding can begin; None for all."""
    start: int = 0
    """The tick of time 0 of the recording."""
    shown: int
    """Number of ticks shown from there on."""
    width: int = 0
    height: int = 0


def video_entry(name: bytes, width: int, height: int, configuration: tuple[bytes, bytes]) -> bytes:
    """Return the sample entry of a video track."""
    fields = struct.pack(">6xH16xHHIIIH32xHh", 1, width, height, 0x480000, 0x480000, 0, 1, 24, -1)
    return box(name, fields, box(*configuration))


def aac_entry(rate: int, channels: int, specific: bytes) -> bytes:
    """Return the sample entry of an AAC track."""
    decoder = _descriptor(4, struct.pack(">BBxHII", 0x40, 0x15, 0, 0, 0), _descriptor(5, specific))
    stream = _descriptor(3, struct.pack(">HB", 1, 0), decoder, _descriptor(6, b"\x02"))
    fields = struct.pack(">6xH8xHH4xI", 1, channels, 16, rate << 16 if rate < 1 << 16 else 0)
    return box(b"mp4a", fields, full_box(b"esds", stream))


def write_beginning(tracks: list[Track], media_bytes: int) -> bytes:
    """Return the bytes before `media_bytes` of data; positions of samples count from the data's first byte."""
    return place_before(media_bytes, lambda base: _moov(tracks, base))


def place_before(media_bytes: int, moov: Callable[[int], bytes]) -> bytes:
    """Return the bytes before `media_bytes` of data. `moov` makes the index for data that begins at a given byte."""
    brands = box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2mp41")
    length = len(brands) + len(moov(0)) + MDAT_HEAD_BYTES
    head = struct.pack(">I4sQ", 1, b"mdat", media_bytes + MDAT_HEAD_BYTES)
    return brands + moov(length) + head


def _moov(tracks: list[Track], base: int) -> bytes:
    longest = max(_shown(track) for track in tracks)
    head = struct.pack(">IIII", 0, 0, MOVIE_SCALE, min(longest, 0xFFFFFFFF)) + struct.pack(">IH10x", 0x10000, 0x100)
    header = full_box(b"mvhd", head, _MATRIX, struct.pack(">24xI", len(tracks) + 1))
    return box(b"moov", header, *(_trak(track, number + 1, base) for number, track in enumerate(tracks)))


def _shown(track: Track) -> int:
    """Return the displayed length, in ticks of the movie."""
    return int(Fraction(track.shown, track.scale) * MOVIE_SCALE)


def _trak(track: Track, number: int, base: int) -> bytes:
    volume = 0 if track.is_video else 0x100
    fields = struct.pack(">IIIIIQHHHH", 0, 0, number, 0, min(_shown(track), 0xFFFFFFFF), 0, 0, 0, volume, 0)
    size = struct.pack(">II", track.width << 16, track.height << 16)
    edit = full_box(b"elst", struct.pack(">IIiI", 1, min(_shown(track), 0xFFFFFFFF), track.start, 0x10000))
    return box(b"trak", full_box(b"tkhd", fields, _MATRIX, size, flags=3), box(b"edts", edit), _mdia(track, base))


def _mdia(track: Track, base: int) -> bytes:
    ticks = int(np.sum(track.duration)) if isinstance(track.duration, np.ndarray) else len(track.size) * track.duration
    header = full_box(b"mdhd", struct.pack(">QQIQHH", 0, 0, track.scale, ticks, _LANGUAGE, 0), version=1)
    kind = b"vide" if track.is_video else b"soun"
    handler = full_box(b"hdlr", b"\0\0\0\0", kind, b"\0" * 13)
    media = full_box(b"vmhd", b"\0" * 8, flags=1) if track.is_video else full_box(b"smhd", b"\0" * 4)
    here = box(b"dinf", full_box(b"dref", struct.pack(">I", 1), full_box(b"url ", flags=1)))
    return box(b"mdia", header, handler, box(b"minf", media, here, sample_table(track, base)))


def sample_table(track: Track, base: int) -> bytes:
    """Return the `stbl` box of a track whose data begin at byte `base`."""
    count = len(track.size)
    first = np.flatnonzero(np.diff(track.position, prepend=-1) != np.concatenate(([-1], track.size[:-1])))
    lengths = np.diff(first, append=count)
    tables = [
        full_box(b"stsd", struct.pack(">I", 1), track.sample_entry),
        _runs(b"stts", np.broadcast_to(np.asarray(track.duration), count)),
    ]
    if track.shift is not None:
        tables.append(_runs(b"ctts", track.shift, version=int(track.shift.min() < 0)))
    if track.keys is not None:
        tables.append(full_box(b"stss", struct.pack(">I", len(track.keys)), (track.keys + 1).astype(">u4").tobytes()))
    changes = np.flatnonzero(np.diff(lengths, prepend=0))
    chunks = np.stack((changes + 1, lengths[changes], np.ones_like(changes)), axis=1)
    tables += [
        full_box(b"stsc", struct.pack(">I", len(chunks)), chunks.astype(">u4").tobytes()),
        full_box(b"stsz", struct.pack(">II", 0, count), track.size.astype(">u4").tobytes()),
        full_box(b"co64", struct.pack(">I", len(first)), (track.position[first] + base).astype(">u8").tobytes()),
    ]
    return box(b"stbl", *tables)


def _runs(kind: bytes, values: Ints, *, version: int = 0) -> bytes:
    """Return a table of runs of equal values: length and value of each."""
    runs = [(len(list(group)), value) for value, group in groupby(values.tolist())]
    return full_box(kind, struct.pack(">I", len(runs)), np.array(runs, ">i8").astype(">u4").tobytes(), version=version)


def box(kind: bytes, *parts: bytes) -> bytes:
    """Return a box with these contents."""
    content = b"".join(parts)
    return struct.pack(">I4s", len(content) + 8, kind) + content


def full_box(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    """Return a box with a version and flags before its contents."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def _descriptor(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">BB", tag, len(content)) + content
