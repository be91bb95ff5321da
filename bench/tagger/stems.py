"""Makes mixes for teaching of the collected clips: spectrograms of spoilt mixes, targets of clean stems.

python bench/tagger/stems.py MODEL.tflite CLIPS.pickle OUT_FOLDER [--count 400] [--seed 1]
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from clips import Clip, load_clips, teach
from numpy.typing import NDArray

sys.path.append(str(Path(__file__).resolve().parents[1] / "highlights"))
from mixes import CODECS, coded
from nuisances import NUISANCES
from synthetic import band, claps, crowd, noise, room, stretch, unit
from textures import MOUTH, SHARES, TEXTURES

from pipeline.listening.tagging.builtin import BuiltinTagger
from pipeline.listening.tagging.mel import log_mel
from pipeline.listening.tagging.tagger import GROUPS, HIGHLIGHTS, ROW_SAMPLES
from pipeline.listening.tagging.yamnet import Yamnet

Sound = NDArray[np.float32]
RATE, ROWS = 16_000, 120
SAMPLES = ROWS * ROW_SAMPLES
USUAL = 0.08
"""RMS of the background."""
NAMED, LEAST = 0.75, 0.03
"""A clip that is named after a group counts as that sure, where YAMNet thinks it possible at all."""
GENERATED = 2.0
"""Marks what was generated: there is nothing to doubt."""
ABSENT = 0.02
"""How likely a highlight is at most where only generated noise is added, whatever YAMNet takes it for."""
GENERATED_SHARE = 0.25
"""How many applauses are generated, and how many laughs are those of a crowd put together of single ones."""
RECORDED_SHARE, TEXTURE_SHARE = 0.35, 0.4
"""How many nuisances are clips of their kind, and how many are textures; the others are those of `nuisances.py`."""
NEAR_SHARE, LOUDER_SHARE = 0.4, 0.3
"""How many speakers are heard to breathe, and how many mixes of talk grow louder for some seconds."""


class Generator:
    """Lays out mixes; the same seed gives the same ones."""

    def __init__(self, clips: list[Clip], seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self._clips: dict[str, list[Clip]] = {}
        for clip in clips:
            self._clips.setdefault(clip.role, []).append(clip)
        missing = {*HIGHLIGHTS, "speech", "music", "other"} - set(self._clips)
        if missing:
            sys.exit(f"No clips of these kinds, add sources that have some: {', '.join(sorted(missing))}")

    def stems(self) -> tuple[Sound, Sound, NDArray[np.float32], NDArray[np.bool_]]:
        """Return background, foreground, which groups are known to sound [rows, groups], and where none does [rows]."""
        rng = self.rng
        kind = str(rng.choice(["speech", "music", "noise", "none"], p=[0.52, 0.1, 0.13, 0.25]))
        background, foreground = self._background(kind), np.zeros(SAMPLES, np.float32)
        named, absent = np.zeros((ROWS, len(GROUPS)), np.float32), np.full(ROWS, kind == "noise")
        at = int(rng.uniform(0, 4) * RATE)
        while at < SAMPLES - RATE:
            samples, role, mark = self._sound()
            part = samples[: SAMPLES - at] * np.float32(USUAL * 10 ** (rng.uniform(-5, 14) / 20))
            foreground[at : at + len(part)] += part
            absent[at // ROW_SAMPLES : (at + len(part)) // ROW_SAMPLES + 1] = role == "nuisance"
            if role in HIGHLIGHTS:
                named[at // ROW_SAMPLES : (at + len(part)) // ROW_SAMPLES, GROUPS.index(role)] = mark
            if rng.random() < 0.4:  # noqa: PLR2004 - people stop talking when others laugh
                background[at : at + len(part)] *= np.float32(10 ** (-rng.uniform(15, 50) / 20))
            at += len(part) + int(RATE * (rng.exponential(0.6) if kind == "none" else rng.uniform(1.5, 9)))
        return background, foreground, named, absent

    def _background(self, kind: str) -> Sound:
        out, at = np.zeros(SAMPLES, np.float32), 0
        while kind != "none" and at < SAMPLES:
            part = self._noise() if kind == "noise" else self._take(kind)
            out[at : at + len(part)] += np.float32(USUAL) * unit(part)[: SAMPLES - at]
            at += len(part) + int(RATE * self.rng.exponential(0.4))
        if kind == "speech" and self.rng.random() < NEAR_SHARE:
            self._mouth(out)
        if kind == "speech" and self.rng.random() < LOUDER_SHARE:
            self._louder(out)
        return out

    def _noise(self) -> Sound:
        return noise(self.rng, 20.0, self.rng.uniform(-2, 7)) if self.rng.random() < 0.3 else self._nuisance()  # noqa: PLR2004

    def _nuisance(self) -> Sound:
        roll = self.rng.random()
        if roll < RECORDED_SHARE and "texture" in self._clips:
            return self._take("texture")
        if roll < RECORDED_SHARE + TEXTURE_SHARE:
            return TEXTURES[str(self.rng.choice(list(TEXTURES), p=SHARES))](self.rng)
        return NUISANCES[str(self.rng.choice(sorted(NUISANCES)))](self.rng)

    def _mouth(self, out: Sound) -> None:
        """Add breaths, plosives and lip noise to talk, about as often as people make them."""
        at = int(self.rng.exponential(2.0) * RATE)
        while at < SAMPLES:
            part = MOUTH[self.rng.integers(len(MOUTH))](self.rng)[: SAMPLES - at]
            out[at : at + len(part)] += part * np.float32(USUAL * 10 ** (self.rng.uniform(-25, 4) / 20))
            at += len(part) + int(self.rng.exponential(2.5) * RATE)

    def _louder(self, out: Sound) -> None:
        """Raise a stretch of talk by 6 to 14 dB, as if the speaker came closer; half of the time it overloads."""
        first = int(self.rng.uniform(0, SAMPLES - 8 * RATE))
        part = out[first : first + int(self.rng.uniform(3, 8) * RATE)]
        part *= np.float32(10 ** (self.rng.uniform(6, 14) / 20))
        if self.rng.random() < 0.5:  # noqa: PLR2004
            top = np.float32(np.abs(part).max() * self.rng.uniform(0.1, 0.5) + 1e-6)
            np.clip(part, -top, top, out=part)

    def _sound(self) -> tuple[Sound, str, float]:
        """Return a foreground sound of at most eight seconds, its role and its mark; half of them are highlights."""
        roles = (*HIGHLIGHTS, "other", "music", "nuisance")
        role = str(self.rng.choice(roles, p=[0.17, 0.09, 0.08, 0.06, 0.06, 0.25, 0.05, 0.24]))
        is_generated = role in {"laughter", "applause"} and self.rng.random() < GENERATED_SHARE
        if role == "nuisance":
            samples = self._nuisance()
        elif is_generated and role == "applause":
            samples = claps(self.rng, self.rng.uniform(1.0, 7.0))
        elif is_generated:
            samples = crowd(self.rng, [self._take(role) for _ in range(12)], self.rng.uniform(1.5, 6.0))
        else:
            samples = self._take(role)
        samples = stretch(samples[: 8 * RATE], self.rng.uniform(0.85, 1.18))
        is_distant = self.rng.random() < 0.35  # noqa: PLR2004
        placed = room(self.rng, samples, self.rng.uniform(0.2, 1.3)) if is_distant else samples
        return unit(placed), role, GENERATED if is_generated else 1.0

    def _take(self, role: str) -> Sound:
        """Return a clip of some source: many clips of one source do not drown the others."""
        sources = sorted({clip.source for clip in self._clips[role]})
        source = sources[self.rng.integers(len(sources))]
        pool = [clip for clip in self._clips[role] if clip.source == source]
        return pool[self.rng.integers(len(pool))].samples.astype(np.float32) / 32768

    def spoil(self, samples: Sound) -> Sound:
        """Return the mix as some microphone, room and codec would leave it."""
        rng, out = self.rng, samples
        if rng.random() < 0.25:  # noqa: PLR2004
            out = room(rng, out, rng.uniform(0.2, 1.0))
        if rng.random() < 0.3:  # noqa: PLR2004
            out = band(out, float(rng.choice([60, 150, 300])), float(rng.choice([3400, 5000, 6500])))
        if rng.random() < 0.4:  # noqa: PLR2004
            hiss = np.resize(noise(rng, 8.0, rng.uniform(-2, 7)), len(out))
            out = out + hiss * np.sqrt(np.mean(np.square(out))) * 10 ** (-rng.uniform(10, 45) / 20)
        out = out / (np.abs(out).max() + 1e-6) * 10 ** (-float(rng.choice([0, 0, 3, 6, 12, 20, 30])) / 20)
        if rng.random() < 0.12:  # noqa: PLR2004
            out = out * 10 ** (rng.uniform(3, 14) / 20)
        out = np.clip(out, -1, 1).astype(np.float32)
        return coded(out, *CODECS[rng.integers(len(CODECS))])[:SAMPLES] if rng.random() < 0.4 else out  # noqa: PLR2004


def targets(
    teacher: Yamnet, background: Sound, foreground: Sound, named: NDArray[np.float32], absent: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Return what the pupil is to say: the teacher's word on the mix, or on the foreground where that can be heard.

    What is known beforehand goes over the teacher's word.
    """

    def sure(samples: Sound) -> NDArray[np.float32]:
        return 1.0 / (1.0 + np.exp(-teach(teacher, samples)))

    def loudness(samples: Sound) -> NDArray[np.float32]:
        return np.sqrt(np.square(samples).reshape(ROWS, -1).mean(axis=1)) + 1e-6

    alone = sure(foreground)
    believed = (named == GENERATED) | ((named > 0) & (alone > LEAST))
    alone = np.where(believed, np.maximum(alone, NAMED), alone)
    lead_db = 20 * np.log10(loudness(foreground) / loudness(background))
    heard = 1.0 / (1.0 + np.exp(-(lead_db + 4.0) / 1.5))
    out = np.maximum(sure(background + foreground), heard[:, None] * alone)
    out[absent, : len(HIGHLIGHTS)] = np.minimum(out[absent, : len(HIGHLIGHTS)], ABSENT)
    return out


def main() -> None:
    """Write mixes: `x` [2, frames, bands], spoilt twice, and `p` [rows, groups]."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("clips", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    teacher = Yamnet(arguments.model)
    generator = Generator(load_clips(arguments.clips), arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    window = BuiltinTagger.window
    for number in range(arguments.count):
        background, foreground, named, absent = generator.stems()
        gain = np.float32(min(2.0, 0.7 / (np.abs(background + foreground).max() + 1e-6)))
        target = targets(teacher, gain * background, gain * foreground, named, absent)
        spoilt = [generator.spoil(background + foreground) for _ in range(2)]
        spectrograms = [log_mel(np.pad(one, (window.before, window.after))).astype(np.float16) for one in spoilt]
        np.savez(arguments.out / f"{arguments.seed:03d}_{number:04d}.npz", x=spectrograms, p=target.astype(np.float16))


if __name__ == "__main__":
    main()
