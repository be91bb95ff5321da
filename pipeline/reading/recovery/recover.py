"""Makes MP4 and MOV files readable whose index (moov) is lost, because the recorder stopped before it could write it.

Nothing is copied: a new index is written for the data in its place, and read as if it came before it. The pictures of
H.264 and HEVC can be found in bare data that contains the parameter sets, and AAC between them.
"""

from fractions import Fraction

import av
import av.error
import numpy as np
from av.codec.context import CodecContext
from av.video.codeccontext import VideoCodecContext

from pipeline.errors import NO_INDEX, MediaError
from pipeline.reading.format.isobmff import Layout, Readable
from pipeline.reading.format.nal import HEVC_PPS, HEVC_SPS, HEVC_VPS, AvcConfig, HevcConfig
from pipeline.reading.recovery.moov import Track, aac_entry, video_entry, write_beginning
from pipeline.reading.recovery.parameter_sets import H264, Codec, Hevc
from pipeline.reading.recovery.raw_pictures import Pictures, Window, find_codec, find_pictures
from pipeline.reading.recovery.raw_sound import (
    PACKET_SAMPLES,
    RATES,
    Sound,
    audio_specific_config,
    find_sound,
    is_sound_alone,
)
from pipeline.reading.recovery.recovery import Recovery
from pipeline.types import Problem

USUAL_RATES = (30, 25, Fraction(30000, 1001), 24, Fraction(24000, 1001), 60, 50, Fraction(60000, 1001), 15, 20, 120)
"""Pictures a second that recorders use, the usual first."""
SAME_RATE = 0.03
"""Sound is written up to a second after its pictures, which is this share of half a minute."""
TRIED_PICTURES = 120
"""This many pictures include a key picture."""
DEEPEST_ORDER = 32
"""Decoders keep 16 frames (H.264 A.3.1), or the fields of as many, so no order needs more."""
LEAST_SCALE = 1000
MOST_LEFT_BYTES = 16 * 1024 * 1024
"""Bytes of a truncated index that are searched for settings."""
OTHER_SHARE = 0.01
"""A smaller share of the data is padding, not sound."""
LARGE_SIZE = b"\0\0\0\1"
"""Instead of a box's size: its size is in eight bytes after the type (ISO/IEC 14496-12, 4.2)."""
_WITHOUT_SETTINGS = (
    "its pictures cannot be decoded without their settings (SPS, PPS), which only the index held; programs that repair "
    "such files take them from another recording of the same device"
)
_SOUND_WITHOUT_SETTINGS = (
    "it holds sound alone, and how that was coded stood only in the index; programs that repair such files take it "
    "from another recording of the same device"
)
SOUND_BRANDS = frozenset({b"M4A ", b"M4B ", b"M4P "})
"""Brands of files without pictures (Apple's; registered at mp4ra.org)."""


def recover(file: Readable, layout: Layout) -> Recovery:
    """Search the media data of a file without a usable index; reads it once, in constant memory.

    MediaError NO_INDEX says why it cannot be recovered.
    """
    start = next((begin for kind, begin, _ in layout.boxes if kind == "mdat"), None)
    if start is None:
        raise MediaError(NO_INDEX, "it holds no media data either")
    left = next((begin for kind, begin, _ in layout.boxes if kind == "moov"), layout.size_bytes)
    if any(kind == "moof" for kind, _, _ in layout.boxes):
        raise MediaError(NO_INDEX, "it is a piece of a fragmented recording, without the first one")
    window = Window(file, left if left > start else layout.size_bytes)
    head = window.at(start, 16)
    begin = start + (16 if head[:4] == LARGE_SIZE else 8)
    codec = _kept_codec(file, layout, left) or find_codec(window, begin)
    if codec is None:
        has_pictures = not (_is_branded_as_sound(file, layout) or is_sound_alone(window, begin))
        raise MediaError(NO_INDEX, _WITHOUT_SETTINGS if has_pictures else _SOUND_WITHOUT_SETTINGS)
    pictures = find_pictures(window, begin, codec)
    stated = _stated_rate(window, codec, pictures)
    other_bytes = sum(length for _, length, _ in pictures.gaps)
    has_other = other_bytes > OTHER_SHARE * (window.end - begin)
    sound = find_sound(window, pictures.gaps) if has_other else None
    rate, sound_rate = _rates(stated, len(pictures), sound)
    tracks = [_video_track(codec, pictures, rate)]
    if sound is not None:
        tracks.append(_sound_track(sound, sound_rate))
    problems = [_of_pictures(pictures, rate, is_rate_known=stated is not None or sound is not None)]
    problems += _of_sound(sound, sound_rate, other_bytes) if has_other else []
    return Recovery(write_beginning(tracks, layout.size_bytes), problems)


def _is_branded_as_sound(file: Readable, layout: Layout) -> bool:
    kind, begin, _ = layout.boxes[0]
    return kind == "ftyp" and Window(file, layout.size_bytes).at(begin + 8, 4) in SOUND_BRANDS


def _kept_codec(file: Readable, layout: Layout, left: int) -> Codec | None:
    """Return the codec from the rest of a truncated or damaged index."""
    if left >= layout.size_bytes:
        return None
    content = Window(file, layout.size_bytes).at(left, MOST_LEFT_BYTES)
    at = content.find(b"avcC")
    record = _content(content, at)
    avc = AvcConfig.parse(record) if at > 0 else None
    at = content.find(b"hvcC")
    record = _content(content, at)
    hevc = HevcConfig.parse(record) if at > 0 else None
    try:
        if avc is not None and avc.length_bytes == 4:  # noqa: PLR2004 - what raw_pictures reads
            return H264(avc.sps[0], avc.pps[0])
        if hevc is not None and hevc.length_bytes == 4:  # noqa: PLR2004 - what raw_pictures reads
            return Hevc(hevc.sets[HEVC_VPS][0], hevc.sets[HEVC_SPS][0], hevc.sets[HEVC_PPS][0])
    except LookupError:
        return None
    return None


def _content(data: bytes, at: int) -> bytes:
    """Return the content of the box whose type is at a place."""
    size = int.from_bytes(data[max(0, at - 4) : max(0, at)], "big")
    return data[at + 4 : at - 4 + size]


def _stated_rate(window: Window, codec: Codec, pictures: Pictures) -> Fraction | None:
    """Decode one picture; return the pictures a second in its settings, or None."""
    context = CodecContext.create(codec.name, "r")
    assert isinstance(context, VideoCodecContext)  # noqa: S101 - the codec says so
    context.extradata = codec.configuration()[1]
    for position, size in list(zip(pictures.position, pictures.size, strict=True))[:TRIED_PICTURES]:
        try:
            has_come = bool(context.decode(av.Packet(window.at(position, size))))
        except (av.error.FFmpegError, ValueError):
            continue
        if has_come:
            return context.framerate if context.framerate and 1 <= context.framerate <= 1000 else None  # noqa: PLR2004
    raise MediaError(NO_INDEX, f"{len(pictures)} pictures were found in its data, none of which can be decoded")


def _rates(stated: Fraction | None, pictures: int, sound: Sound | None) -> tuple[Fraction, int]:
    """Return pictures and samples a second that give both tracks the same length.

    Rates of sound with the same coding (48 and 44.1 kHz) give different numbers of pictures a second, of which one is
    stated or usual. If none is close, the pictures were uneven, and the sound sets their mean rate.
    """
    if sound is None:
        return stated or Fraction(USUAL_RATES[0]), 0
    usual = (stated,) if stated is not None else USUAL_RATES
    implied = [Fraction(pictures * rate, sound.samples) for rate in sound.rates]
    distance, which, near = min(
        (abs(float(of_sound / near) - 1), which, near) for which, of_sound in enumerate(implied) for near in usual
    )
    return (Fraction(near) if distance < SAME_RATE else implied[which]), sound.rates[which]


def _video_track(codec: Codec, pictures: Pictures, rate: Fraction) -> Track:
    scale, duration = _ticks(rate)
    count = len(pictures)
    places = np.empty(count, np.int64)
    places[np.argsort(np.array(pictures.order, np.int64), kind="stable")] = np.arange(count)
    late = int((np.arange(count) - places).max())
    has_order = 0 < late <= DEEPEST_ORDER
    keys = np.flatnonzero(np.frombuffer(bytes(pictures.is_key), np.uint8)).astype(np.int64)
    return Track(
        sample_entry=video_entry(
            b"avc1" if codec.name == "h264" else b"hvc1", codec.width, codec.height, codec.configuration()
        ),
        is_video=True,
        scale=scale,
        duration=duration,
        position=np.array(pictures.position, np.int64),
        size=np.array(pictures.size, np.int64),
        shift=(places + late - np.arange(count)) * duration if has_order else None,
        keys=keys if len(keys) else np.zeros(1, np.int64),
        start=late * duration if has_order else 0,
        shown=count * duration,
        width=codec.width,
        height=codec.height,
    )


def _ticks(rate: Fraction) -> tuple[int, int]:
    """Return ticks a second and ticks a picture."""
    # For a single picture in an hour of sound, the inverse must be precise.
    rate = rate.limit_denominator(1001) if rate >= 1 else 1 / (1 / rate).limit_denominator(1001)
    factor = max(1, -(-LEAST_SCALE // rate.numerator))
    return rate.numerator * factor, rate.denominator * factor


def _sound_track(sound: Sound, rate: int) -> Track:
    number = next(index + rates.index(rate) for index, rates in RATES.items() if rate in rates)
    return Track(
        sample_entry=aac_entry(rate, sound.channels, audio_specific_config(number, sound.channels)),
        is_video=False,
        scale=rate,
        duration=PACKET_SAMPLES,
        position=np.array(sound.position, np.int64),
        size=np.array(sound.size, np.int64),
        start=PACKET_SAMPLES,
        shown=sound.samples - PACKET_SAMPLES,
    )


def _of_pictures(pictures: Pictures, rate: Fraction, *, is_rate_known: bool) -> Problem:
    """Return the problem that describes the recovered pictures."""
    text = (
        f"The recorder stopped before it wrote the file's index (moov). {len(pictures)} pictures were found in its data"
    )
    text += f" and are shown evenly, {float(rate):.2f} a second" + ("" if is_rate_known else " (which is a guess)")
    if pictures.broken_bytes:
        text += "; the last one is cut off and left out"
    if pictures.is_given_up:
        text += "; what follows is too damaged to be searched"
    return Problem(code="recovered", message=f"{text}. Rotation and names of the tracks are lost.")


def _of_sound(sound: Sound | None, rate: int, other_bytes: int) -> list[Problem]:
    """Return the problem that describes the recovered sound."""
    if sound is None:
        text = f"{other_bytes} bytes between the pictures are not AAC sound; their content is lost."
        return [Problem(code="sound_lost", message=text)]
    kept = sum(sound.size)
    text = f"The sound was found between the pictures and is played at {rate} Hz"
    text += f"; {other_bytes - kept} bytes of it are lost" if kept < other_bytes else ""
    return [Problem(code="sound_recovered", message=f"{text}.")]
