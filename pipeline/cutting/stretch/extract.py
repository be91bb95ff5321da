"""Extracts a stretch of a recording to a local file, so that FFmpeg never reads the source.

Streams that a container carries without loss are copied. All others are decoded as they are demuxed: pictures are
stored without loss (long and large ones nearly so), sound as PCM. So no container limits what can be cut.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from math import floor, gcd, lcm
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream
from msgspec import Struct
from msgspec.structs import replace

from pipeline.cutting.mux import PacketWriter, copy_stream, open_output
from pipeline.cutting.plan import CROPPED, NO_TIMES, REASONS, TRANSPARENT
from pipeline.cutting.sound.encoder import SoundEncoder
from pipeline.cutting.stretch.carriers import carries_pictures, carries_sound, suffix_for
from pipeline.cutting.stretch.examine import (
    SOUND_LEAD_S,
    Findings,
    begin_anywhere,
    examine,
    is_continuous,
    sound_origin,
)
from pipeline.cutting.stretch.pictures import LEAD_S, Clock, PictureKeeper, Shape, has_alpha
from pipeline.cutting.stretch.reference import Reference
from pipeline.errors import DECODE_FAILED, ENCODE_FAILED, OUT_OF_RANGE, MediaError
from pipeline.reading.container.cropping import Crop, find_crop
from pipeline.reading.demux import AUDIO_PREROLL_S, Demuxer, Piece
from pipeline.reading.index import open_indexed
from pipeline.reading.media import AV_ERRORS, Media, as_media_error, passing_over_damage
from pipeline.reading.selection import choose_streams
from pipeline.reading.streams import Selection
from pipeline.reading.times import check_range, is_counted, known_duration
from pipeline.types import Problem, Source

PCM = "pcm_f32le"
DECODED_SUFFIX = ".mov"
"""The container of decoded pictures: it keeps any clock."""
LONGEST_COMMON_TICK_S = 60
"""If ticks coincide more rarely than this, only those of the slowest clock stay whole."""
SOUND_KEPT_S = Fraction(1, 4)
"""Decoded sound begins this long before the stretch, because the clip may begin with a slightly earlier picture."""
PICTURE_LEAD_S = Fraction(10)
"""Pictures are decoded from the last keyframe at least this long before the stretch, after errors of a seek."""
NEAR_START_S = Fraction(60)
"""Stretches that begin earlier than this are decoded from the start of the recording."""
FALSE_KEYFRAMES = frozenset(
    {"cinepak", "msvideo1", "msrle", "rpza", "smc", "qtrle", "flic", "8bps", "indeo2", "indeo3", "indeo4", "indeo5"}
    | {"truemotion1", "truemotion2", "vmnc", "gif", "apng", "ansi"}
)
"""Codecs found with every packet marked as a keyframe: only decoding from the start is certain to be right."""


FULL_CHROMA = ("yuv444", "yuvj444", "gbrp")
X264_BUILD = re.compile(rb"x264 - core (\d+)")
LAST_ODD_X264 = 150
"""Up to this build x264 wrote 4:4:4 in its own way; decoders recognise that by the name in the first packet."""
WHY_DECODED = {
    "first_packet": "This 4:4:4 H.264 by an old x264 decodes right only from the start of the recording.",
    "no_times": NO_TIMES,
    "cropped": CROPPED,
    "transparent": TRANSPARENT,
    "packed": REASONS["packed"],
    "changes_midway": REASONS["changes_midway"],
    "codec_not_copied": "Pictures in {codec} are always encoded.",
    "no_keyframe": "The packet marked as the keyframe before the clip does not decode by itself.",
    "decode_errors": "The pictures did not decode well from the keyframe before the clip, so decoding began earlier.",
}
"""Reasons why pictures are decoded while reading, and the whole clip is encoded."""


class StretchReport(Struct, frozen=True, kw_only=True):
    """The file that `extract_stretch` wrote.

    `begin_s` is the requested start on the new file's clock, and `duration_s` the requested length from there.
    """

    path: str
    begin_s: Fraction
    duration_s: float
    bytes_read: int
    reference: Reference
    sample_aspect: str = "1/1"
    """Shape of the source's pixels, which Matroska and NUT files made here cannot say."""
    decoded_sound: str | None = None
    """Codec of the sound if it was decoded."""
    decoded: Problem | None = None
    """Why the pictures were decoded; None if they were copied."""
    shape: Shape | None = None
    """The properties of decoded pictures."""
    notes: list[Problem] = []


def extract_stretch(  # noqa: PLR0913 - keyword-only
    source: Source | str | Path,
    *,
    start_s: float,
    end_s: float,
    out: Path,
    must_decode: bool = False,
    on_progress: Callable[[float], None] | None = None,
) -> StretchReport:
    """Write everything needed to show [start_s, end_s) of the best video and audio stream to `out` plus a suffix.

    A copy starts at the keyframe before `start_s`; all times keep their distances. With `must_decode` the pictures are
    decoded even if they could be copied, from well before the stretch or the start of the recording. MediaError
    OUT_OF_RANGE, NO_STREAMS, DECODE_FAILED and those of opening the recording.
    """
    with open_indexed(source) as media:
        demuxer = Demuxer(media, choose_streams(media))
        begin, end = check_range(media, start_s, end_s, known_duration(media))
        found = examine(demuxer, begin, end)
        return _Extraction(media, demuxer, found, begin, end, on_progress).run(out, must_decode=must_decode)


class _Extraction:
    """The state of one extraction."""

    def __init__(  # noqa: PLR0913, PLR0917 - one for each earlier finding
        self,
        media: Media,
        demuxer: Demuxer,
        found: Findings,
        begin: Fraction,
        end: Fraction,
        on_progress: Callable[[float], None] | None,
    ) -> None:
        self._media = media
        self._demuxer = demuxer
        self._selection: Selection = demuxer.selection
        self._found = found
        self._begin, self._end = begin, end
        self._on_progress = on_progress
        self._crop: Crop | None = None
        self._first: Fraction | None = None
        self._shift = Fraction(0)
        self._needs_start = False
        self._is_undecodable = False
        """Whether there are packets in the stretch, of which none has been decoded so far."""

    def run(self, out: Path, *, must_decode: bool) -> StretchReport:
        container = self._media.container.format.name
        video, audio = self._selection.video, self._selection.audio
        suffix = suffix_for(container, video)
        why = self._why_decode(suffix, video, must_decode=must_decode) if video is not None else None
        if why is not None:
            suffix = DECODED_SUFFIX
            self._reopen()
            audio = self._selection.audio
        # Containers state the delay of sound in different ways, so sound is decoded whenever the pictures are.
        keeps_sound = audio is not None and why is None and self._keeps_sound(suffix, audio, container)
        if why is None and audio is not None and not keeps_sound:
            self._reopen()  # the state of some decoders (AMR) outlives a flush
        path = out.with_suffix(suffix)
        keeper = self._write(path, decodes=why is not None, keeps_sound=keeps_sound)
        if self._first is None:
            path.unlink(missing_ok=True)
            if self._is_undecodable:
                raise MediaError(DECODE_FAILED, "nothing decodes between these times")
            raise MediaError(OUT_OF_RANGE, "nothing is recorded between these times")
        audio = self._selection.audio
        sound = audio.codec_context.codec.canonical_name if audio is not None and not keeps_sound else None
        return replace(self._report(path, why, keeper), decoded_sound=sound)

    def _reopen(self) -> None:
        self._media.reopen()
        self._selection = choose_streams(self._media)
        self._demuxer = Demuxer(self._media, self._selection)

    def _why_decode(self, suffix: str, video: VideoStream, *, must_decode: bool) -> Problem | None:
        """Return why the pictures are decoded here; None if a file with this suffix carries them without loss."""
        self._crop = find_crop(self._media, video)
        applies = (
            ("no_times", is_counted(self._media.container)),
            ("cropped", self._crop is not None),
            ("transparent", has_alpha(video)),
            ("packed", self._found.is_packed),
            ("changes_midway", len(self._found.picture_shapes) > 1),
            ("codec_not_copied", not carries_pictures(suffix, video)),
            ("first_packet", self._needs_first_packet(video)),
            ("no_keyframe", not self._found.stands_alone),
            ("decode_errors", must_decode),
        )
        code = next((code for code, is_so in applies if is_so), None)
        if code is None:
            return None
        message = WHY_DECODED[code].format(codec=video.codec_context.codec.canonical_name)
        return Problem(code=code, message=message, stream=video.index)

    def _needs_first_packet(self, video: VideoStream) -> bool:
        """Return whether decoding needs the first packet: 4:4:4 by x264 up to build 150, named in an SEI."""
        context = video.codec_context
        if context.codec.canonical_name != "h264" or not (context.pix_fmt or "").startswith(FULL_CHROMA):
            return False
        self._demuxer.rewind()
        first = next((piece for piece in self._demuxer.pieces() if piece.stream == video.index), None)
        found = X264_BUILD.search(bytes(first.packet)) if first is not None else None
        self._needs_start = found is not None and int(found[1]) <= LAST_ODD_X264
        return self._needs_start

    def _keeps_sound(self, suffix: str, audio: AudioStream, container: str) -> bool:
        is_one = len(self._found.sound_shapes) <= 1 and not self._found.drops_much
        return is_one and carries_sound(suffix, audio, container)

    def _write(self, path: Path, *, decodes: bool, keeps_sound: bool) -> PictureKeeper | None:
        """Write the file and store the container time at which it starts."""
        key = self._begin if decodes else self._found.key_s
        lead = LEAD_S if decodes else AUDIO_PREROLL_S + SOUND_KEPT_S
        self._shift = shift = _in_whole_ticks(min(key, self._begin) - lead, self._selection)
        with open_output(path) as container:
            try:
                keeper, take_picture = self._picture_way(container, shift, decodes=decodes, key=key)
                take_sound, finish_sound = self._sound_way(container, shift, keeper, keeps=keeps_sound, key=key)
                for piece in self._pieces(decodes=decodes):
                    is_picture = self._selection.video is not None and piece.stream == self._selection.video.index
                    (take_picture if is_picture else take_sound)(piece)
                    self._is_undecodable |= self._begin <= piece.shown_s < self._end
                    self._tell(piece)
                if keeper is not None:
                    keeper.finish()
                    self._note(keeper.first_s)
                finish_sound()
            except AV_ERRORS as exc:
                raise as_media_error(exc, ENCODE_FAILED) from exc
        return keeper

    def _pieces(self, *, decodes: bool) -> Iterator[Piece]:
        """Yield the packets of the stretch, from far enough before it where pictures are decoded here."""
        if not decodes or self._selection.video is None:
            begin = sound_origin(self._demuxer, self._begin)
            yield from self._demuxer.stretch(begin, self._end, lead_s=SOUND_LEAD_S)
            return
        context = self._selection.video.codec_context
        # A palette may be sent once only, with the first packet.
        is_sure = context.codec.canonical_name not in FALSE_KEYFRAMES and context.pix_fmt != "pal8"
        origin = self._begin - PICTURE_LEAD_S
        if (
            not is_sure
            or self._needs_start
            or origin - self._demuxer.zero <= NEAR_START_S
            or is_counted(self._media.container)
        ):
            origin = self._demuxer.zero
        origin = min(origin, sound_origin(self._demuxer, self._begin))
        yield from self._demuxer.stretch(origin, self._end, lead_s=SOUND_LEAD_S)

    @property
    def _clock(self) -> Clock:
        if is_counted(self._media.container):
            return "counted"
        return "decoding" if self._found.is_packed else "container"

    def _picture_way(
        self, container: OutputContainer, shift: Fraction, *, decodes: bool, key: Fraction
    ) -> tuple[PictureKeeper | None, Callable[[Piece], None]]:
        video = self._selection.video
        if video is None:
            return None, _leave
        if decodes:
            keeper = PictureKeeper(
                container,
                video,
                begin=self._begin,
                end=self._end,
                shift=shift,
                crop=self._crop,
                clock=self._clock,
            )
            return keeper, lambda piece: keeper.push(piece.packet, piece.shown_s)
        stream = copy_stream(container, video)
        writer = PacketWriter(container, shift)
        due = iter(self._found.decoding_times or ())

        def copy(piece: Piece) -> None:
            if piece.shown_s >= key:
                self._note(piece.shown_s)
                writer.write(stream, piece._replace(dts=next(due, piece.dts)))

        return None, copy

    def _sound_way(
        self, container: OutputContainer, shift: Fraction, keeper: PictureKeeper | None, *, keeps: bool, key: Fraction
    ) -> tuple[Callable[[Piece], None], Callable[[], None]]:
        audio = self._selection.audio
        if audio is None:
            return _leave, _rest
        heard_from = min(self._begin, key) - AUDIO_PREROLL_S
        if keeps:
            stream = copy_stream(container, audio)
            writer = PacketWriter(container, shift)

            def copy(piece: Piece) -> None:
                if piece.shown_s >= heard_from:
                    self._note(piece.shown_s)
                    writer.write(stream, piece)

            return copy, _rest
        return self._sound_decoder(container, audio, shift, keeper, heard_from - SOUND_KEPT_S)

    def _sound_decoder(
        self,
        container: OutputContainer,
        audio: AudioStream,
        shift: Fraction,
        keeper: PictureKeeper | None,
        heard_from: Fraction,
    ) -> tuple[Callable[[Piece], None], Callable[[], None]]:
        start = max(self._demuxer.zero, heard_from)
        encoder = SoundEncoder(container, audio, encoder=PCM, start_s=start, end_s=self._end, at_s=start - shift)
        settles = not is_continuous(audio)
        begin_anywhere(audio)
        waiting: list[Packet[Stream]] = []

        def mux(packets: Iterable["Packet[Stream]"]) -> None:
            waiting.extend(packets)
            if waiting:
                self._note(start)
            if keeper is None or keeper.is_open:  # all streams must be known before the first packet is written
                container.mux(waiting)
                waiting.clear()

        def take(piece: Piece) -> None:
            if settles and piece.shown_s < start - SOUND_LEAD_S:
                return
            with passing_over_damage():  # gaps become silence
                for frame in audio.decode(piece.packet):
                    mux(encoder.push(frame))

        return take, lambda: mux(encoder.finish())

    def _note(self, shown_s: Fraction | None) -> None:
        if shown_s is not None:
            self._first = shown_s if self._first is None else min(self._first, shown_s)

    def _tell(self, piece: Piece) -> None:
        if self._on_progress is not None:
            share = float((piece.shown_s - self._begin) / (self._end - self._begin))
            self._on_progress(min(1.0, max(0.0, share)))

    def _report(self, path: Path, why: Problem | None, keeper: PictureKeeper | None) -> StretchReport:
        reference, notes = self._found.reference, []
        shape = keeper.shape if keeper is not None else None
        if keeper is not None:
            keeper.reference.sound = reference.sound
            reference = keeper.reference
        if shape is not None and shape.is_flattened:
            notes.append(
                Problem(
                    code="alpha_flattened",
                    message="Transparency is not kept: black shows where a picture is transparent.",
                )
            )
        reference.start_s = self._begin
        return StretchReport(
            path=str(path),
            begin_s=self._begin - self._shift,
            duration_s=float(self._end - self._begin),
            bytes_read=self._media.bytes_read,
            reference=reference,
            sample_aspect=_sample_aspect(self._selection.video),
            decoded=why,
            shape=shape,
            notes=notes,
        )


def _leave(_piece: Piece) -> None:
    """Skip a packet of an unused stream."""


def _rest() -> None:
    """End a stream that has no more packets."""


def _sample_aspect(stream: VideoStream | None) -> str:
    aspect = stream.sample_aspect_ratio if stream is not None else None
    return f"{aspect.numerator}/{aspect.denominator}" if aspect else "1/1"


def _in_whole_ticks(time_s: Fraction, selection: Selection) -> Fraction:
    """Return a time at or before `time_s` that is a whole number of ticks of every stream, so that all shift equally.

    AVI counts in whole pictures and whole packets of sound, which rounding would shift by half of one.
    """
    bases = [stream.time_base for stream in selection.all if stream.time_base]
    if not bases:
        return time_s
    step = Fraction(lcm(*(b.numerator for b in bases)), gcd(*(b.denominator for b in bases)))
    if step > LONGEST_COMMON_TICK_S:
        step = max(bases)
    return floor(time_s / step) * step
