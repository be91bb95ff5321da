"""Carries out a cut's plan: writes copied packets and encoded pictures into one file, in step with the sound."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from pipeline.cutting.draft import Draft
from pipeline.cutting.mux import ISOBMFF, PacketWriter, copy_stream, open_output, takes
from pipeline.cutting.part import make_parts
from pipeline.cutting.plan import Copy, CutPlan, Encode, Unit
from pipeline.cutting.sound.encoder import SoundEncoder, encoder_for
from pipeline.cutting.splice.splicer import Coded, Part
from pipeline.cutting.survey import ticks
from pipeline.errors import ENCODE_FAILED
from pipeline.reading.demux import Piece
from pipeline.reading.media import AV_ERRORS, as_media_error
from pipeline.types import Problem

GAP_FRAMES = Fraction(3, 2)
LONGEST_COPIED_SOUND_S = Fraction(1, 25)
"""Packets of sound are copied or dropped whole; a longer one would start or end the sound too far from the picture."""
ROUNDING_S = Fraction(1, 1000)
"""Matroska keeps times in whole milliseconds."""
PACKETS_A_REPORT = 32
SETTLING_PACKETS = 1
"""AAC and MP3 packets overlap by half: the first one heard needs the one before it."""
OPUS_SETTLING_S = Fraction(8, 100)
"""RFC 7845, 4.6: an Opus decoder needs 80 ms to settle."""


def assemble(draft: Draft, out: Path, on_progress: Callable[[float], None]) -> int:
    """Write the clip and return how many pictures were decoded for it; MediaError DECODE_FAILED, ENCODE_FAILED."""
    made = make_parts(draft)
    with open_output(out) as container:
        try:
            _Assembly(draft, container, out, on_progress).write(made.parts)
        except AV_ERRORS as exc:
            raise as_media_error(exc, ENCODE_FAILED) from exc
    return made.decoded


def why_encode_sound(draft: Draft, out: Path) -> Problem | None:
    """Return why the sound cannot be copied into `out`; None if it can, or if there is none."""
    audio = draft.demuxer.selection.audio
    if audio is None or not draft.survey.sounds:
        return None
    codec = audio.codec_context.codec.canonical_name
    if not takes(out, codec):
        message = f"{codec} sound cannot be kept in {out.suffix}; it was encoded."
    elif draft.is_exact and _leaves_gaps(audio, draft.survey.sound_step):
        message = f"The times of the {codec} packets leave gaps, so the sound was encoded."
    elif draft.is_exact and draft.survey.sound_step * _base(audio) > LONGEST_COPIED_SOUND_S:
        message = f"The packets of {codec} sound are too long to begin and end where the clip does; it was encoded."
    else:
        return None
    return Problem(code="sound_encoded", message=message, stream=audio.index)


def _leaves_gaps(audio: AudioStream, longest: int) -> bool:
    """Return whether a packet lasts longer than its samples."""
    context = audio.codec_context
    return bool(context.frame_size) and longest * _base(audio) * context.sample_rate > GAP_FRAMES * context.frame_size


class _Assembly:
    """The file being written."""

    def __init__(
        self, draft: Draft, container: OutputContainer, out: Path, on_progress: Callable[[float], None]
    ) -> None:
        self._draft = draft
        self._container = container
        self._writer = PacketWriter(container, draft.start)
        self._out = out
        self._on_progress = on_progress
        self._video = draft.demuxer.selection.video
        self._audio = draft.demuxer.selection.audio
        self._picture_stream: VideoStream | AudioStream | None = None
        self._sound_stream: VideoStream | AudioStream | None = None
        self._sound: SoundEncoder | None = None
        self._number = -1
        self._taken = 0

    def write(self, parts: list[tuple[Encode, Part]]) -> None:
        """Write encoded beginning, copies with the sound, encoded end."""
        plan = self._draft.plan
        self._add_streams([part for _, part in parts])
        for segment, part in parts:
            if segment.start == plan.start:
                self._write_part(segment, part)
        for piece in self._draft.pieces:
            self._take(piece)
        for segment, part in parts:
            if segment.start != plan.start:
                self._write_part(segment, part)
        if self._sound is not None:
            self._container.mux(list(self._sound.finish()))

    def _add_streams(self, parts: list[Part]) -> None:
        draft = self._draft
        if self._video is not None and draft.plan.segments:
            self._picture_stream = copy_stream(self._container, self._video)
            header = next((part.header for part in parts if part.header), None)
            if header is not None:
                self._picture_stream.codec_context.extradata = header
        if self._audio is None or not draft.survey.sounds:
            return
        if why_encode_sound(draft, self._out) is None:
            self._sound_stream = copy_stream(self._container, self._audio)
        else:
            self._sound = SoundEncoder(
                self._container, self._audio, encoder=encoder_for(self._out), start_s=draft.start, end_s=draft.end
            )

    def _take(self, piece: Piece) -> None:
        """Copy a packet, pass it to the sound encoder, or drop it."""
        if self._video is not None and piece.stream == self._video.index:
            self._take_picture(piece)
        elif self._sound is not None and self._audio is not None:
            for frame in self._audio.decode(piece.packet):
                self._container.mux(list(self._sound.push(frame)))
        elif self._audio is not None:
            self._take_sound(piece, self._audio)
        self._taken += 1
        if self._taken % PACKETS_A_REPORT == 0:
            length = max(Fraction(1, 1000), self._draft.end - self._draft.start)
            self._on_progress(min(1.0, max(0.0, float((piece.decoded_s - self._draft.start) / length))))

    def _take_picture(self, piece: Piece) -> None:
        self._number += 1
        copy = next((s for s in self._draft.plan.segments if isinstance(s, Copy) and self._number in s), None)
        if copy is None or self._picture_stream is None:
            return
        unit = self._draft.survey.pictures[self._number]
        duration = max(1, min(unit.duration, copy.end - unit.pts))
        plan, splicer = self._draft.plan, self._draft.splicer
        if unit.is_key and plan.encoded_ticks and splicer is not None:
            is_seam = self._number == copy.first and copy.start > plan.start
            piece = piece._replace(packet=splicer.entry(piece.packet, is_seam=is_seam))
        self._writer.write(self._picture_stream, piece._replace(dts=unit.dts, duration=duration))

    def _take_sound(self, piece: Piece, audio: AudioStream) -> None:
        if self._sound_stream is None:
            return
        start, end = ticks(self._draft.start, piece.base), ticks(self._draft.end, piece.base)
        if self._container.format.name in ISOBMFF:
            is_heard = piece.pts + max(1, piece.duration) > start - self._settling(audio)  # an edit list hides the rest
        else:  # its decoder drops the delay stated in the header, here as in the recording
            is_heard = piece.pts >= start - ticks(_delay_s(audio) + ROUNDING_S, piece.base)
        if is_heard and piece.pts < end:
            self._writer.write(self._sound_stream, piece)

    def _settling(self, audio: AudioStream) -> int:
        """Return the length of sound before the start that a decoder needs, in ticks."""
        if audio.codec_context.codec.canonical_name == "opus":
            return ticks(OPUS_SETTLING_S, _base(audio))
        return SETTLING_PACKETS * self._draft.survey.sound_step

    def _write_part(self, segment: Encode, part: Part) -> None:
        """Write encoded pictures, with decoding times that match those of the copied packets."""
        stream, video = self._picture_stream, self._video
        if stream is None or video is None:
            return
        lead = _lead(self._draft.plan, self._draft.survey.pictures)
        pictures = part.pictures
        for n, coded in enumerate(pictures):
            after = pictures[n + 1].pts if n + 1 < len(pictures) else segment.end
            self._writer.write(stream, _piece(coded, after - coded.pts, lead, _base(video)))


def _delay_s(audio: AudioStream) -> Fraction:
    """Return the length of sound that a decoder of this stream drops at the start; MP4 uses edit lists instead."""
    return Fraction(audio.codec_context.delay, audio.codec_context.sample_rate)


def _piece(coded: Coded, duration: int, lead: int, base: Fraction) -> Piece:
    packet = Packet(coded.data)
    packet.is_keyframe = coded.is_key
    packet.time_base = base
    return Piece(packet, 0, coded.pts, coded.pts - lead, max(1, duration), base)


def _lead(plan: CutPlan, units: list[Unit]) -> int:
    """Return the time between the decoding and the display of the first copied picture."""
    copy = next((s for s in plan.segments if isinstance(s, Copy)), None)
    return units[copy.first].pts - units[copy.first].dts if copy is not None else 0


def _base(stream: VideoStream | AudioStream) -> Fraction:
    return stream.time_base or Fraction(1)
