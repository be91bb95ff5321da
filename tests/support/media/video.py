"""Test recordings, made in code: every picture carries its number, and the sound is noise that can be found again.

So a test can say exactly which pictures of a recording a clip shows and when, and where its sound is from.
"""

import math
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from pipeline.rendering.encoding.ffmpeg import executable

COLUMNS, ROWS = 4, 3
BITS = COLUMNS * ROWS
"""Numbers up to 4,095: more pictures than any test needs."""
DARK, BRIGHT = 48, 208
SIZE = (160, 96)
RATE = 25
SOUND_RATE = 48_000
CORRELATED_S = 0.25
WITHIN_S = 0.5
LEAST_LIKENESS = 0.5
MARGIN_S = 0.03
"""Sound is compared a little inside the clip: an encoder's first packet is not yet itself."""
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
H264_B = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-pix_fmt", "yuv420p")
AAC = ("-c:a", "aac", "-b:a", "128k")


@dataclass(frozen=True)
class Shown:
    """A decoded picture: when the file shows it, and which one of the recording it is."""

    time_s: float
    number: int


@dataclass(frozen=True)
class Heard:
    """Decoded sound, mixed to one channel: when the file's first sample is heard, and the samples."""

    start_s: float
    rate: int
    samples: NDArray[np.float32]

    @property
    def end_s(self) -> float:
        return self.start_s + len(self.samples) / self.rate


def draw(number: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Draw the picture with this number: a grid of dark and bright fields, and a texture that moves."""
    width, height = size
    bits = np.array([number >> i & 1 for i in range(BITS)], dtype=bool).reshape(ROWS, COLUMNS)
    fields = np.where(bits, BRIGHT, DARK)
    rows = np.minimum(np.arange(height) * ROWS // height, ROWS - 1)
    columns = np.minimum(np.arange(width) * COLUMNS // width, COLUMNS - 1)
    picture = fields[np.ix_(rows, columns)]
    texture = 12 * np.sin((np.arange(width)[None, :] + 3 * number) / 5.0 + np.arange(height)[:, None] / 7.0)
    return np.clip(picture + texture, 0, 255).astype(np.uint8)


def read_number(picture: NDArray[np.uint8]) -> int:
    """Return the number of a drawn picture, whatever size it has now."""
    height, width = picture.shape
    number = 0
    for i in range(BITS):
        row, column = divmod(i, COLUMNS)
        y, x = round((row + 0.5) * height / ROWS), round((column + 0.5) * width / COLUMNS)
        dy, dx = max(1, height // ROWS // 4), max(1, width // COLUMNS // 4)
        field = picture[max(0, y - dy) : y + dy, max(0, x - dx) : x + dx]
        number |= int(field.mean() > (DARK + BRIGHT) / 2) << i
    return number


def noise(seconds: float, rate: int = SOUND_RATE, *, seed: int = 7) -> NDArray[np.float32]:
    """Return smooth noise that never repeats: any quarter of a second of it is found by correlation."""
    samples = np.random.default_rng(seed).standard_normal(round(seconds * rate) + 8)
    smooth = np.convolve(samples, np.ones(8) / 8, mode="valid")[: round(seconds * rate)]
    return (0.5 * smooth / np.abs(smooth).max()).astype(np.float32)


def record(  # noqa: PLR0913 - one parameter for each property of a recording
    path: Path,
    *,
    seconds: float = 4.0,
    rate: Fraction | int = RATE,
    size: tuple[int, int] = SIZE,
    video: Sequence[str] | None = (*H264, "-g", "25"),
    audio: Sequence[str] | None = AAC,
    sound_rate: int = SOUND_RATE,
    channels: int = 1,
    extra: Sequence[str] = (),
    before: Sequence[str] = (),
) -> Path:
    """Write a recording with FFmpeg: numbered pictures and noise, coded and wrapped as the arguments say.

    `video` and `audio` are FFmpeg's output options for the stream, None leaves it out; `extra` goes before the output
    name and `before` before the input of pictures.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        command = [executable(), "-v", "error", "-y", "-nostdin"]
        maps: list[str] = []
        if video is not None:
            raw = Path(folder, "pictures")
            with raw.open("wb") as file:
                for number in range(round(seconds * rate)):
                    file.write(draw(number, size).tobytes())
            command += ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{size[0]}x{size[1]}", "-r", str(rate), *before]
            command += ["-i", str(raw)]
            maps += ["-map", "0:v", *video]
        if audio is not None:
            raw = Path(folder, "sound")
            one = noise(seconds, sound_rate)
            np.repeat(one[:, None], channels, axis=1).tofile(raw)
            command += ["-f", "f32le", "-ar", str(sound_rate), "-ac", str(channels), "-i", str(raw)]
            maps += ["-map", f"{1 if video is not None else 0}:a", *audio]
        subprocess.run([*command, *maps, *extra, str(path)], check=True, timeout=120)
    return path


def run_ffmpeg(*arguments: str | Path) -> None:
    """Run FFmpeg for what `record` cannot make in one go."""
    subprocess.run([executable(), "-v", "error", "-y", "-nostdin", *map(str, arguments)], check=True, timeout=120)


def complaints(path: Path) -> str:
    """Decode a file with the FFmpeg binary and return what it complains about: nothing, for a good file."""
    # The null muxer would otherwise count in whole pictures and complain of rhythms that are not even.
    clock = ("-fps_mode", "passthrough", "-enc_time_base:v", "1/90000")
    command = [executable(), "-v", "warning", "-nostdin", "-i", str(path), *clock, "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    return done.stderr.decode(errors="replace") + ("" if done.returncode == 0 else f"\nstatus {done.returncode}")


def pictures_of(path: Path, *, turned: int = 0) -> list[Shown]:
    """Decode the pictures of a file, in order of display; `turned` degrees clockwise were applied to them."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return [
            Shown(float(frame.time), read_number(np.rot90(_gray(frame), turned // 90)))
            for frame in container.decode(stream)
        ]


def likeness_db(source: Path, clip: Path) -> float:
    """Return the PSNR of the clip's worst picture against the recording's own picture of that number."""
    originals = _pixels(source)
    worst = math.inf
    for number, picture in _pixels(clip).items():
        error = float(np.mean((picture.astype(np.float32) - originals[number].astype(np.float32)) ** 2))
        worst = min(worst, 10 * math.log10(255**2 / max(error, 1e-6)))
    return worst


def _pixels(path: Path) -> dict[int, NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        pictures = [_gray(frame) for frame in container.decode(container.streams.video[0])]
    return {read_number(picture): picture for picture in pictures}


def _gray(frame: VideoFrame) -> NDArray[np.uint8]:
    array = frame.reformat(format="gray").to_ndarray()
    assert array.dtype == np.uint8
    return array  # type: ignore[return-value] # gray is 8 bit


def sound_of(path: Path) -> Heard:
    """Decode the sound of a file; a gap in its times is an error."""
    parts: list[NDArray[np.float32]] = []
    start: float | None = None
    rate = 0
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="flt")  # packed: PyAV miscounts the planes of eight channels
        for decoded in container.decode(audio=0):
            start = float(decoded.time) if start is None else start
            for frame in resampler.resample(decoded):
                rate = frame.sample_rate
                samples = frame.to_ndarray().reshape(-1, frame.layout.nb_channels)
                parts.append(samples.mean(axis=1).astype(np.float32))
    assert start is not None
    return Heard(start, rate, np.concatenate(parts))


def origin_s(heard: Heard, at_s: float, near_s: float, *, recorded_rate: int = SOUND_RATE) -> float:
    """Return where in the recording the sound comes from that a file plays at `at_s`, looked for around `near_s`."""
    begin = round((at_s - heard.start_s) * heard.rate)
    piece = heard.samples[begin : begin + round(CORRELATED_S * heard.rate)]
    original = _at_rate(noise(near_s + WITHIN_S + 1, recorded_rate), recorded_rate, heard.rate)
    first = max(0, round((near_s - WITHIN_S) * heard.rate))
    window = original[first : round((near_s + WITHIN_S + CORRELATED_S) * heard.rate)]
    size = 1 << (len(window) + len(piece)).bit_length()
    matches = np.fft.irfft(np.fft.rfft(window, size) * np.conj(np.fft.rfft(piece, size)), size)
    best = int(np.argmax(matches[: max(1, len(window) - len(piece) + 1)]))
    energy = float(np.linalg.norm(piece) * np.linalg.norm(window[best : best + len(piece)]))
    assert energy > 0, "silence where sound was expected"
    likeness = matches[best] / energy
    assert likeness > LEAST_LIKENESS, f"the sound at {at_s:.3f} s is not from around {near_s:.3f} s ({likeness:.2f})"
    return (first + best) / heard.rate


def _at_rate(samples: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    if rate == wanted:
        return samples
    times = np.arange(round(len(samples) * wanted / rate)) / wanted
    return np.interp(times, np.arange(len(samples)) / rate, samples).astype(np.float32)


@dataclass(frozen=True)
class Sync:
    """How far the sound of a clip is from its pictures, in seconds, near its start and its end."""

    at_start_s: float
    at_end_s: float


def sync_of(path: Path, *, rate: Fraction | int = RATE, recorded_rate: int = SOUND_RATE, turned: int = 0) -> Sync:
    """Measure a clip of a `record`ing: where its pictures come from against where its sound comes from."""
    pictures, heard = pictures_of(path, turned=turned), sound_of(path)
    begin = max(pictures[0].time_s, heard.start_s) + MARGIN_S
    end = min(pictures[-1].time_s, heard.end_s) - CORRELATED_S - MARGIN_S
    offsets = []
    for at_s in (begin, max(begin, end)):
        shown = max((p for p in pictures if p.time_s <= at_s), key=lambda p: p.time_s, default=pictures[0])
        recorded_s = float(shown.number / rate) + at_s - shown.time_s
        offsets.append(origin_s(heard, at_s, recorded_s, recorded_rate=recorded_rate) - recorded_s)
    return Sync(*offsets)
