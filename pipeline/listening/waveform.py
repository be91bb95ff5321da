"""Curves that a page draws: a recording's waveform, its tagger's rows and its score, as small JSON files."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from pipeline.listening.tagging.tagger import GROUPS, ROW_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_POINTS = 4_000
"""More columns than any screen has; a six-hour recording then has a point every 5.4 s and a file of 16 KB."""
MAX_PEAKS = 36_000
"""Enough to place a cut by eye: a point every 0.1 s up to an hour, every 0.6 s at six hours, and about 120 KB."""
PEAK_STEPS = 255


class Waveform(msgspec.Struct, frozen=True, kw_only=True):
    """Greatest magnitudes, `rate` a second, 0 (silence) to 255 (full scale), and the times of keyframes."""

    rate: float
    duration_s: float
    peaks: list[int]
    keyframes_s: list[float]


class Tags(msgspec.Struct, frozen=True, kw_only=True):
    """A tagger's confidence in each class group in percent, `rate` values a second."""

    name: str
    rate: float
    groups: dict[str, list[int]]


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """Values 0 to 1, `rate` a second."""

    rate: float
    values: list[float]


def reduce(values: "NDArray[np.float32]", rate: float, most: int = MAX_POINTS) -> tuple["NDArray[np.float32]", float]:
    """Return at most `most` values, each the maximum of an equal number of neighbours, and their rate."""
    step = max(1, math.ceil(len(values) / most))
    if step == 1:
        return values, rate
    padded = np.pad(values, (0, -len(values) % step), constant_values=0)
    return padded.reshape(-1, step).max(axis=1), rate / step


def write_waveform(
    path: Path, peaks: "NDArray[np.float32]", *, rate: float, duration_s: float, keyframes_s: Sequence[float] = ()
) -> None:
    """Write peaks (0 to 1, `rate` a second) as `Waveform`; keyframes are thinned to 4,000."""
    points, new_rate = reduce(peaks, rate, MAX_PEAKS)
    steps = np.rint(np.clip(points, 0.0, 1.0) * PEAK_STEPS).astype(int).tolist()
    every = max(1, math.ceil(len(keyframes_s) / MAX_POINTS))
    keyframes = [round(time_s, 3) for time_s in keyframes_s[::every]]
    waveform = Waveform(rate=new_rate, duration_s=duration_s, peaks=steps, keyframes_s=keyframes)
    path.write_bytes(msgspec.json.encode(waveform))


def write_tags(path: Path, tags: "NDArray[np.float32]", *, tagger: str) -> None:
    """Write a tagger's logits [rows, GROUPS] as `Tags`."""
    shares = np.rint(50.0 * (1.0 + np.tanh(0.5 * tags)))
    columns = {group: reduce(shares[:, i], 1.0 / ROW_S) for i, group in enumerate(GROUPS)}
    rate = reduce(shares[:, 0], 1.0 / ROW_S)[1]
    groups = {group: values.astype(int).tolist() for group, (values, _) in columns.items()}
    path.write_bytes(msgspec.json.encode(Tags(name=tagger, rate=rate, groups=groups)))


def write_curve(path: Path, values: "NDArray[np.float32]", *, rate: float) -> None:
    """Write scores (0 to 1, `rate` a second) as `Curve`, to three decimals."""
    points, new_rate = reduce(values, rate)
    rounded = np.round(np.clip(points, 0.0, 1.0).astype(np.float64), 3).tolist()
    path.write_bytes(msgspec.json.encode(Curve(rate=new_rate, values=rounded)))
