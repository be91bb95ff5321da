"""Finds the packets of a stretch of a recording: seeks early enough and lists the packets."""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice, pairwise
from math import ceil, floor
from statistics import median
from typing import NamedTuple, TypeAlias

import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Stream

from pipeline.errors import DECODE_FAILED
from pipeline.reading.access.block_cache import BLOCK_BYTES
from pipeline.reading.clock import BACKWARD_S, FORWARD_S, RESTARTING_FORMATS, offset_at
from pipeline.reading.media import AV_ERRORS, Media, as_media_error
from pipeline.reading.streams import AV_TIME_BASE, Selection, is_usable, zero_s
from pipeline.reading.times import is_bare_pictures, is_counted

AUDIO_PREROLL_S = Fraction(1, 10)
"""Sound before the cut that a decoder needs to settle: one frame for AAC and MP3, 80 ms for Opus (RFC 7845, 4.6)."""
LONGEST_SKEW_S = Fraction(6)
"""If sound is further behind its pictures in a file than this, no earlier place is tried."""
INTERLEAVE_S = Fraction(2)
"""How far sound may be behind its pictures in a file."""
_UNINDEXED_FORMATS = frozenset({"flv", "live_flv"})
"""In these FFmpeg finds a time only by reading the file from its start."""
LANDING_PACKETS = 3000
"""How far to look for the first keyframe after a seek, before trying an earlier place."""
_STEPS_BACK_S = (Fraction(0), Fraction(1, 2), Fraction(2), Fraction(6), Fraction(15), Fraction(40), Fraction(120))
PLACES = 16
"""Places read to check whether the clock is continuous: about 2 MB in all."""
USUAL_RATE = Fraction(25)
UNEVEN_STEPS = 10
"""Still pictures take fewer bytes than others; times of steps with equal bytes differ at most by this factor."""


AnyPacket: TypeAlias = "Packet[Stream]"


class Piece(NamedTuple):
    """A packet with both its times, in ticks of `base` seconds on the container's clock."""

    packet: AnyPacket
    stream: int
    pts: int
    dts: int
    duration: int
    base: Fraction

    @property
    def shown_s(self) -> Fraction:
        """Time of display."""
        return self.pts * self.base

    @property
    def decoded_s(self) -> Fraction:
        """Time of decoding; never falls from packet to packet of a stream."""
        return self.dts * self.base

    def moved(self, by_s: Fraction) -> "Piece":
        """Return the packet with shifted times."""
        ticks = round(by_s / self.base)
        return self._replace(pts=self.pts + ticks, dts=self.dts + ticks) if ticks else self


class Demuxer:
    """Reads packets of the selected streams of an open recording; everything else is skipped."""

    def __init__(self, media: Media, selection: Selection) -> None:
        self.media = media
        self.selection = selection
        self.zero = zero_s(media.container)
        self._lost: frozenset[int] = frozenset()
        """Streams whose packets in the first page have wrong times here."""
        self._needs_start = PacketTimer(media.container).needs_start
        """Times are right only when reading from the start; streams may then be far apart in the file."""
        wanted = {stream.index for stream in selection.all}
        for stream in media.container.streams:
            stream.discard = Discard.default if stream.index in wanted else Discard.all

    def seek_before(self, time_s: Fraction, lead_s: Fraction = AUDIO_PREROLL_S) -> None:
        """Seek to where decoding must begin to show the picture at `time_s` of the container's clock.

        Sound is included from `lead_s` before that time, if it is interleaved with the pictures within seconds.
        """
        if self._needs_start:
            self.rewind()
            return
        if self._seek_by_index(time_s):
            return
        for step in _STEPS_BACK_S:
            target = time_s - AUDIO_PREROLL_S - step
            if target <= self.zero:
                break
            if self._seek(target) and self._lands_before(time_s, lead_s, step) and self._seek(target):
                return
        self.rewind()

    def rewind(self) -> None:
        """Move to the start of the recording."""
        self._lost = frozenset()
        if not self.media.is_reopened:
            to_start(self.media)

    def pieces(self) -> Iterator[Piece]:
        """Yield the packets from here on in file order; MediaError READ_FAILED, DECODE_FAILED.

        An error of the format after the first packet is the end, as some of FFmpeg's demuxers end every file with one.
        """
        jumps = self.media.index.jumps if self.media.index is not None else []
        places: dict[int, int] = {}
        timer = PacketTimer(self.media.container)
        pages: dict[int, int | None] = {}
        waiting = set(self._lost)
        self.media.is_reopened = False
        has_begun = False
        try:
            for packet in self.media.container.demux(self.media.current(self.selection.all)):
                has_begun = True
                piece = timer.piece(packet)
                if piece is None or is_cut_off(packet, self.media):
                    continue
                if piece.stream in waiting:
                    page = pages.setdefault(piece.stream, packet.pos)
                    if packet.pos is None or packet.pos == page:
                        continue
                    waiting.discard(piece.stream)
                if jumps:
                    places[piece.stream] = place = packet.pos if packet.pos is not None else places.get(piece.stream, 0)
                    piece = piece.moved(offset_at(jumps, place))
                    packet.pts, packet.dts = piece.pts, piece.dts  # decoded pictures and sound continue them
                yield piece
        except av.error.EOFError:
            return
        except AV_ERRORS as exc:
            error = as_media_error(exc)
            if not has_begun or error.cause is not DECODE_FAILED:
                raise error from exc

    def stretch(self, start_s: Fraction, end_s: Fraction, *, lead_s: Fraction = AUDIO_PREROLL_S) -> Iterator[Piece]:
        """Yield packets in file order, including all that are needed to show [start_s, end_s).

        Sound begins `lead_s` earlier. All pictures shown before the last one are included, because a copy without them
        would have gaps.
        """
        self._prefetch(start_s, end_s)
        self.seek_before(start_s, lead_s)
        waiting = {stream.index for stream in self.selection.all}
        ends = {stream.index: ceil(end_s / _base(stream)) for stream in self.selection.all}
        main = self.selection.main
        too_late = ceil((end_s + INTERLEAVE_S) / _base(main))
        shown = ends[main.index]
        for piece in self.pieces():
            end = ends.get(piece.stream, piece.dts + 1)
            if piece.dts < end:
                yield piece
                shown = max(shown, piece.pts) if piece.stream == main.index else shown
                continue
            if piece.stream == main.index and piece.dts < min(shown, too_late):
                if piece.pts < shown:
                    yield piece
                continue
            waiting.discard(piece.stream)
            is_late = piece.stream == main.index and piece.dts >= too_late and not self._needs_start
            if not waiting or is_late:
                return

    def _seek_by_index(self, time_s: Fraction) -> bool:
        """Seek to the byte at which decoding must begin by the index; False if that is impossible."""
        index = self.media.index
        if index is None or not _takes_places(self.media):
            return False
        known = [(s, index.streams[s.index]) for s in self.selection.all if s.index in index.streams]
        begins = [packets.begins_at(time_s - _lead_in(stream)) for stream, packets in known]
        lost = self._mistimed()
        if lost:
            begins = [packets.place_before(place) for (_, packets), place in zip(known, begins, strict=True)]
        place = max(0, min(begins, default=0))
        self.media.is_reopened = False
        try:
            self.media.container.seek(place, unsupported_byte_offset=True)
        except AV_ERRORS:
            return False
        self._lost = lost if place else frozenset()
        return True

    def _mistimed(self) -> frozenset[int]:
        """Return the streams whose packets have wrong times from FFmpeg after a seek, until their next page.

        FLAC in Ogg has times only at the ends of pages. In MPEG program streams, the time of a packet is that of the
        first picture or frame that begins in it, but FFmpeg gives it to the rest of the one before.
        """
        formats = set(self.media.container.format.name.split(","))
        if "mpeg" in formats:
            return frozenset(stream.index for stream in self.selection.all)
        audio = self.selection.audio
        is_flac = audio is not None and audio.codec_context.codec.canonical_name == "flac"
        return frozenset({audio.index}) if audio is not None and is_flac and "ogg" in formats else frozenset()

    def _prefetch(self, start_s: Fraction, end_s: Fraction) -> None:
        """Fetch the bytes that are needed by the index, in a few large requests."""
        index, reader = self.media.index, self.media.reader
        if index is None:
            return
        for begin, length in index.ranges(start_s - AUDIO_PREROLL_S, end_s, gap_bytes=BLOCK_BYTES):
            reader.prefetch(begin, length)

    def _seek(self, time_s: Fraction) -> bool:
        main = self.selection.main
        self.media.is_reopened = False
        self._lost = self._mistimed()
        try:
            self.media.container.seek(floor(time_s / _base(main)), stream=main)
        except AV_ERRORS:
            return False
        return True

    def _lands_before(self, time_s: Fraction, lead_s: Fraction, step: Fraction) -> bool:
        """Return whether reading from here finds a keyframe at or before `time_s`, and sound from `lead_s` before it.

        After a few steps back, sound that is far from its pictures no longer counts.
        """
        main, audio = self.selection.main.index, self.selection.audio
        has_key = False
        has_sound = audio is None or audio.index == main or step > LONGEST_SKEW_S
        for number, piece in enumerate(self.pieces()):
            if piece.stream == main and piece.packet.is_keyframe and not has_key:
                if piece.shown_s > time_s:
                    return False
                has_key = True
            elif audio is not None and piece.stream == audio.index and not has_sound:
                if piece.shown_s > max(self.zero, time_s - lead_s) + AUDIO_PREROLL_S / 2:
                    return False
                has_sound = True
            if has_key and has_sound:
                return True
            if number > LANDING_PACKETS:
                break
        return has_key


def to_start(media: Media) -> None:
    """Seek an open recording to its first packet."""
    container = media.container
    if may_restart(media) or is_bare_pictures(container):
        with contextlib.suppress(*AV_ERRORS):
            container.seek(0, unsupported_byte_offset=True)
            return
    # By the stream that starts first: Matroska's cues of other streams may all be after its start.
    started = [s for s in container.streams if s.start_time is not None]
    first = min(started, key=lambda s: (s.start_time or 0) * _base(s), default=None)
    begin = floor(zero_s(container) / AV_TIME_BASE) if first is None else first.start_time or 0
    for target in (begin - 1, begin):  # in a file without an index (FLV), a seek before the first packet fails
        with contextlib.suppress(*AV_ERRORS):
            container.seek(target, stream=first)
            return
    media.reopen()


def may_restart(media: Media) -> bool:
    """Return whether this kind of container may have pieces with separate clocks."""
    return bool(RESTARTING_FORMATS & set(media.container.format.name.split(",")))


def _takes_places(media: Media) -> bool:
    """Return whether reading can begin at any packet's byte, in a format where a seek by time is wrong or slow."""
    return may_restart(media) or bool(_UNINDEXED_FORMATS & set(media.container.format.name.split(",")))


def seems_straight(media: Media) -> bool:
    """Return whether the clock rises evenly over a few places of the file; moves the read position.

    A step back, or one much longer than the others, means a second recording after the first. A small step forward
    between two of the places is not noticed.
    """
    seen: list[Fraction] = []
    streams = [s for s in media.container.streams if is_usable(s)]
    for place in range(PLACES):
        with contextlib.suppress(*AV_ERRORS):
            media.container.seek(media.size_bytes * place // PLACES, unsupported_byte_offset=True)
            pieces = (as_piece(packet) for packet in media.container.demux(streams))
            seen += [piece.decoded_s for piece in islice(filter(None, pieces), 1)]
    steps = [b - a for a, b in pairwise(seen)]
    usual = median(steps) if steps else Fraction(0)
    return all(-BACKWARD_S <= step <= max(FORWARD_S, UNEVEN_STEPS * usual) for step in steps)


def is_cut_off(packet: AnyPacket, media: Media) -> bool:
    """Return whether the file ends inside a packet, which then fails to decode."""
    return packet.is_corrupt and packet.pos is not None and packet.pos + packet.size >= media.size_bytes


class PacketTimer:
    """Returns the times of packets in file order, and corrects those that a container gets wrong.

    Packets of recordings without times are counted from the start: bare pictures, and sound in RealMedia whose clock
    stands still. Some sound in AVI (G.722) has times in bytes, although its clock counts packets. H.264 in ASF gets
    wrong times after a seek.
    """

    def __init__(self, container: InputContainer) -> None:
        self._counts = is_counted(container)
        self._number: dict[int, int] = {}
        self._heard: dict[int, Fraction] = {}
        self._due: dict[int, int] = {}
        usable = [stream for stream in container.streams if is_usable(stream)]
        coded = {(s.index, s.codec_context.codec.canonical_name) for s in usable}
        formats = set(container.format.name.split(","))
        self._mixes_up = "asf" in formats and any(name == "h264" for _, name in coded)
        self._still = {index for index, name in coded if "rm" in formats and name == "ra_144"}
        is_avi = "avi" in container.format.name.split(",")
        self._units = {s.index: unit for s in container.streams if is_avi and (unit := _bytes_a_tick(s)) > 1}

    @property
    def needs_start(self) -> bool:
        """Whether times are right only when reading from the start."""
        return self._counts or bool(self._units) or self._mixes_up or bool(self._still)

    def piece(self, packet: AnyPacket) -> Piece | None:
        """Return a packet with its times; None for one without any (a flush)."""
        self.repair(packet)
        counts = self._counts or packet.stream_index in self._still
        if not counts:
            return self._timed(packet)
        if not packet.size:
            return None
        if isinstance(packet.stream, AudioStream):
            return self._counted_sound(packet, packet.stream)
        number = self._number.get(packet.stream_index, 0)
        self._number[packet.stream_index] = number + 1
        step = picture_step(packet.stream)
        return Piece(packet, packet.stream_index, number * step, number * step, step, packet.time_base)

    def _timed(self, packet: AnyPacket) -> Piece | None:
        """Return a packet with its times; one without any follows the one before it, because the next ones need it."""
        if packet.pts is None and packet.dts is None and packet.size and packet.stream_index in self._due:
            packet.pts = packet.dts = self._due[packet.stream_index]
        piece = as_piece(packet)
        if piece is not None:
            self._due[piece.stream] = piece.dts + max(1, piece.duration)
        return piece

    def _counted_sound(self, packet: AnyPacket, stream: AudioStream) -> Piece:
        context = stream.codec_context
        length_s = Fraction(context.frame_size, context.sample_rate) if context.frame_size else Fraction(0)
        length_s = length_s or (packet.duration or 0) * packet.time_base
        at_s = self._heard.get(packet.stream_index, Fraction(0))
        self._heard[packet.stream_index] = at_s + length_s
        packet.pts = packet.dts = round(at_s / packet.time_base)  # decoded sound continues it
        step = round(length_s / packet.time_base)
        return Piece(packet, packet.stream_index, packet.pts, packet.dts, step, packet.time_base)

    def repair(self, packet: AnyPacket) -> None:
        """Correct the times in a packet, and thereby those of its decoded frames."""
        unit = self._units.get(packet.stream_index)
        if unit is None:
            return
        packet.pts = None if packet.pts is None else packet.pts // unit
        packet.dts = None if packet.dts is None else packet.dts // unit


def _bytes_a_tick(stream: Stream) -> int:
    """Return the number of timestamp units in a tick of the stream's clock: bytes for some, else 1."""
    if stream.type != "audio" or not stream.duration:
        return 1
    entries = stream.index_entries
    if len(entries) < 2:  # noqa: PLR2004 - a step needs two
        return 1
    first, second, last = entries[0], entries[1], entries[len(entries) - 1]
    counts_bytes = second.timestamp - first.timestamp == first.size and last.timestamp > 2 * stream.duration
    return int(first.size) if counts_bytes else 1


def picture_step(stream: Stream) -> int:
    """Return the usual time from picture to picture of a video stream, in ticks."""
    rate = getattr(stream, "average_rate", None) or getattr(stream, "guessed_rate", None) or USUAL_RATE
    return max(1, round(1 / Fraction(rate) / _base(stream)))


def as_piece(packet: AnyPacket) -> Piece | None:
    """Return a packet with its times, replacing a missing one by the other; None without any (a flush)."""
    pts = packet.pts if packet.pts is not None else packet.dts
    dts = packet.dts if packet.dts is not None else packet.pts
    if pts is None or dts is None:
        return None
    return Piece(packet, packet.stream_index, pts, dts, packet.duration or 0, packet.time_base)


def _lead_in(stream: Stream) -> Fraction:
    return AUDIO_PREROLL_S if stream.type == "audio" else Fraction(0)


def _base(stream: Stream) -> Fraction:
    return stream.time_base or AV_TIME_BASE
