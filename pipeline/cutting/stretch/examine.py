"""Examines a stretch of a recording before it is copied: start of decoding, changes midway, and sound."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.cutting.sound.mono import MonoTrack
from pipeline.cutting.stretch.reference import Reference, Sample, Shrinker
from pipeline.reading.demux import AUDIO_PREROLL_S, Demuxer, Piece
from pipeline.reading.format.mpeg4 import is_packed
from pipeline.reading.media import passing_over_damage
from pipeline.reading.streams import Selection

TIME_SLACK_S = Fraction(1, 1000)
"""A new file's times may be rounded to milliseconds; seeking 1 ms earlier still finds the first wanted picture."""
SOUND_LEAD_S = Fraction(3, 5)
"""Sound is decoded from this long before the stretch: clips may begin a little earlier, and WMA must settle."""
CONTINUOUS_SOUND = frozenset(
    {"adpcm_yamaha", "adpcm_g722", "adpcm_g726", "adpcm_g726le", "adpcm_ima_oki", "adpcm_ima_ws", "adpcm_ima_apc"}
    | {
        "adpcm_ct",
        "adpcm_sbpro_2",
        "adpcm_sbpro_3",
        "adpcm_sbpro_4",
        "adpcm_adx",
        "dfpwm",
        "interplay_dpcm",
        "roq_dpcm",
    }
    | {"sol_dpcm", "xan_dpcm", "shorten", "ape", "speex", "g729", "g723_1"}
)
"""Codecs in which every sample depends on the previous one: decoded from the middle, their level is wrong for long."""
_OPUS_HEAD = b"OpusHead"
_PRE_SKIP = 10
"""Offset of the samples to drop (RFC 7845, 5.1), of two bytes."""
SOUND_MARGIN_S = Fraction(1, 2)
"""Sound around the stretch in the reference, because a clip may begin a little before its stretch."""
MOST_KEYFRAMES = 64
"""Most keyframes in the list; beyond this, every second one is dropped."""
MOST_BYTES = 64 * 1024 * 1024
MOST_DECODED = 8
"""Keyframes that are decoded to find changes and to compare clips with."""


@dataclass
class Findings:
    """The results of examining a stretch. Times are the container's own."""

    key_s: Fraction
    """Display time of the keyframe from which the first picture can be decoded."""
    reference: Reference
    decoding_times: list[int] | None = None
    """Decoding times of the pictures from that keyframe on, in ticks; None if the container's are right."""
    stands_alone: bool = True
    """Whether that keyframe decodes by itself."""
    sound_shapes: set[tuple[str, int]] = field(default_factory=set)
    """Layout and sample rate of the decoded sound; more than one is a change midway."""
    picture_shapes: set[tuple[int, int, str]] = field(default_factory=set)
    """Width, height and pixel format of decoded keyframes."""
    drops_much: bool = False
    """Whether a new decoder drops much sound, wherever it begins."""
    is_packed: bool = False
    """Whether packets hold several pictures, as DivX and Xvid wrote them into AVI."""


def examine(demuxer: Demuxer, begin: Fraction, end: Fraction) -> Findings:
    """Read [begin, end) once; decodes its sound and a few keyframes. MediaError READ_FAILED, DECODE_FAILED."""
    return _Examination(demuxer, begin, end).run()


class _Examination:
    def __init__(self, demuxer: Demuxer, begin: Fraction, end: Fraction) -> None:
        self._demuxer = demuxer
        self._selection: Selection = demuxer.selection
        self._begin, self._end = begin, end
        self._keys: list[Piece] = []
        self._times: list[tuple[int, int]] = []
        self._stride, self._seen_keys, self._shown, self._bytes = 1, 0, 0, 0
        video = self._selection.video
        self._may_be_packed = video is not None and video.codec_context.codec.canonical_name == "mpeg4"
        reference = Reference()
        if self._selection.audio is not None:
            reference.sound = MonoTrack(begin - SOUND_MARGIN_S, end + SOUND_MARGIN_S)
        self._found = Findings(key_s=begin - AUDIO_PREROLL_S, reference=reference)

    def run(self) -> Findings:
        video, audio = self._selection.video, self._selection.audio
        if audio is not None:
            self._found.drops_much = drops_much(audio)
            begin_anywhere(audio)
        for piece in self._demuxer.stretch(sound_origin(self._demuxer, self._begin), self._end, lead_s=SOUND_LEAD_S):
            if video is not None and piece.stream == video.index:
                self._take_picture(piece)
            elif audio is not None:
                self._take_sound(audio, piece)
        if audio is not None and self._found.reference.sound is not None:
            self._found.reference.sound.finish()
            audio.codec_context.flush_buffers()
        if video is not None:
            self._found.key_s = self._keys[0].shown_s if self._keys else self._begin
            self._found.reference.most_pictures = self._shown
            self._found.decoding_times = self._decoding_times()
            self._look_at_keyframes(video)
        return self._found

    def _take_picture(self, piece: Piece) -> None:
        if self._begin <= piece.shown_s < self._end:
            self._shown += 1
        if self._may_be_packed and not self._found.is_packed:
            self._found.is_packed = is_packed(bytes(piece.packet))
        self._times.append((piece.pts, piece.dts))
        if not piece.packet.is_keyframe:
            return
        if self._keys and piece.shown_s <= self._begin + TIME_SLACK_S:
            self._keys = [piece]
            self._times = self._times[-1:]
            return
        self._seen_keys += 1
        if self._seen_keys % self._stride == 0 or not self._keys:
            self._keys.append(piece)
        self._bytes += piece.packet.size
        if len(self._keys) > MOST_KEYFRAMES or (self._bytes > MOST_BYTES and len(self._keys) > 1):
            self._keys, self._stride = self._keys[::2], self._stride * 2
            self._bytes = sum(key.packet.size for key in self._keys)

    def _take_sound(self, audio: AudioStream, piece: Piece) -> None:
        sound = self._found.reference.sound
        settles = not is_continuous(audio)
        if sound is None or (settles and piece.shown_s < self._begin - SOUND_LEAD_S - AUDIO_PREROLL_S):
            return
        frames: list[AudioFrame] = []
        with passing_over_damage():  # the sound that decodes is enough
            frames = audio.decode(piece.packet)
        for frame in frames:
            self._found.sound_shapes.add((frame.layout.name, frame.sample_rate))
            sound.push(frame, piece.base)

    def _decoding_times(self) -> list[int] | None:
        """Return decoding times that rise and are no later than those of display; None if the container's own are.

        In containers without decoding times (Matroska), the first ones after a seek are unknown.
        """
        first = self._keys[0].pts if self._keys else None
        times = [(pts, dts) for pts, dts in self._times if first is None or pts >= first]
        if all(a[1] < b[1] for a, b in pairwise(times)) and all(dts <= pts for pts, dts in times):
            return None
        shown = sorted(pts for pts, _ in times)
        lead = max((at - pts for at, (pts, _) in zip(shown, times, strict=True)), default=0)
        return [at - lead for at in shown]

    def _look_at_keyframes(self, video: VideoStream) -> None:
        shrinker = Shrinker()
        if not video.codec_context.is_open:
            video.thread_type = "AUTO"  # for the decoder that continues with this stretch
        for number, piece in enumerate(_spread(self._keys, MOST_DECODED)):
            frame = _alone(video, piece)
            if frame is None:
                self._found.stands_alone = self._found.stands_alone and number > 0
                continue
            self._found.picture_shapes.add((frame.width, frame.height, frame.format.name))
            self._found.reference.rotation = round(-frame.rotation / 90) * 90 % 360
            if self._begin <= piece.shown_s < self._end:
                self._found.reference.pictures.append(Sample(piece.shown_s, shrinker.fields(frame)))


def sound_origin(demuxer: Demuxer, begin: Fraction) -> Fraction:
    """Return the time from which a stretch must be read for correct sound."""
    audio = demuxer.selection.audio
    return demuxer.zero if audio is not None and is_continuous(audio) else begin


def is_continuous(audio: AudioStream) -> bool:
    """Return whether sound decoded from the middle is wrong for long.

    Groups of samples of more than 16 bits may run over the packets of pcm_dvd: FFmpeg does not look for their starts.
    """
    name = audio.codec_context.codec.canonical_name
    return name in CONTINUOUS_SOUND or (name == "pcm_dvd" and audio.codec_context.format.name == "s32")


def drops_much(audio: AudioStream) -> bool:
    """Return whether a new decoder drops more than the preroll, wherever it begins: `pre-skip` of Opus, up to 1.4 s."""
    context = audio.codec_context
    return bool(context.sample_rate) and Fraction(context.delay, context.sample_rate) > AUDIO_PREROLL_S


def begin_anywhere(audio: AudioStream) -> None:
    """Make a new decoder drop nothing by itself; sound before the first sample is dropped by its time."""
    context = audio.codec_context
    head = bytes(context.extradata or b"")
    if drops_much(audio) and not context.is_open and head.startswith(_OPUS_HEAD):
        context.extradata = head[:_PRE_SKIP] + bytes(2) + head[_PRE_SKIP + 2 :]


def _alone(video: VideoStream, piece: Piece) -> VideoFrame | None:
    """Decode one keyframe by itself; None if it needs other pictures."""
    frames: list[VideoFrame] = []
    with passing_over_damage():
        frames = [*video.decode(piece.packet), *video.decode(None)]
    video.codec_context.flush_buffers()
    whole = [frame for frame in frames if not frame.is_corrupt]
    return whole[0] if whole else None


def _spread(keys: list[Piece], count: int) -> Iterator[Piece]:
    """Yield the first, the last, and others evenly between them."""
    if len(keys) <= count:
        yield from keys
        return
    for number in range(count):
        yield keys[number * (len(keys) - 1) // (count - 1)]
