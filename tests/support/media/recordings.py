"""Small recordings made in code for rendering tests, and what a decoder sees and hears in the results."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.rendering.encoding.ffmpeg import executable

LUMA_STEP = 8
LUMA_COUNT = 26
"""Frame n has luma 20 + 8 (n mod 26): apart enough to survive any encoder."""
NUMBERED = f"geq=lum='20+{LUMA_STEP}*mod(N,{LUMA_COUNT})':cb=128:cr=128"


def make(path: Path, *arguments: str) -> Path:
    """Write a file with FFmpeg; the arguments stand between `ffmpeg` and the output."""
    command = [executable(), "-hide_banner", "-nostdin", "-y", "-loglevel", "error", *arguments, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return path


def numbered(
    path: Path, *, seconds: float = 4, rate: str = "25", size: str = "160x90", extra: Sequence[str] = ()
) -> Path:
    """Frames whose brightness tells their number, and a tone that says the time: 440 Hz plus 40 Hz for each second."""
    return make(
        path,
        *("-f", "lavfi", "-i", f"color=c=gray:s={size}:r={rate}:d={seconds},format=yuv420p,{NUMBERED}"),
        *("-f", "lavfi", "-i", f"aevalsrc='0.3*sin(2*PI*(440+40*floor(t))*t)':s=48000:d={seconds}"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-bf", "2", "-c:a", "aac", "-shortest", *extra),
    )


def flashing(path: Path, *, seconds: int = 4, extra: Sequence[str] = ()) -> Path:
    """White for two frames and a beep at every whole second, otherwise black and silent."""
    return make(
        path,
        *(
            "-f",
            "lavfi",
            "-i",
            f"color=c=black:s=160x90:r=25:d={seconds},geq=lum='if(lt(mod(N,25),2),235,16)':cb=128:cr=128",
        ),
        *("-f", "lavfi", "-i", f"aevalsrc='0.8*sin(2*PI*1000*t)*lt(mod(t,1),0.08)':s=48000:d={seconds}"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac", "-b:a", "128k", *extra),
    )


def tone(path: Path, *, seconds: float = 6, volume: float = 0.3, extra: Sequence[str] = ()) -> Path:
    """Sound alone."""
    return make(path, *("-f", "lavfi", "-i", f"aevalsrc='{volume}*sin(2*PI*500*t)':s=48000:d={seconds}"), *extra)


@dataclass(frozen=True)
class Seen:
    """Decoded frames: times in seconds, mean luma of each, and the last frame as RGB."""

    times: list[float]
    luma: list[float]
    width: int
    height: int
    rgb: NDArray[np.uint8]
    end_s: float

    @property
    def numbers(self) -> list[int]:
        """Frame numbers (modulo 26) that brightness tells."""
        return [round((value - 20) / LUMA_STEP) % LUMA_COUNT for value in self.luma]


def look(path: Path) -> Seen:
    """Decode all pictures of a file."""
    times, luma, last, end = [], [], None, Fraction(0)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for frame in container.decode(stream):
            assert frame.pts is not None
            time = frame.pts * Fraction(frame.time_base)
            times.append(float(time))
            luma.append(float(frame.reformat(format="yuv420p").to_ndarray()[: frame.height].mean()))
            end = max(end, time + frame.duration * Fraction(frame.time_base))
            last = frame
        assert last is not None
        return Seen(
            times=times,
            luma=luma,
            width=last.width,
            height=last.height,
            rgb=last.to_ndarray(format="rgb24"),
            end_s=float(end),
        )


def listen(path: Path) -> tuple[NDArray[np.float32], int]:
    """Decode the sound of a file as the mean of its channels [n] at its rate; a late start becomes silence."""
    resampled = []
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        rate = stream.sample_rate
        planar = av.AudioResampler(format="fltp")
        start = None
        for frame in container.decode(stream):
            if start is None and frame.pts is not None:
                start = float(frame.pts * Fraction(frame.time_base))
            resampled += [f.to_ndarray().mean(axis=0) for f in planar.resample(frame)]
    sound = np.concatenate(resampled).astype(np.float32)
    lead = round((start or 0.0) * rate)
    return (np.pad(sound, (lead, 0)) if lead >= 0 else sound[-lead:]), rate


def pitch_hz(sound: NDArray[np.float32], rate: int) -> float:
    """Return the strongest frequency."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(np.argmax(spectrum) * rate / len(sound))


def level_db(sound: NDArray[np.float32]) -> float:
    """Return the RMS level in dB below full scale."""
    return float(20 * np.log10(max(1e-9, float(np.sqrt(np.mean(sound.astype(np.float64) ** 2))))))


def loudness(path: Path) -> tuple[float, float]:
    """Return integrated loudness (LUFS) and true peak (dBTP) by FFmpeg's meter."""
    from pipeline.rendering.encoding.loudness import parse

    command = [executable(), "-hide_banner", "-nostdin", "-i", str(path), "-af", "ebur128=peak=true:framelog=quiet"]
    done = subprocess.run([*command, "-f", "null", "-"], capture_output=True, text=True, check=True)
    found = parse(done.stderr)
    return found.lufs, found.true_peak_db


def frame_count(path: Path) -> int:
    """Count the frames FFmpeg decodes, also of animated WebP, which PyAV's FFmpeg cannot."""
    command = [executable(), "-hide_banner", "-nostdin", "-v", "error", "-i", str(path), "-progress", "pipe:1"]
    done = subprocess.run([*command, "-f", "null", "-"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return int([line for line in done.stdout.splitlines() if line.startswith("frame=")][-1].partition("=")[2])
