"""Loudness by EBU R128 (ITU-R BS.1770): measures first, then applies one gain, and a true-peak limiter if needed.

FFmpeg's `loudnorm` is not used: without headroom for the peaks it silently becomes a compressor that changes the level
through the clip. One gain keeps the balance of quiet and loud; only peaks above the ceiling are lowered, by a limiter
at four times the sample rate (the oversampling of BS.1770-4, annex 2).
"""

import re
from pathlib import Path
from typing import Any

from msgspec import Struct

from pipeline.rendering.check.ebur128 import Loudness
from pipeline.rendering.encoding import ffmpeg as runner
from pipeline.rendering.encoding import graph
from pipeline.rendering.material import Material
from pipeline.types import Options

CEILING_DBTP = -2.0
"""Encoders add up to some 0.8 dB to peaks, so clips stay under the -1 dBTP of platforms."""
MAX_TRUE_PEAK_DB = -1.0
"""The limit of platforms, with which a finished clip is compared."""
MAX_GAIN_DB = 30.0
"""Enough for a whisper; more would raise the noise of a quiet room to the level of speech."""
TOLERANCE_LU = 0.3
LIMITER_PASSES = 3
"""Limiting peaks lowers the loudness; after three corrections the error is inaudible."""
OVERSAMPLING = 4
LAME_LOSS_DB = 0.446
"""LAME scales its input by 0.95 against clipping; clips with a target are raised by that before."""

Filters = list[tuple[str, dict[str, Any]]]

_INTEGRATED = re.compile(r"\bI:\s+(-?\d+(?:\.\d+)?|-?inf|nan) LUFS")
_PEAK = re.compile(r"\bPeak:\s+(-?\d+(?:\.\d+)?|-?inf|nan) dBFS")


class Level(Struct, frozen=True, kw_only=True):
    """One gain, and the ceiling for true peaks; None if they stay below it."""

    target_lufs: float
    gain_db: float
    rate: int
    ceiling_db: float | None = None

    @property
    def filters(self) -> Filters:
        """FFmpeg filters that apply it."""
        if self.ceiling_db is None:
            return gain(self.gain_db)
        return limited(self.gain_db, self.rate, self.ceiling_db)

    def corrected(self, found: Loudness) -> "Level | None":
        """Return the level that reaches the target, after an encoder's output measured `found`; None if impossible."""
        gain_db = _capped(self.gain_db + self.target_lufs - found.lufs)
        above_db = max(0.0, found.true_peak_db - MAX_TRUE_PEAK_DB)
        ceiling_db = self.ceiling_db
        if above_db or ceiling_db is not None or found.true_peak_db + gain_db - self.gain_db > CEILING_DBTP:
            ceiling_db = (CEILING_DBTP if ceiling_db is None else ceiling_db) - above_db
        better = Level(target_lufs=self.target_lufs, gain_db=gain_db, rate=self.rate, ceiling_db=ceiling_db)
        return None if found.is_silent or better == self else better


def measure(folder: Path, material: Material, options: Options, filters: Filters | None = None) -> Loudness:
    """Measure the sound of a clip as published, with fades, after these filters."""
    chain = graph.audio(graph.source(material), material, options, level=filters).filter(
        "ebur128", peak="true", framelog="quiet"
    )
    output = chain.output("-", format="null").global_args("-copyts")
    return parse("\n".join(runner.run(output, folder=folder, loglevel="info")))


def parse(log: str) -> Loudness:
    """Read the summary that FFmpeg's `ebur128` filter logs at the end."""
    integrated, peaks = _INTEGRATED.findall(log), _PEAK.findall(log)
    return Loudness(lufs=_number(integrated), true_peak_db=_number(peaks))


def level(folder: Path, material: Material, options: Options, target_lufs: float) -> Level | None:
    """Return the level for a target loudness, None for silence; decodes the sound one to four times."""
    found = measure(folder, material, options)
    if found.is_silent:
        return None
    rate = graph.output_rate(material.audio) if material.audio else graph.MAX_SAMPLE_RATE
    gain_db = _capped(target_lufs - found.lufs)
    if found.true_peak_db + gain_db <= CEILING_DBTP:
        return Level(target_lufs=target_lufs, gain_db=gain_db, rate=rate)
    for _ in range(LIMITER_PASSES):
        after = measure(folder, material, options, limited(gain_db, rate))
        missing = target_lufs - after.lufs
        if abs(missing) <= TOLERANCE_LU or gain_db >= MAX_GAIN_DB:
            break
        gain_db = _capped(gain_db + missing)
    return Level(target_lufs=target_lufs, gain_db=gain_db, rate=rate, ceiling_db=CEILING_DBTP)


def gain(gain_db: float) -> Filters:
    """Return the filter that changes the level by some decibels."""
    return [("volume", {"volume": f"{gain_db:.3f}dB", "precision": "double"})]


def limited(gain_db: float, rate: int, ceiling_db: float = CEILING_DBTP) -> Filters:
    """Return filters that change the level and then limit true peaks to the ceiling."""
    ceiling = 10 ** (ceiling_db / 20)
    limiter = {"limit": f"{ceiling:.6f}", "attack": 5, "release": 50, "level": "disabled", "latency": 1}
    return [
        *gain(gain_db),
        ("aresample", {"sample_rate": rate * OVERSAMPLING}),
        ("alimiter", limiter),
        ("aresample", {"sample_rate": rate}),
    ]


LAME_FILTERS = gain(LAME_LOSS_DB)
"""Return the filters after a level if the encoder is LAME."""


def _capped(gain_db: float) -> float:
    return min(MAX_GAIN_DB, gain_db)


def _number(found: list[str]) -> float:
    """Return the last number; minus infinity if the meter has none."""
    value = float(found[-1]) if found else float("-inf")
    return value if value == value else float("-inf")  # noqa: PLR0124 - NaN is the number that differs from itself
