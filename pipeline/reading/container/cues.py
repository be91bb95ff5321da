"""Writes cues for a Matroska or WebM file that has none, as browsers and crashed recorders leave them.

Without cues FFmpeg finds a time only by reading the file from its start.

Source: RFC 8794 (EBML), RFC 9559, 5.1.5 (cues) and 5.1.3 (clusters of unknown size).
"""

import struct

from av.stream import Stream

from pipeline.reading.container.headers import elements, read_to_cluster, read_tracks
from pipeline.reading.media import Media

_EBML, _SEGMENT, _CUES, _VOID = 0x1A45DFA3, 0x18538067, 0x1C53BB6B, 0xEC
_SEEK_HEAD, _TRACK_NUMBER = 0x114D9B74, 0xD7
_CUE_POINT, _CUE_TIME, _CUE_PLACES, _CUE_TRACK, _CUE_CLUSTER = 0xBB, 0xB3, 0xB7, 0xF7, 0xF1
_CRC = 0xBF
_NOT_KEPT = frozenset({_SEEK_HEAD, _CUES, _VOID, _CRC})
_UNKNOWN_SIZE = b"\x01" + b"\xff" * 7
_LARGEST_SIZE = (1 << 56) - 2


def write_cues(media: Media, stream: Stream) -> bytes | None:
    """Return bytes to put before the whole file, with cues for the keyframes of `stream`.

    FFmpeg must have read the whole recording before: that is when it notes the cluster of each keyframe. None if it
    noted none, or the header is not understood.
    """
    entries = [(entry.timestamp, entry.pos) for entry in stream.index_entries if entry.is_keyframe and entry.pos >= 0]
    head = read_to_cluster(media.reader)
    parts = dict(elements(head))
    tracks = read_tracks(media)
    if not entries or _EBML not in parts or _SEGMENT not in parts or stream.index >= len(tracks):
        return None
    track = int.from_bytes(dict(elements(tracks[stream.index].entry)).get(_TRACK_NUMBER, b""), "big")
    start = _element(_EBML, parts[_EBML]) + _id(_SEGMENT) + _UNKNOWN_SIZE
    kept = b"".join(_element(kind, content) for kind, content in elements(parts[_SEGMENT]) if kind not in _NOT_KEPT)
    hidden = _id(_VOID) + _size(len(head))
    begin = len(kept) + len(_cues(track, entries, 0)) + len(hidden)
    return start + kept + _cues(track, entries, begin) + hidden


def _cues(track: int, entries: list[tuple[int, int]], offset: int) -> bytes:
    points = (
        _element(
            _CUE_POINT,
            _number(_CUE_TIME, max(0, time))
            + _element(_CUE_PLACES, _number(_CUE_TRACK, track) + _number(_CUE_CLUSTER, place + offset)),
        )
        for time, place in entries
    )
    return _element(_CUES, b"".join(points))


def _number(kind: int, value: int) -> bytes:
    return _element(kind, struct.pack(">Q", value))


def _element(kind: int, content: bytes) -> bytes:
    return _id(kind) + _size(len(content)) + content


def _id(kind: int) -> bytes:
    return kind.to_bytes((kind.bit_length() + 7) // 8, "big")


def _size(length: int) -> bytes:
    """Return a size, always in eight bytes: the length of the cues must not depend on the positions in them."""
    return ((1 << 56) | min(length, _LARGEST_SIZE)).to_bytes(8, "big")
