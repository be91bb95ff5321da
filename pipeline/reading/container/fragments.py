"""Writes a single index for a fragmented MP4 or MOV, which has a part of its index in each fragment.

Without it FFmpeg visits every fragment before it can go to a time: over a network, the whole recording. It also returns
packets twice from some recordings that were joined or divided for streaming.

Source: ISO/IEC 14496-12, 8.2 to 8.8 (`mvhd`, `mdhd`, `elst`, `mvex`).
"""

import struct
from collections.abc import Mapping
from math import lcm

import numpy as np

from pipeline.reading.container.headers import boxes, read_moov
from pipeline.reading.media import Media
from pipeline.reading.packets import StreamPackets
from pipeline.reading.recovery.moov import Ints, Track, box, full_box, place_before, sample_table

MOST_TICKS = 1 << 32
MOST_STEP = 1 << 31
"""Tables hold times of 32 bits, with a sign for those from decoding to display."""
_VERSION_BYTES = 4
_CONTAINERS = (b"trak", b"mdia", b"minf")


def write_index(media: Media, streams: Mapping[int, StreamPackets]) -> bytes | None:
    """Return bytes to put before the whole file, with one index of these packets.

    `streams` are all packets of the recording, by the number of their stream. None for what an index cannot describe:
    unknown positions, clocks that go back or leap, several descriptions of one track, a damaged header.
    """
    tracks: dict[int, StreamPackets] = {}
    for stream in media.container.streams:
        packets = streams.get(stream.index)
        if packets is not None:
            if not _fits(packets):
                return None
            tracks[stream.id] = packets
    scale = lcm(*(int(1 / packets.base) for packets in tracks.values())) if tracks else MOST_TICKS
    if scale >= MOST_TICKS:
        return None
    moov = read_moov(media.reader, media.size_bytes)
    try:
        return place_before(media.size_bytes, lambda base: box(b"moov", *_moov(moov, tracks, scale, base)))
    except (ValueError, IndexError, struct.error):  # a damaged or strange moov
        return None


def _fits(packets: StreamPackets) -> bool:
    """Return whether a table can hold these packets: all at known positions, by a clock that never goes back."""
    steps, shifts = np.diff(packets.dts), np.abs(packets.pts - packets.dts)
    are_times_right = (steps >= 0).all() and (steps < MOST_STEP).all() and (shifts < MOST_STEP).all()
    return len(packets) > 0 and bool((packets.position >= 0).all() and are_times_right)


def _moov(moov: bytes, tracks: Mapping[int, StreamPackets], scale: int, base: int) -> list[bytes]:
    parts = []
    for kind, content in boxes(moov):
        if kind == b"mvhd":
            longest = max(int(_duration(packets).sum() * packets.base * scale) for packets in tracks.values())
            parts.append(_with_scale(kind, content, scale, longest))
        elif kind == b"trak":
            packets = tracks.get(_track_id(content))
            parts.append(box(kind, content) if packets is None else box(kind, *_trak(content, packets, scale, base)))
        elif kind != b"mvex":
            parts.append(box(kind, content))
    return parts


def _trak(content: bytes, packets: StreamPackets, scale: int, base: int) -> list[bytes]:
    """Return a track's boxes, with tables of its samples and an edit list that keeps the times of its packets."""
    parts = []
    for kind, inner in boxes(content):
        if kind == b"mdhd":
            parts.append(_with_scale(kind, inner, int(1 / packets.base), int(_duration(packets).sum())))
        elif kind in _CONTAINERS:
            parts.append(box(kind, *_trak(inner, packets, scale, base)))
        elif kind == b"stbl":
            parts.append(sample_table(_samples(inner, packets), base))
        elif kind == b"tkhd":
            parts += [box(kind, inner), _edit(packets, scale)]
        elif kind != b"edts":
            parts.append(box(kind, inner))
    return parts


def _samples(stbl: bytes, packets: StreamPackets) -> Track:
    described = dict(boxes(stbl)).get(b"stsd", b"")
    if int.from_bytes(described[4:8], "big") != 1:
        raise ValueError("no description of the track, or several")
    shift = packets.pts - packets.dts
    return Track(
        sample_entry=described[8:],
        is_video=False,
        scale=int(1 / packets.base),
        duration=_duration(packets),
        position=packets.position,
        size=packets.size,
        shift=shift if shift.any() else None,
        keys=None if packets.is_key.all() else np.flatnonzero(packets.is_key),
        shown=0,
    )


def _duration(packets: StreamPackets) -> Ints:
    """Return the duration of each packet in ticks; the last packet is as long as the one before it."""
    steps = np.diff(packets.dts)
    return np.append(steps, steps[-1:] if len(steps) else [1])


def _edit(packets: StreamPackets, scale: int) -> bytes:
    """Return the edit list that places the first packet at its own time."""
    first = int(packets.dts[0])
    length = int((_duration(packets).sum() + abs(first)) * packets.base * scale)
    if first > 0:
        entries = [(int(first * packets.base * scale), -1), (length, 0)]
    elif first < 0:
        entries = [(length, -first)]
    else:
        return b""
    table = b"".join(struct.pack(">QqI", duration, begin, 0x10000) for duration, begin in entries)
    return box(b"edts", full_box(b"elst", struct.pack(">I", len(entries)), table, version=1))


def _with_scale(kind: bytes, content: bytes, scale: int, duration: int) -> bytes:
    """Return a `mvhd` or `mdhd` with another scale and duration, and its other fields unchanged."""
    times = 28 if content[0] else 16
    return full_box(kind, struct.pack(">QQIQ", 0, 0, scale, duration), content[_VERSION_BYTES + times :], version=1)


def _track_id(content: bytes) -> int:
    head = next((inner for kind, inner in boxes(content) if kind == b"tkhd"), b"")
    at = 20 if head[:1] == b"\x01" else 12
    return int.from_bytes(head[at : at + 4], "big")
