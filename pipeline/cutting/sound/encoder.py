"""Encodes decoded sound from its first sample to its last, where a recording's own packets cannot be copied."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream
from numpy.typing import NDArray

from pipeline.cutting.mux import format_of
from pipeline.cutting.sound.mono import Gatherer, Packer, stereo_weights
from pipeline.errors import DECODE_FAILED, ENCODE_FAILED
from pipeline.reading.media import AV_ERRORS, as_media_error

ENCODERS = {"webm": "libopus", "mp3": "libmp3lame"}
DEFAULT_ENCODER = "aac"
BPS_PER_CHANNEL = {"aac": 96_000, "libopus": 64_000, "libmp3lame": 96_000}
"""Bit rates at which each encoder is considered transparent for nearly all sound."""
RATES = {
    "aac": frozenset({32_000, 44_100, 48_000}),
    "libopus": frozenset({48_000}),
    "libmp3lame": frozenset({32_000, 44_100, 48_000}),
}
"""Sample rates that are kept; others become 48 kHz: at low ones a packet would be longer than a picture."""
PACKED = "flt"
USUAL_RATE = 48_000
ROUNDING_S = Fraction(1, 50)
"""Containers round times; only a larger step means missing or repeated sound."""
MAX_CHANNELS = {"aac": 8, "libopus": 8, "libmp3lame": 2}
LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
STEREO = 2
USUAL_LAYOUTS = frozenset({"2.1", "quad", "5.0(side)", "5.1(side)"})
"""Layouts that FFmpeg converts to those above; sound in others is mixed to stereo."""


def encoder_for(path: Path) -> str:
    """Return the encoder of the sound in this kind of output."""
    return ENCODERS.get(format_of(path), DEFAULT_ENCODER)


class SoundEncoder:
    """Turns decoded sound into packets of an output stream, cut to [start_s, end_s) of the recording's clock.

    `at_s` is the output's time of the first packet. Gaps are filled with silence and overlaps dropped, so that sound
    stays in step with the pictures.
    """

    def __init__(  # noqa: PLR0913 - keyword-only
        self,
        container: OutputContainer,
        source: AudioStream,
        *,
        encoder: str,
        start_s: Fraction,
        end_s: Fraction,
        at_s: Fraction = Fraction(0),
    ) -> None:
        context = source.codec_context
        kept = RATES.get(encoder)
        is_kept = context.sample_rate in kept if kept is not None else context.sample_rate <= USUAL_RATE
        self.rate = context.sample_rate if is_kept else USUAL_RATE
        most = MAX_CHANNELS.get(encoder, len(LAYOUTS)) if _is_usual(source.layout.name) else STEREO
        channels = max(1, min(context.channels, most))
        self._layout = LAYOUTS.get(channels, "stereo")
        self.stream = cast("AudioStream", container.add_stream(encoder, rate=self.rate, layout=self._layout))
        if encoder in BPS_PER_CHANNEL:
            self.stream.codec_context.bit_rate = BPS_PER_CHANNEL[encoder] * max(1, min(channels, 6))
        self.stream.codec_context.time_base = Fraction(1, self.rate)
        self.stream.time_base = Fraction(1, self.rate)
        self.stream.codec_context.open()
        self._format = self.stream.codec_context.format.name
        self._filled_s = start_s
        self._end_s = end_s
        self._gatherer = Gatherer()
        self._base = source.time_base or Fraction(1, self.rate)
        self._fifo = AudioFifo()
        self._first = round(at_s * self.rate)
        self._encoded = 0
        self._resampler: AudioResampler | None = None
        self._shape: tuple[str, str, int] | None = None
        self._packer = Packer()
        self._index = source.index

    def push(self, frame: AudioFrame) -> Iterator["Packet[Stream]"]:
        """Add a decoded frame with its time and yield finished packets; MediaError DECODE_FAILED, ENCODE_FAILED."""
        try:
            for gathered, at_s in self._gatherer.push(frame, self._base):
                self._take(gathered, at_s)
            yield from self._encode(final=False)
        except AV_ERRORS as exc:
            raise as_media_error(exc, DECODE_FAILED, stream=self._index) from exc

    def finish(self) -> Iterator["Packet[Stream]"]:
        """Yield the last packets."""
        try:
            for gathered, at_s in self._gatherer.finish():
                self._take(gathered, at_s)
            self._drain()
            yield from self._encode(final=True)
            yield from self._owned(self.stream.codec_context.encode(None))
        except AV_ERRORS as exc:
            raise as_media_error(exc, ENCODE_FAILED) from exc

    def _packed(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Yield the samples of a frame in one plane, in a layout that every encoder accepts."""
        samples = self._packer.pack(frame)
        if not len(samples):
            return
        layout = frame.layout.name
        if not _is_usual(layout):
            samples = samples @ stereo_weights([channel.name for channel in frame.layout.channels])
            layout = "mono" if frame.layout.nb_channels == 1 else "stereo"
            samples = samples[:, :1] if layout == "mono" else samples
        yield _frame(np.ascontiguousarray(samples.reshape(1, -1), dtype=np.float32), layout, frame.sample_rate)

    def _take(self, frame: AudioFrame, at_s: Fraction) -> None:
        for packed in self._packed(frame):
            for part in self._placed(packed, at_s):
                self._convert(part)

    def _placed(self, frame: AudioFrame, at_s: Fraction) -> Iterator[AudioFrame]:
        """Yield the part of a frame that belongs to the clip, after silence for a gap before it."""
        rate = frame.sample_rate
        missing = round((at_s - self._filled_s) * rate)
        if abs(missing) < ROUNDING_S * rate and self._shape is not None:
            missing = 0
        keep = min(frame.samples + min(0, missing), round((self._end_s - self._filled_s) * rate) - max(0, missing))
        if keep <= 0:
            return
        if missing > 0:
            yield silence(frame.layout.name, rate, missing)
        yield cut_samples(frame, max(0, -missing), keep)
        self._filled_s += Fraction(max(0, missing) + keep, rate)

    def _convert(self, part: AudioFrame) -> None:
        """Convert samples to the encoder's format and queue them."""
        shape = (part.format.name, part.layout.name, part.sample_rate)
        if shape != self._shape:
            self._drain()
            self._resampler = AudioResampler(format=self._format, layout=self._layout, rate=self.rate)
            self._shape = shape
        part.pts = None
        assert self._resampler is not None  # noqa: S101 - set with the shape
        self._queue(self._resampler.resample(part))

    def _drain(self) -> None:
        if self._resampler is not None:
            self._queue(self._resampler.resample(None))
            self._resampler = None

    def _queue(self, parts: list[AudioFrame]) -> None:
        for part in parts:
            part.pts = None
            self._fifo.write(part)

    def _encode(self, *, final: bool) -> Iterator["Packet[Stream]"]:
        size = self.stream.codec_context.frame_size or 1024
        while True:
            samples = self._fifo.samples
            if samples < size and not (final and samples):
                return
            frame = self._fifo.read(min(size, samples))
            if frame is None:
                return
            frame.pts = self._first + self._encoded
            frame.time_base = Fraction(1, self.rate)
            frame.sample_rate = self.rate
            self._encoded += frame.samples
            yield from self._owned(self.stream.codec_context.encode(frame))

    def _owned(self, packets: "list[Packet[Stream]]") -> Iterator["Packet[Stream]"]:
        for packet in packets:
            packet.stream = self.stream
            yield packet


def _is_usual(layout: str) -> bool:
    return layout in LAYOUTS.values() or layout in USUAL_LAYOUTS


def silence(layout: str, rate: int, samples: int) -> AudioFrame:
    """Return a packed float frame of silence."""
    channels = AudioLayout(layout).nb_channels
    return _frame(np.zeros((1, samples * channels), np.float32), layout, rate)


def cut_samples(frame: AudioFrame, skip: int, keep: int) -> AudioFrame:
    """Return `keep` samples of a packed float frame from `skip` on."""
    if skip == 0 and keep == frame.samples:
        return frame
    width = frame.layout.nb_channels
    samples = np.asarray(frame.to_ndarray(), np.float32)[:, skip * width : (skip + keep) * width]
    return _frame(np.ascontiguousarray(samples), frame.layout.name, frame.sample_rate)


def _frame(samples: NDArray[np.float32], layout: str, rate: int) -> AudioFrame:
    frame = AudioFrame.from_ndarray(samples, format=PACKED, layout=layout)
    frame.sample_rate = rate
    return frame
