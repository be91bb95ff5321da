"""Copies the packets of a stretch of a recording into a local file, so that FFmpeg never works on the source."""

from collections.abc import Callable
from fractions import Fraction
from math import floor, gcd, lcm
from pathlib import Path

from av.video.stream import VideoStream
from msgspec import Struct

from pipeline.cutting.mux import WEB_CODECS, PacketWriter, copy_stream, open_output
from pipeline.errors import ENCODE_FAILED, OUT_OF_RANGE, MediaError
from pipeline.reading.demux import AUDIO_PREROLL_S, Demuxer
from pipeline.reading.index import open_indexed
from pipeline.reading.media import AV_ERRORS, as_media_error
from pipeline.reading.streams import Selection, select_streams
from pipeline.reading.times import check_range, known_duration
from pipeline.types import Source

ANY_SUFFIX = ".*"
LONGEST_COMMON_TICK_S = 60
"""Where ticks meet more rarely, only the longest are kept whole."""
TIME_SLACK_S = Fraction(1, 1000)
"""The new file's times may be rounded to milliseconds; asking for 1 ms earlier still meets the first picture wanted."""


class SegmentReport(Struct, frozen=True, kw_only=True):
    """What `extract_segment` wrote.

    `offset_s` is where the asked start lies in the new file, counted as FFmpeg counts (`-ss` before `-i`); from there
    `duration_s` seconds are what was asked for. `video` and `audio` are the stream numbers in the new file.
    """

    offset_s: float
    duration_s: float
    video: int | None
    audio: int | None
    bytes_read: int
    sample_aspect: str = "1/1"
    """Shape of the source's pixels, which Matroska and NUT files made here cannot say."""
    path: str = ""
    """The file; differs from what was asked in the suffix, where that was left open."""


def extract_segment(
    source: Source | str | Path,
    *,
    start_s: float,
    end_s: float,
    out: Path,
    on_progress: Callable[[float], None] | None = None,
) -> SegmentReport:
    """Copy what is needed to decode [start_s, end_s) of the best video and audio stream into `out` (.mkv, .nut, .mp4).

    Nothing is decoded. The copy starts at the keyframe before `start_s` and keeps all times relative to each other.
    `.nut` keeps them exactly, `.mkv` to the millisecond. With the suffix `.*` it is chosen so that nothing the source
    says about its streams is lost (NUT has no word for rotation). MediaError OUT_OF_RANGE, NO_STREAMS and those of
    opening the recording.
    """
    with open_indexed(source) as media:
        demuxer = Demuxer(media, select_streams(media.container))
        begin, end = check_range(media, start_s, end_s, known_duration(media))
        if out.suffix == ANY_SUFFIX:
            out = out.with_suffix(_suffix_for(media.container.format.name, demuxer.selection))
        first = _write(demuxer, begin, end, out, on_progress)
        selection = demuxer.selection
        return SegmentReport(
            offset_s=max(0.0, float(begin - first - TIME_SLACK_S)),
            duration_s=float(end - begin),
            video=0 if selection.video is not None else None,
            audio=None if selection.audio is None else len(selection.all) - 1,
            bytes_read=media.bytes_read,
            sample_aspect=_sample_aspect(selection.video),
            path=str(out),
        )


def _sample_aspect(stream: VideoStream | None) -> str:
    aspect = stream.sample_aspect_ratio if stream is not None else None
    return f"{aspect.numerator}/{aspect.denominator}" if aspect else "1/1"


def _suffix_for(container: str, selection: Selection) -> str:
    """Return the suffix of a container that keeps all that a source in this one can say, times included."""
    if "matroska" in container:
        return ".mkv"
    if "mov" not in container:
        return ".nut"
    codecs = {s.codec_context.codec.canonical_name for s in selection.all if s.codec_context is not None}
    return ".mp4" if codecs <= WEB_CODECS["mp4"] else ".mov"


def _write(
    demuxer: Demuxer, begin: Fraction, end: Fraction, out: Path, on_progress: Callable[[float], None] | None
) -> Fraction:
    """Copy the packets and return the container time at which the new file starts."""
    key = _last_key_before(demuxer, begin, end)
    shift = _in_whole_ticks(min(key, begin) - AUDIO_PREROLL_S, demuxer.selection)
    first: Fraction | None = None
    with open_output(out) as container:
        writer = PacketWriter(container, shift)
        try:
            streams = {s.index: copy_stream(container, s) for s in demuxer.selection.all}
            heard_from = min(begin, key) - AUDIO_PREROLL_S
            for piece in demuxer.stretch(begin, end):
                is_sound = piece.stream != demuxer.selection.main.index
                if piece.shown_s < (heard_from if is_sound else key):
                    continue
                first = piece.shown_s if first is None else min(first, piece.shown_s)
                writer.write(streams[piece.stream], piece)
                if on_progress is not None:
                    on_progress(min(1.0, max(0.0, float((piece.shown_s - begin) / (end - begin)))))
        except AV_ERRORS as exc:
            raise as_media_error(exc, ENCODE_FAILED) from exc
        if first is None:
            raise MediaError(OUT_OF_RANGE, "nothing is recorded between these times")
    return first


def _in_whole_ticks(time_s: Fraction, selection: Selection) -> Fraction:
    """Return a time at or before `time_s` that is a whole number of ticks of every stream: all then move alike.

    AVI counts in whole pictures and whole packets of sound, which rounding would set apart by half of one.
    """
    bases = [stream.time_base for stream in selection.all if stream.time_base]
    if not bases:
        return time_s
    step = Fraction(lcm(*(b.numerator for b in bases)), gcd(*(b.denominator for b in bases)))
    if step > LONGEST_COMMON_TICK_S:
        step = max(bases)
    return floor(time_s / step) * step


def _last_key_before(demuxer: Demuxer, begin: Fraction, end: Fraction) -> Fraction:
    """Return when the last keyframe at or before `begin` is shown (for sound: the last packet well before it)."""
    main = demuxer.selection.main
    if demuxer.selection.video is None:
        return begin - AUDIO_PREROLL_S
    key: Fraction | None = None
    for piece in demuxer.stretch(begin, end):
        if piece.stream != main.index or not piece.packet.is_keyframe:
            continue
        if key is not None and piece.shown_s > begin + TIME_SLACK_S:
            break
        key = piece.shown_s
    return key if key is not None else begin
