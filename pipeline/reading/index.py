"""Builds packet indexes, and opens recordings with a stored one."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path

from av.stream import Stream

from pipeline.errors import MediaError
from pipeline.reading.clock import ClockRepair
from pipeline.reading.container.truncation import find_shortfall, indexed_end_s
from pipeline.reading.demux import PacketTimer, is_cut_off, may_restart, to_start
from pipeline.reading.media import AV_ERRORS, Media, as_media_error, as_source, is_url, open_media
from pipeline.reading.packets import PacketIndex, StreamPackets
from pipeline.reading.recovery.recovery import Recovery
from pipeline.reading.streams import AV_TIME_BASE, find_streams, is_usable, zero_s
from pipeline.reading.times import is_counted, outer_layout, stated_duration
from pipeline.types import Source

__all__ = ["PacketIndex", "build_index", "load_index", "open_indexed"]

MAX_HEADER_BYTES = 16 * 1024 * 1024
"""About the index of a six-hour MP4; a larger header is read from the source each time."""
PLACES_TRIED = 8
PACKETS_TRIED = 4
"""Packets of each stream read at each of these places, to check a written index."""
LOOK_AT_PACKETS = 60
"""This many packets of a stream include a keyframe with both times, wherever reading starts."""


def build_index(
    source: Source | str | Path | Media, *, on_progress: Callable[[float], None] | None = None
) -> PacketIndex:
    """Return the packet index of a recording.

    From the container's own index if it has one (MP4, MOV, Matroska with cues), else by reading the file once.
    MediaError as `open_media`.
    """
    if isinstance(source, Media):
        return _build(source, on_progress)
    with open_media(source) as media:
        return _build(media, on_progress)


def load_index(source: Source) -> PacketIndex | None:
    """Return the index stored with a source; None if there is no usable one."""
    if source.index is None:
        return None
    try:
        return PacketIndex.load(Path(source.index))
    except ValueError:
        return None


@contextmanager
def open_indexed(source: Source | str | Path | Media) -> Iterator[Media]:
    """Open a recording like `open_media`, with its stored index if it has one; an open recording stays as it is."""
    if isinstance(source, Media):
        yield source
        return
    source = as_source(source)
    with open_media(source, index=load_index(source)) as media:
        if media.index is None and _needs_index(media, source):
            media.index = build_index(media)
        yield media


def _needs_index(media: Media, source: Source) -> bool:
    """Return whether times are known only after a full read; a remote file is not read for that."""
    return not is_url(source.location) and (may_restart(media) or is_counted(media.container))


def _build(media: Media, on_progress: Callable[[float], None] | None) -> PacketIndex:
    layout = outer_layout(media)
    header = _header(media) if media.recovery is None else []  # the rebuilt index replaces it
    streams = [s for s in media.container.streams if is_usable(s)]
    duration = stated_duration(media, layout)
    clock = ClockRepair()
    is_short = find_shortfall(media, layout) is not None
    packets: dict[int, StreamPackets] = {}
    if not layout.is_fragmented and duration is not None:
        packets = _from_container(media, streams, is_short=is_short)
        duration = indexed_end_s(media) if packets and is_short else duration
    if not packets:
        packets, measured = _from_reading(media, streams, clock, on_progress)
        duration = measured if duration is None or clock.jumps or is_short else duration
    index = PacketIndex(
        size_bytes=media.file_bytes,
        zero_s=zero_s(media.container),
        duration_s=duration or Fraction(0),
        streams=packets,
        header=header,
        jumps=clock.jumps,
        recovery=media.recovery,
    )
    # Of a file that is cut off, only its own header tells how much is missing.
    return index if media.recovery is not None or is_short else _with_beginning(index, media)


def _with_beginning(index: PacketIndex, media: Media) -> PacketIndex:
    """Return the index of a fragmented or unfinished recording with a beginning that lists all packets.

    Return it unchanged if the container needs no such beginning, or if FFmpeg then finds other packets than the index
    lists.
    """
    beginning = _beginning(index, media)
    if beginning is None:
        return index
    whole = PacketIndex(
        size_bytes=index.size_bytes,
        zero_s=index.zero_s,
        duration_s=index.duration_s,
        streams={number: packets.behind(len(beginning)) for number, packets in index.streams.items()},
        header=[],
        recovery=Recovery(beginning, []),
    )
    with contextlib.suppress(MediaError), open_media(media.source, index=whole) as again:
        if _selected(again) == _selected(media) and _holds(again, whole):
            return whole
    return index


def _beginning(index: PacketIndex, media: Media) -> bytes | None:
    if outer_layout(media).is_fragmented:
        from pipeline.reading.container.fragments import write_index

        return write_index(media, index.streams)
    selection = find_streams(media.container)
    if (
        selection is not None
        and "matroska" in media.container.format.name
        and index.streams[selection.main.index].is_complete
    ):
        from pipeline.reading.container.cues import write_cues

        return write_cues(media, selection.main)
    return None


def _selected(media: Media) -> list[int]:
    selection = find_streams(media.container)
    return [stream.index for stream in selection.all] if selection is not None else []


def _holds(media: Media, index: PacketIndex) -> bool:
    """Return whether FFmpeg finds the packets that the index lists, at a few places of each stream."""
    if zero_s(media.container) != index.zero_s:
        return False
    for number, packets in index.streams.items():
        stream = media.container.streams[number]
        known = {int(place): entry for entry, place in enumerate(packets.position)}
        for entry in range(0, len(packets), max(1, len(packets) // PLACES_TRIED)):
            try:
                media.container.seek(int(packets.dts[entry]), stream=stream)
                for packet in islice((p for p in media.container.demux(stream) if p.size), PACKETS_TRIED):
                    here = known[packet.pos if packet.pos is not None else -1]
                    if (packet.pts, packet.size) != (packets.pts[here], packets.size[here]):
                        return False
            except AV_ERRORS:
                return False
    return True


def _header(media: Media) -> list[tuple[int, bytes]]:
    """Return the bytes read to open the recording and for a first seek, at which Matroska reads its cues."""
    start: int | None = media.container.start_time
    with contextlib.suppress(*AV_ERRORS):
        media.container.seek((start or 0) + (media.container.duration or 0) // 2)
    with contextlib.suppress(*AV_ERRORS):
        media.container.seek(start or 0)
    ranges = media.reader.ranges_read()
    if sum(end - begin for begin, end in ranges) > MAX_HEADER_BYTES:
        return []
    position = media.reader.tell()
    header = []
    for begin, end in ranges:
        media.reader.seek(begin)
        header.append((begin, _read_all(media, end - begin)))
    media.reader.seek(position)
    return header


def _read_all(media: Media, length: int) -> bytes:
    parts = []
    while length > 0:
        part = media.reader.read(length)
        if not part:
            break
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _from_container(media: Media, streams: list[Stream], *, is_short: bool) -> dict[int, StreamPackets]:
    """Return the container's own index; empty if it is useless or refers to data beyond the file."""
    formats = media.container.format.name.split(",")
    is_complete = "mov" in formats
    if not is_complete and ("matroska" not in formats or is_short):
        return {}
    if not is_complete:  # cues are of the pictures; the few entries of other streams are useless
        streams = [s for s in streams if s.type == "video"] or streams
    found: dict[int, StreamPackets] = {}
    leads = _leads(media, streams) if is_complete else {}
    for stream in streams:
        entries = [
            (e.pos, e.size, e.timestamp, e.is_keyframe)
            for e in stream.index_entries
            if not is_short or e.pos + e.size <= media.size_bytes
        ]
        if len(entries) < 2:  # noqa: PLR2004 - a single entry is the start of reading, not an index
            continue
        import numpy as np

        table = np.array(entries, dtype=np.int64)
        dts = table[:, 2]
        found[stream.index] = StreamPackets(
            base=stream.time_base or AV_TIME_BASE,
            position=table[:, 0],
            size=table[:, 1],
            pts=dts + leads.get(stream.index, 0),
            dts=dts,
            is_key=table[:, 3].astype(bool),
            is_complete=is_complete,
        )
    if len(found) < len(streams):
        return {}
    return found


def _leads(media: Media, streams: list[Stream]) -> dict[int, int]:
    """Return the time between decoding and display of a keyframe of each stream, in ticks."""
    leads: dict[int, int] = {}
    with contextlib.suppress(*AV_ERRORS):
        for number, packet in enumerate(media.container.demux(streams)):
            if packet.is_keyframe and packet.pts is not None and packet.dts is not None:
                leads.setdefault(packet.stream_index, packet.pts - packet.dts)
            if len(leads) == len(streams) or number > LOOK_AT_PACKETS * len(streams):
                break
    return leads


def _from_reading(
    media: Media, streams: list[Stream], clock: ClockRepair, on_progress: Callable[[float], None] | None
) -> tuple[dict[int, StreamPackets], Fraction]:
    """Read the whole recording; return its packets with straightened times, and its length."""
    rows: dict[int, list[tuple[int, int, int, int, int]]] = {stream.index: [] for stream in streams}
    zero = last = zero_s(media.container)
    restarts = may_restart(media)
    timer = PacketTimer(media.container)
    to_start(media)
    try:
        for packet in media.container.demux(media.current(streams)):
            piece = timer.piece(packet)
            if piece is None or is_cut_off(packet, media):
                continue
            if restarts:
                length = piece.duration * piece.base
                piece = piece.moved(clock.note(piece.stream, packet.pos, piece.decoded_s, length))
            position = packet.pos if packet.pos is not None else -1
            rows[piece.stream].append((position, packet.size, piece.pts, piece.dts, packet.is_keyframe))
            last = max(last, (piece.pts + piece.duration) * piece.base)
            if on_progress is not None and position >= 0:
                on_progress(min(1.0, position / media.size_bytes))
    except AV_ERRORS as exc:
        if not any(rows.values()):
            raise as_media_error(exc) from exc
    bases = {stream.index: stream.time_base or AV_TIME_BASE for stream in streams}
    return {index: _table(bases[index], of_stream) for index, of_stream in rows.items() if of_stream}, last - zero


def _table(base: Fraction, rows: list[tuple[int, int, int, int, int]]) -> StreamPackets:
    import numpy as np

    table = np.array(rows, dtype=np.int64)
    return StreamPackets(
        base=base,
        position=table[:, 0],
        size=table[:, 1],
        pts=table[:, 2],
        dts=table[:, 3],
        is_key=table[:, 4].astype(bool),
        is_complete=True,
    )
