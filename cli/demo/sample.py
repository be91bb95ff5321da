"""A computed recording of three minutes: someone talks, people laugh and clap, and loud noises distract.

Its sound and picture are the same every time, so that demos can be repeated and tests know what to expect.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Literal, TypeAlias

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from msgspec import Struct

from cli.demo import sound
from cli.demo.sound import RATE, Samples

# A string, because the class is generic for type checkers only.
AnyPacket: TypeAlias = "Packet[VideoStream] | Packet[AudioStream]"

DURATION_S = 180
SEED = 20240607
WIDTH, HEIGHT, FRAMES_PER_S = 640, 360, 15
KEYFRAME_EVERY_S = 2
AUDIO_BITS_PER_S = 96_000
# Peaks of the loudest distractor stay below full scale.
PEAK = 0.9


class Event(Struct, frozen=True):
    """A sound in addition to the speech."""

    what: Literal["laughter", "applause", "slam", "cough", "chime", "shout"]
    start_s: float
    duration_s: float
    level: float
    """Root mean square; that of the voice is about 0.1."""
    is_moment: bool
    """Whether it is a reaction, which makes a highlight, or a loud distractor."""


EVENTS = (
    Event("slam", 14.0, 0.7, 0.35, is_moment=False),
    Event("laughter", 31.0, 4.5, 0.16, is_moment=True),
    Event("cough", 47.5, 0.8, 0.30, is_moment=False),
    Event("applause", 62.0, 7.0, 0.20, is_moment=True),
    Event("chime", 85.0, 3.0, 0.22, is_moment=False),
    Event("laughter", 103.0, 5.5, 0.20, is_moment=True),
    Event("shout", 121.0, 3.0, 0.30, is_moment=False),
    Event("slam", 137.0, 0.7, 0.40, is_moment=False),
    Event("applause", 156.0, 9.0, 0.26, is_moment=True),
)
MAKERS: dict[str, Callable[[np.random.Generator, float], Samples]] = {
    "laughter": sound.laughter,
    "applause": sound.applause,
    "slam": sound.slam,
    "cough": sound.cough,
    "chime": sound.chime,
    "shout": sound.shout,
}


def write_sample(path: Path) -> None:
    """Write the recording as MP4 (H.264 and AAC), completely or not at all."""
    building = path.with_name(f".{path.name}.new")
    listening = track()
    try:
        with av.open(str(building), "w", format="mp4", options={"movflags": "+faststart"}) as container:
            picture, voice = _video_stream(container), _audio_stream(container)
            for packet in _interleaved(picture, voice, listening):
                container.mux(packet)
        building.replace(path)
    finally:
        building.unlink(missing_ok=True)


def track() -> Samples:
    """Return the sound, mono at `RATE`."""
    random = np.random.default_rng(SEED)
    mixed = sound.speech(random, DURATION_S) + sound.room_tone(random, DURATION_S)
    for event in EVENTS:
        made = MAKERS[event.what](random, event.duration_s)
        made *= event.level / max(sound.level(made), 1e-9)
        start = int(event.start_s * RATE)
        stop = start + len(made)
        if event.is_moment or event.what == "shout":
            # The speaker waits for the laughter to end, and does not talk and shout at once.
            mixed[start:stop] *= 0.15
        mixed[start:stop] += made
    return (mixed * min(1.0, PEAK / float(np.abs(mixed).max()))).astype(np.float32)


def _video_stream(container: OutputContainer) -> VideoStream:
    stream = container.add_stream("libx264", rate=FRAMES_PER_S, options={"preset": "ultrafast", "crf": "26"})
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    stream.gop_size = KEYFRAME_EVERY_S * FRAMES_PER_S
    return stream


def _audio_stream(container: OutputContainer) -> AudioStream:
    stream = container.add_stream("aac", rate=RATE, layout="mono")
    stream.bit_rate = AUDIO_BITS_PER_S
    return stream


def _interleaved(picture: VideoStream, voice: AudioStream, listening: Samples) -> Iterator[AnyPacket]:
    """Encode both streams a second at a time, so that players find sound and picture side by side."""
    for second in range(DURATION_S):
        for frame in range(second * FRAMES_PER_S, (second + 1) * FRAMES_PER_S):
            yield from picture.encode(_picture(frame, listening))
        yield from _sound_packets(voice, listening, second)
    yield from picture.encode(None)
    yield from voice.encode(None)


def _sound_packets(voice: AudioStream, listening: Samples, second: int) -> Iterator[AnyPacket]:
    frame = av.AudioFrame.from_ndarray(listening[None, second * RATE : (second + 1) * RATE], "fltp", "mono")
    frame.sample_rate = RATE
    frame.pts = second * RATE
    frame.time_base = Fraction(1, RATE)
    yield from voice.encode(frame)


def _picture(number: int, listening: Samples) -> av.VideoFrame:
    """Draw a stage, a swaying speaker, a sound meter, and the progress."""
    at = number / FRAMES_PER_S
    now = listening[int(at * RATE) : int((at + 1 / FRAMES_PER_S) * RATE)]
    planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, dtype=np.uint8)
    luma = planes[:HEIGHT]
    luma[:] = np.linspace(40, 90, HEIGHT, dtype=np.uint8)[:, None]
    planes[HEIGHT : HEIGHT * 5 // 4] = 128 + int(20 * np.sin(at / 9))
    planes[HEIGHT * 5 // 4 :] = 128 + int(20 * np.cos(at / 7))
    middle = WIDTH // 2 + int(60 * np.sin(at * 0.9))
    luma[110:260, middle - 40 : middle + 40] = 170
    luma[60:110, middle - 22 : middle + 22] = 205
    loud = int(min(1.0, 4 * float(np.abs(now).mean() if len(now) else 0)) * (HEIGHT - 80))
    luma[HEIGHT - 40 - loud : HEIGHT - 40, WIDTH - 60 : WIDTH - 30] = 235
    luma[HEIGHT - 20 : HEIGHT - 12, : int(WIDTH * at / DURATION_S)] = 220
    frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
    frame.pts = number
    frame.time_base = Fraction(1, FRAMES_PER_S)
    return frame
