"""Caches encoded parts of clips: the next clip that begins or ends at the same picture need not encode them again.

The key of a part is a fingerprint of the packets decoded for it, the stream's parameters, and the part's bounds among
them. So it does not matter whether the packets come from the recording or from a copy of a stretch.
"""

import contextlib
import os
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

import msgspec
from av.video.stream import VideoStream
from msgspec import Struct

from pipeline.cutting.plan import Encode
from pipeline.cutting.splice.splicer import Coded, Part
from pipeline.reading.demux import Piece

CACHE_BYTES = 64 * 1024 * 1024
"""Some fifty parts of 720p; beyond this, the least recently used ones are dropped."""
DIGEST_BYTES = 20
SUFFIX = ".part"


class _Stored(Struct, frozen=True):
    """A part, with times that count from its start."""

    pictures: list[tuple[bytes, int, bool]]
    header: bytes | None


class PartCache:
    """Parts in a folder that several processes share; a file appears there completely or not at all."""

    def __init__(self, folder: Path, *, limit_bytes: int = CACHE_BYTES) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def find(self, key: str, start: int) -> Part | None:
        """Return the part with this fingerprint, beginning at `start` (ticks), or None."""
        path = self._path(key)
        try:
            stored = msgspec.msgpack.decode(path.read_bytes(), type=_Stored)
            os.utime(path)
        except (OSError, msgspec.MsgspecError):
            return None
        return Part(tuple(Coded(data, start + pts, is_key) for data, pts, is_key in stored.pictures), stored.header)

    def put(self, key: str, start: int, part: Part) -> None:
        """Store a part that begins at `start` (ticks); on a full disk it is skipped, as the cache only saves work."""
        content = msgspec.msgpack.encode(
            _Stored([(c.data, c.pts - start, c.is_key) for c in part.pictures], part.header)
        )
        if len(content) > self._limit_bytes:
            return
        made = self._folder / f"{key}.{os.getpid()}"
        with contextlib.suppress(OSError):
            self._make_room(len(content))
            made.write_bytes(content)
            made.replace(self._path(key))
        made.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{SUFFIX}"

    def _make_room(self, needed: int) -> None:
        aged: list[tuple[float, int, Path]] = []
        for path in self._folder.glob(f"*{SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):
                found = path.stat()
                aged.append((found.st_mtime, found.st_size, path))
        free = self._limit_bytes - sum(size for _, size, _ in aged)
        for _, size, path in sorted(aged):
            if free >= needed:
                return
            path.unlink(missing_ok=True)
            free += size


def fingerprint(video: VideoStream, segment: Encode, packets: Iterable[Piece]) -> str:
    """Return the fingerprint of a part: equal only for the same pictures of a stream, at the same relative times.

    The frame rate is not part of it: it only guides the encoder, and is estimated again for every copy of a stretch.
    """
    context = video.codec_context
    colours = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
    shape = (context.codec.canonical_name, context.width, context.height, context.pix_fmt, *map(int, colours))
    clock = (str(video.time_base), str(video.sample_aspect_ratio), segment.end - segment.start)
    digest = blake2b(digest_size=DIGEST_BYTES)
    digest.update(repr((shape, clock, segment.holds, segment.awaits)).encode())
    digest.update(bytes(context.extradata or b""))
    for piece in packets:
        digest.update(repr((piece.pts - segment.start, piece.packet.size)).encode())
        digest.update(bytes(piece.packet))
    return digest.hexdigest()
