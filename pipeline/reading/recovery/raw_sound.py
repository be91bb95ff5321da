"""Finds the packets of AAC sound in the bare data of an MP4 or MOV file whose index is lost.

They have neither a mark nor a length. But the decoder counts the whole packets in a piece of data and fails on other
data, so the piece is extended until the first packet is decoded, which ends there. The data between two pictures is a
run of such packets without a rest, which also shows their coding settings.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import av
import av.error
from av.audio.codeccontext import AudioCodecContext
from av.codec.context import CodecContext

from pipeline.reading.recovery.raw_pictures import Window

RATES: dict[int, tuple[int, ...]] = {
    3: (48_000, 44_100),
    5: (32_000,),
    6: (24_000, 22_050),
    8: (16_000, 12_000, 11_025),
    11: (8_000,),
    1: (96_000, 88_200),
}
"""Rates by the index of the first in ISO/IEC 14496-3, table 1.18; those of one line have the same coding (4.5.4)."""
CHANNELS: dict[int, tuple[int, ...]] = {0: (1, 6), 1: (2,)}
"""Channels by the kind of a packet's first element (ISO/IEC 14496-3, 4.5.2.1.2): a single channel, or a pair."""
PACKET_SAMPLES = 1024
MOST_PACKET_BYTES = 8192
"""6,144 bits a channel (ISO/IEC 14496-3, 4.5.3.3), here for eight; the bytes read from a run at once."""
TRIED_RUNS = 24
LEAST_SHARE = 0.95
"""The least share of the data between pictures that must be sound."""
USUAL_PACKET_BYTES = 400
SOUND_ALONE_BYTES = 256 * 1024
"""Recorders write a second or two of sound before the first picture: at most this at 1 Mbit/s."""
MOST_PACKETS = 2_600_000
"""Fifteen hours at 48 kHz."""


@dataclass
class Sound:
    """The found packets. `rates` are the possible sample rates."""

    channels: int
    rates: tuple[int, ...]
    position: "array[int]" = field(default_factory=lambda: array("q"))
    size: "array[int]" = field(default_factory=lambda: array("q"))

    @property
    def samples(self) -> int:
        """The length of all."""
        return PACKET_SAMPLES * len(self.size)


def find_sound(window: Window, gaps: Sequence[tuple[int, int, int]]) -> Sound | None:
    """Search the data between pictures for AAC; None if it is something else, or too little of it is intact."""
    total = sum(length for _, length, _ in gaps)
    tried = gaps[1 : 1 + TRIED_RUNS] or gaps[:1]
    firsts = [window.at(position, 1)[0] >> 5 for position, _, _ in tried]
    found = [
        (index, channels)
        for channels in CHANNELS.get(max(firsts, key=firsts.count, default=-1), ())
        for index in RATES
        if _fits(window, tried, _decoder(index, channels))
    ]
    if not found:
        return None
    channels = found[0][1]
    rates = tuple(rate for index, count in found if count == channels for rate in RATES[index])
    sound = Sound(channels=channels, rates=rates)
    decoder = _decoder(found[0][0], channels)
    used = 0
    for position, length, _ in gaps:
        sizes = split_run(window, position, length, decoder)
        for size in sizes:
            sound.position.append(position)
            sound.size.append(size)
            position += size  # noqa: PLW2901 - walks through the run
        used += sum(sizes)
        if len(sound.size) > MOST_PACKETS:
            break
    return sound if used >= LEAST_SHARE * total else None


def is_sound_alone(window: Window, begin: int) -> bool:
    """Return whether data begins with so much AAC that it must be a file without pictures."""
    length = max(0, min(SOUND_ALONE_BYTES, window.end - begin))
    kinds = [(index, count) for counts in CHANNELS.values() for count in counts for index in RATES]
    least = max(length // 2, length - MOST_PACKET_BYTES)  # the last packet is incomplete
    return any(sum(split_run(window, begin, length, _decoder(*kind))) > least for kind in kinds)


def _fits(window: Window, runs: Sequence[tuple[int, int, int]], decoder: AudioCodecContext) -> bool:
    """Return whether runs consist of packets with these settings, without a rest."""
    used = total = 0
    for position, length, _ in runs:
        part = min(length, MOST_PACKET_BYTES)
        sizes = split_run(window, position, part, decoder)
        used += sum(sizes) if length == part or not sizes else part  # the last packet of a part is incomplete
        total += part
    return used >= LEAST_SHARE * total


def split_run(window: Window, position: int, length: int, decoder: AudioCodecContext) -> list[int]:
    """Return the sizes of the packets at the beginning of a run, up to its end or the first invalid one."""
    sizes: list[int] = []
    at, end = position, position + length
    while at < end:
        data = window.at(at, min(MOST_PACKET_BYTES, end - at))
        size = _first_size(data, sizes[-1] if sizes else USUAL_PACKET_BYTES, decoder)
        if size == 0:
            break
        sizes.append(size)
        at += size
    return sizes


def _first_size(data: bytes, usual: int, decoder: AudioCodecContext) -> int:
    """Return the size of the first packet in data: the least piece of it that decodes; 0 for none."""
    if len(data) <= 2 * usual and _count(data, decoder) == 1:
        return len(data)
    low, high = 0, min(usual, len(data))
    while not _count(data[:high], decoder):
        if high == len(data):
            return 0
        low, high = high, min(high + max(usual // 2, high - low), len(data))
    while high - low > 1:
        middle = (low + high) // 2
        if _count(data[:middle], decoder):
            high = middle
        else:
            low = middle
    return high


def _count(data: bytes, decoder: AudioCodecContext) -> int:
    """Return the number of whole packets at the beginning of data; anything may follow them."""
    try:
        return len(decoder.decode(av.Packet(data)))
    except (av.error.FFmpegError, ValueError):
        return 0


def audio_specific_config(index: int, channels: int) -> bytes:
    """Return the decoder's settings for AAC-LC (ISO/IEC 14496-3, 1.6.2.1)."""
    return bytes([2 << 3 | index >> 1, (index & 1) << 7 | channels << 3])


def _decoder(index: int, channels: int) -> AudioCodecContext:
    context = CodecContext.create("aac", "r")
    assert isinstance(context, AudioCodecContext)  # noqa: S101 - the codec says so
    context.extradata = audio_specific_config(index, channels)
    return context
