"""The packet index: the places of a recording's packets, and its header, so that a cut reads only its own bytes.

With it, a cut of half a minute out of an hour reads hardly more than the clip's bytes from storage: not the container's
index, which can have megabytes, and not the places that a demuxer reads during a seek.
"""

import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from pipeline.reading.clock import Jump
from pipeline.reading.recovery.recovery import Recovery
from pipeline.types import Problem

FORMAT_VERSION = 1
if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ticks = NDArray[np.int64]


class StreamPackets:
    """The packets of one stream in decoding order.

    `position` and `size` are bytes in the file, `pts` and `dts` ticks of `base` seconds on the container's clock,
    `is_key` booleans; one entry a packet, or one a keyframe if `is_complete` is false (sizes are then unknown). `pts`
    of MP4 and MOV is exact for keyframes of closed groups, else estimated: their index has only `dts`.
    """

    def __init__(  # noqa: PLR0913 - one column each
        self,
        *,
        base: Fraction,
        position: "Ticks",
        size: "Ticks",
        pts: "Ticks",
        dts: "Ticks",
        is_key: "NDArray[np.bool_]",
        is_complete: bool,
    ) -> None:
        self.base = base
        self.position = position
        self.size = size
        self.pts = pts
        self.dts = dts
        self.is_key = is_key
        self.is_complete = is_complete

    def __len__(self) -> int:
        return len(self.dts)

    def behind(self, length: int) -> "StreamPackets":
        """Return the same packets with positions `length` bytes later."""
        return StreamPackets(
            base=self.base,
            position=self.position + length,
            size=self.size,
            pts=self.pts,
            dts=self.dts,
            is_key=self.is_key,
            is_complete=self.is_complete,
        )

    def stretch(self, start_s: Fraction, end_s: Fraction) -> slice:
        """Return the entries from the keyframe shown at or before `start_s` to the last decoded before `end_s`."""
        import numpy as np

        keys = np.flatnonzero(self.is_key & (self.pts <= float(start_s / self.base)))
        first = int(keys[-1]) if len(keys) else 0
        last = int(np.searchsorted(self.dts, float(end_s / self.base)))
        return slice(first, max(first, last))

    def begins_at(self, time_s: Fraction) -> int:
        """Return the first byte that is needed to decode the picture at `time_s`.

        A packet without a place is somewhere after the last packet that has one (MPEG program streams state only the
        place of the first of several pictures).
        """
        import numpy as np

        first = self.stretch(time_s, time_s).start
        placed = np.flatnonzero(self.position[: first + 1] >= 0)
        if not len(placed):
            return 0
        after = self.position[placed[-1] :]
        return int(after[after >= 0].min())

    def place_before(self, position: int) -> int:
        """Return the last byte before `position` at which a packet begins, else 0."""
        before = self.position[(self.position >= 0) & (self.position < position)]
        return int(before.max()) if len(before) else 0


class PacketIndex:
    """The packets of a recording by index of the stream; `header` are the bytes that opening it reads.

    `jumps` are the restarts of the recording's clock; times here are straightened already. With `recovery`, places
    count from its first byte, but `size_bytes` is the file's own size.
    """

    def __init__(  # noqa: PLR0913 - one for each field
        self,
        *,
        size_bytes: int,
        zero_s: Fraction,
        duration_s: Fraction,
        streams: dict[int, StreamPackets],
        header: list[tuple[int, bytes]],
        jumps: list[Jump] | None = None,
        recovery: Recovery | None = None,
    ) -> None:
        self.recovery = recovery
        self.jumps = jumps or []
        self.size_bytes = size_bytes
        self.zero_s = zero_s
        self.duration_s = duration_s
        self.streams = streams
        self.header = header

    @property
    def _end_bytes(self) -> int:
        return self.size_bytes + (len(self.recovery.beginning) if self.recovery is not None else 0)

    def keyframes(self, stream: int) -> list[float]:
        """Return a stream's keyframe times, in seconds from the recording's start; KeyError for an unknown stream."""
        import numpy as np

        packets = self.streams[stream]
        times = packets.pts[packets.is_key] * float(packets.base) - float(self.zero_s)
        return [float(t) for t in np.sort(times)]

    def ranges(self, start_s: Fraction, end_s: Fraction, *, gap_bytes: int) -> Iterator[tuple[int, int]]:
        """Yield (offset, length) of the bytes needed to decode [start_s, end_s) of the container's clock.

        In file order; ranges closer together than `gap_bytes` are merged.
        """
        spans: list[tuple[int, int]] = []
        for packets in self.streams.values():
            spans += _spans(packets, packets.stretch(start_s, end_s), self._end_bytes)
        begin = end = -1
        for first, last in sorted(spans):
            if begin >= 0 and first <= end + gap_bytes:
                end = max(end, last)
                continue
            if begin >= 0:
                yield begin, end - begin
            begin, end = first, last
        if begin >= 0:
            yield begin, end - begin

    def save(self, path: Path) -> None:
        """Write the index in compact form (about 7 bytes a packet, header included)."""
        stored = _Stored(
            version=FORMAT_VERSION,
            size_bytes=self.size_bytes,
            zero_s=str(self.zero_s),
            duration_s=str(self.duration_s),
            streams={index: _pack(packets) for index, packets in self.streams.items()},
            header=[(offset, zlib.compress(content, _ZLIB_LEVEL)) for offset, content in self.header],
            jumps=[(position, str(offset)) for position, offset in self.jumps],
            beginning=zlib.compress(self.recovery.beginning, _ZLIB_LEVEL) if self.recovery is not None else b"",
            problems=self.recovery.problems if self.recovery is not None else [],
        )
        path.write_bytes(msgspec.msgpack.encode(stored))

    @classmethod
    def load(cls, path: Path) -> "PacketIndex":
        """Read an index; ValueError if the file is not an index, or damaged."""
        try:
            stored = msgspec.msgpack.decode(path.read_bytes(), type=_Stored)
            if stored.version != FORMAT_VERSION:
                raise ValueError(f"index version {stored.version}")
            return cls(
                size_bytes=stored.size_bytes,
                zero_s=Fraction(stored.zero_s),
                duration_s=Fraction(stored.duration_s),
                streams={index: _unpack(packed) for index, packed in stored.streams.items()},
                header=[(offset, zlib.decompress(content)) for offset, content in stored.header],
                jumps=[(position, Fraction(offset)) for position, offset in stored.jumps],
                recovery=Recovery(zlib.decompress(stored.beginning), stored.problems) if stored.beginning else None,
            )
        except (OSError, msgspec.MsgspecError, zlib.error, ZeroDivisionError) as exc:
            raise ValueError(f"not a packet index: {exc}") from exc


_ZLIB_LEVEL = 6
_COLUMNS = ("position", "size", "pts", "dts")


class _Packed(Struct, frozen=True):
    base: str
    count: int
    columns: dict[str, bytes]
    """Differences from entry to entry as 64-bit integers, compressed."""
    is_key: bytes
    is_complete: bool


class _Stored(Struct, frozen=True):
    version: int
    size_bytes: int
    zero_s: str
    duration_s: str
    streams: dict[int, _Packed]
    header: list[tuple[int, bytes]]
    jumps: list[tuple[int, str]] = []
    beginning: bytes = b""
    problems: list[Problem] = []


def _pack(packets: StreamPackets) -> _Packed:
    import numpy as np

    columns = {}
    for name in _COLUMNS:
        values: Ticks = getattr(packets, name)
        columns[name] = zlib.compress(np.diff(values, prepend=0).astype("<i8").tobytes(), _ZLIB_LEVEL)
    return _Packed(
        base=str(packets.base),
        count=len(packets),
        columns=columns,
        is_key=zlib.compress(np.packbits(packets.is_key).tobytes(), _ZLIB_LEVEL),
        is_complete=packets.is_complete,
    )


def _unpack(packed: _Packed) -> StreamPackets:
    import numpy as np

    columns = {name: np.cumsum(np.frombuffer(zlib.decompress(packed.columns[name]), "<i8")) for name in _COLUMNS}
    bits = np.frombuffer(zlib.decompress(packed.is_key), np.uint8)
    if any(len(column) != packed.count for column in columns.values()):
        raise ValueError("an index whose columns differ in length")
    return StreamPackets(
        base=Fraction(packed.base),
        is_key=np.unpackbits(bits, count=packed.count).astype(np.bool_),
        is_complete=packed.is_complete,
        **columns,
    )


def _spans(packets: StreamPackets, chosen: slice, size_bytes: int) -> list[tuple[int, int]]:
    """Return (first byte, byte after the last) of the chosen entries."""
    positions = packets.position[chosen]
    if not packets.is_complete:
        if not len(positions):
            return []
        after = packets.position[chosen.stop] if chosen.stop < len(packets) else size_bytes
        return [(int(positions[0]), int(after))]
    sizes = packets.size[chosen]
    known = positions >= 0
    return [(int(p), int(p + s)) for p, s in zip(positions[known], sizes[known], strict=True)]
