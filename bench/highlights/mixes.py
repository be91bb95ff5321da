"""Mixes recordings with known highlights out of clips and generated sounds, each in a room and a state of its own."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
from nuisances import NUISANCES
from sounds import Clip
from synthetic import (
    RATE,
    Sound,
    band,
    calls,
    claps,
    crowd,
    exclamation,
    laugh,
    noise,
    room,
    scream,
    stretch,
    unit,
)

SPEECH_RMS = 0.08
"""-22 dBFS: where speech usually is recorded."""
GENERATED_SHARE = 0.4
"""How many events are generated rather than taken from clips: no free recordings have their variety."""
GENERATED_NUISANCES = 0.6
"""The same for nuisances, of which clips are mostly short."""
CROWDS = True
"""Whether audiences are put together of single laughs; else clips stay as they are."""
CONFUSABLE = {"rain": 6, "siren": 2}
"""What is taken for an audience most easily comes this many times as often as the others."""
_NUISANCE_SHARES = np.array([CONFUSABLE.get(name, 1) for name in sorted(NUISANCES)], dtype=float)
_NUISANCE_SHARES /= _NUISANCE_SHARES.sum()


@dataclass
class Mark:
    """Something placed in a mix."""

    start: float
    end: float
    label: str
    source: str
    snr: float


@dataclass
class Mix:
    """A recording at 16 kHz with its truth."""

    kind: str
    samples: Sound
    events: list[Mark] = field(default_factory=list)
    nuisances: list[Mark] = field(default_factory=list)


class Mixer:
    """Makes mixes from `clips`; the same seed gives the same mix."""

    def __init__(self, clips: Sequence[Clip], seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self._by_role: dict[str, dict[str, list[Clip]]] = {}
        for clip in clips:
            key = clip.label if clip.role == "event" else clip.source
            self._by_role.setdefault(clip.role, {}).setdefault(key, []).append(clip)
        self._laughs = [laugh(self.rng) for _ in range(60)]
        self._calls = [calls(self.rng) for _ in range(40)]

    def talk(self, seconds: float) -> Mix:
        """One to three speakers with pauses; now and then an event or a nuisance, over them or in between."""
        mix = self._bed(seconds, "talk", pause_s=self.rng.uniform(0.15, 0.8))
        has_events = self.rng.random() > 0.15  # noqa: PLR2004 - some recordings have no highlights
        at = self.rng.uniform(8, 20)
        while at < seconds - 10:
            is_event = has_events and self.rng.random() < 0.5  # noqa: PLR2004 - as many nuisances as events
            level = float(self.rng.choice([-3, 0, 3, 6, 12]))
            if is_event:
                end = self._place(mix, at, *self._event(), snr=level, duck=self.rng.random() < 0.5)  # noqa: PLR2004
            else:
                end = self._nuisance(mix, at, max(level, 0.0))
            at = end + self.rng.uniform(8, 26)
        return self._finished(mix)

    def show(self, seconds: float) -> Mix:
        """Dense talk before an audience that is no louder than the talk, with a murmur and music between scenes."""
        mix = self._bed(seconds, "show", pause_s=self.rng.uniform(0.1, 0.4))
        if self.rng.random() < 0.5:  # noqa: PLR2004 - half of the halls are never quiet
            self._add_bed(
                mix, crowd(self.rng, [self._utterance() for _ in range(10)], 20.0), self.rng.uniform(-26, -12)
            )
        at = self.rng.uniform(5, 15)
        while at < seconds - 8:
            if self.rng.random() < 0.85:  # noqa: PLR2004 - what else there is, is a nuisance
                event = self._event(audience=True)
                level = self.rng.uniform(-6, 4)
                end = self._place(mix, at, *event, snr=level, duck=self.rng.random() < 0.5)  # noqa: PLR2004 - half
            else:
                end = self._nuisance(mix, at, self.rng.uniform(-6, 3))
            at = end + self.rng.uniform(3, 20)
        return self._finished(mix)

    def control(self, seconds: float) -> Mix:
        """Talk in which something loud happens again and again, and nothing of it is a highlight."""
        mix = self._bed(seconds, "talk", pause_s=self.rng.uniform(0.15, 0.8))
        at = self.rng.uniform(2, 8)
        while at < seconds - 10:
            end = self._nuisance(mix, at, float(self.rng.choice([0, 3, 6, 12])))
            at = end + self.rng.uniform(3, 9)
        return self._finished(mix)

    def _bed(self, seconds: float, kind: str, pause_s: float) -> Mix:
        """Lay speech and ambience."""
        count = int(seconds * RATE)
        samples = np.zeros(count, dtype=np.float32)
        voices = self.rng.choice(sorted(self._by_role["speech"]), self.rng.integers(1, 4))
        speeds = self.rng.uniform(0.92, 1.1, len(voices))
        levels = 10 ** (self.rng.normal(0, 1.5, len(voices)) / 20)
        at, who = int(self.rng.uniform(0, 2) * RATE), 0
        while at < count:
            if self.rng.random() < 0.3:  # noqa: PLR2004 - a turn lasts three utterances or so
                who = int(self.rng.integers(len(voices)))
            words = stretch(self._utterance(voices[who]), speeds[who]) * np.float32(SPEECH_RMS * levels[who])
            samples[at : at + len(words)] += words[: count - at]
            long_pause = self.rng.random() < 0.08  # noqa: PLR2004 - somebody thinks
            at += len(words) + int(RATE * (self.rng.uniform(1.5, 5) if long_pause else self.rng.exponential(pause_s)))
        mix = Mix(kind, samples)
        self._add_bed(mix, noise(self.rng, 20.0, self.rng.uniform(0, 7)), self.rng.uniform(-60, -25))
        if self.rng.random() < 0.35 and "bed" in self._by_role:  # noqa: PLR2004 - rooms with life, music, machines
            beds = [clip for group in self._by_role["bed"].values() for clip in group]
            self._add_bed(mix, beds[self.rng.integers(len(beds))].samples, self.rng.uniform(-30, -10))
        elif self.rng.random() < 0.35:  # noqa: PLR2004
            start, stop = np.sort(self.rng.uniform(0, seconds, 2))
            self._add_bed(mix, self._state(), self.rng.uniform(-26, -8), start, stop)
        return mix

    def _state(self) -> Sound:
        """Return something that goes on for minutes: music, a machine, weather."""
        music = [c for group in self._by_role["distractor"].values() for c in group if c.label == "music"]
        if music and self.rng.random() < 0.5:  # noqa: PLR2004 - half of it is music
            return music[self.rng.integers(len(music))].samples
        return NUISANCES[str(self.rng.choice(["music", "rain", "engine", "noise", "wind", "machine", "train"]))](
            self.rng
        )

    def _utterance(self, voice: str | None = None) -> Sound:
        group = self._by_role["speech"][voice or str(self.rng.choice(sorted(self._by_role["speech"])))]
        return unit(group[self.rng.integers(len(group))].samples)

    def _add_bed(self, mix: Mix, samples: Sound, level_db: float, start_s: float = 0.0, stop_s: float = np.inf) -> None:
        """Loop a sound under a stretch of the mix, at a level relative to the speech."""
        first, last = int(start_s * RATE), int(min(stop_s * RATE, len(mix.samples)))
        if last - first < RATE or len(samples) < RATE // 2:
            return
        looped = np.resize(unit(samples), last - first) * np.float32(SPEECH_RMS * 10 ** (level_db / 20))
        mix.samples[first:last] += looped

    def _event(self, *, audience: bool = False) -> tuple[Sound, str, str]:
        """Return an event with its class and source."""
        rng = self.rng
        labels = ("laughter", "applause", "cheering", "shout")
        label = str(rng.choice(labels, p=(0.75, 0.15, 0.1, 0.0) if audience else (0.4, 0.2, 0.2, 0.2)))
        clips = self._by_role["event"].get(label, [])
        generated = not clips or rng.random() < GENERATED_SHARE
        source = "generated" if generated else self._source(clips)
        of_source = [c.samples for c in clips if c.source == source]
        if label == "laughter":
            pool = self._laughs if generated else of_source
            samples = self._laughter(pool, audience=audience)
        elif label == "applause":
            samples = claps(rng, self._crowd_s()) if generated else self._varied(of_source)
        elif label == "cheering":
            samples = self._cheering() if generated else self._varied(of_source)
        elif generated:
            samples = scream(rng) if rng.random() < 0.5 else exclamation(rng)  # noqa: PLR2004 - as many of each
        else:
            samples = self._varied(of_source)
        longest = 2.5 if label == "shout" else 20.0
        return self._shaped(samples[: int(longest * RATE)]), label, source

    def _crowd_s(self) -> float:
        """Return how long a crowd goes on: some seconds, or, at the end of a talk, many."""
        return float(self.rng.uniform(7, 20) if self.rng.random() < 0.1 else self.rng.uniform(1.5, 7))  # noqa: PLR2004

    def _cheering(self) -> Sound:
        """Return voices, half of the time with hands."""
        seconds = self._crowd_s()
        voices = crowd(self.rng, self._calls, seconds)
        if self.rng.random() < 0.5:  # noqa: PLR2004
            return voices
        hands = claps(self.rng, seconds)[: len(voices)]
        return unit(voices + np.float32(10 ** (self.rng.uniform(-9, 3) / 20)) * hands)

    def _source(self, clips: list[Clip]) -> str:
        return str(self.rng.choice(sorted({clip.source for clip in clips})))

    def _laughter(self, pool: list[Sound], *, audience: bool) -> Sound:
        if CROWDS and (audience or self.rng.random() < 0.6):  # noqa: PLR2004 - an audience more often than one person
            return crowd(self.rng, pool, self.rng.uniform(1.0, 5.5))
        one = pool[self.rng.integers(len(pool))]
        while len(one) < self.rng.uniform(1.0, 2.5) * RATE:
            one = np.concatenate((one, stretch(pool[self.rng.integers(len(pool))], self.rng.uniform(0.95, 1.1))))
        return one

    def _varied(self, pool: list[Sound]) -> Sound:
        """Return a clip, or a part of it, or two after or over each other."""
        one = pool[self.rng.integers(len(pool))]
        if len(one) > 3 * RATE:
            length = int(self.rng.uniform(1.2 * RATE, len(one)))
            start = int(self.rng.uniform(0, len(one) - length))
            one = one[start : start + length]
        elif len(one) < 0.8 * RATE:
            one = np.concatenate((one, pool[self.rng.integers(len(pool))]))
        return stretch(one, self.rng.uniform(0.85, 1.18))

    def _shaped(self, samples: Sound) -> Sound:
        """Fade the edges, tilt the spectrum, and sometimes put the sound into a room of its own."""
        rng = self.rng
        out = unit(samples).copy()
        fade = min(len(out) // 4, int(rng.uniform(0.02, 0.4) * RATE))
        out[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
        out[len(out) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        spectrum = np.fft.rfft(out)
        octaves = np.log2(np.maximum(np.fft.rfftfreq(len(out), 1 / RATE), 60.0) / 1000.0)
        curve = rng.normal(0, 1.5) * octaves + 4 * np.sin(octaves * rng.uniform(0.5, 2) + rng.uniform(0, 6))
        out = np.fft.irfft(spectrum * 10 ** (curve / 20), len(out)).astype(np.float32)
        if rng.random() < 0.4:  # noqa: PLR2004 - the event is further from the microphone
            out = room(rng, out, rng.uniform(0.2, 1.5))
        return unit(out)

    def _nuisance(self, mix: Mix, at_s: float, level_db: float) -> float:
        """Place something loud that is no highlight; return when it ends."""
        rng = self.rng
        is_alone = rng.random() < 0.5  # noqa: PLR2004 - as often as reactions: a pause in the talk tells nothing
        roll = rng.random()
        if roll < 0.12:  # noqa: PLR2004 - the speaker comes closer, or the microphone overloads
            return self._louder(mix, at_s)
        if roll < GENERATED_NUISANCES:
            name = str(rng.choice(sorted(NUISANCES), p=_NUISANCE_SHARES))
            samples = self._shaped(NUISANCES[name](rng))
            return self._place(mix, at_s, samples, name, "generated", snr=level_db, duck=is_alone, is_event=False)
        groups = self._by_role["distractor"]
        group = groups[str(rng.choice(sorted(groups)))]
        clip = group[rng.integers(len(group))]
        samples = clip.samples
        run_s = rng.uniform(0.5, 8) if rng.random() < 0.6 else 0.0  # noqa: PLR2004 - most short ones come in runs
        while len(clip.samples) < 1.5 * RATE and len(samples) < run_s * RATE:
            again = group[rng.integers(len(group))].samples if rng.random() < 0.5 else clip.samples  # noqa: PLR2004
            samples = np.concatenate((samples, np.zeros(rng.integers(RATE // 20, RATE // 3), np.float32), again))
        samples = self._shaped(stretch(samples[: 8 * RATE], rng.uniform(0.85, 1.18)))
        return self._place(mix, at_s, samples, clip.label, clip.source, snr=level_db, duck=is_alone, is_event=False)

    def _louder(self, mix: Mix, at_s: float) -> float:
        seconds = self.rng.uniform(3, 8)
        part = mix.samples[int(at_s * RATE) : int((at_s + seconds) * RATE)]
        part *= np.float32(10 ** (self.rng.uniform(6, 14) / 20))
        if self.rng.random() < 0.5:  # noqa: PLR2004 - half of them clip
            top = np.float32(np.abs(part).max() * self.rng.uniform(0.1, 0.4) + 1e-6)
            np.clip(part, -top, top, out=part)
        mix.nuisances.append(Mark(at_s, at_s + seconds, "louder", "generated", 0.0))
        return float(at_s + seconds)

    def _place(  # noqa: PLR0913 - what, where, and how loud
        self,
        mix: Mix,
        at_s: float,
        samples: Sound,
        label: str,
        source: str,
        *,
        snr: float,
        duck: bool = False,
        is_event: bool = True,
    ) -> float:
        """Add a sound to the mix over what is there, or instead of it; return when it ends."""
        first = int(at_s * RATE)
        samples = samples[: len(mix.samples) - first]
        last = first + len(samples)
        if duck:
            margin = int(0.2 * RATE)
            mix.samples[max(0, first - margin) : last + margin // 2] *= np.float32(
                10 ** (-self.rng.uniform(20, 50) / 20)
            )
        power = np.square(samples)
        loudest = np.sqrt(np.mean(power[power >= np.quantile(power, 0.3)]))
        mix.samples[first:last] += samples * np.float32(SPEECH_RMS * 10 ** (snr / 20) / (loudest + 1e-9))
        marks = mix.events if is_event else mix.nuisances
        marks.append(Mark(at_s, at_s + len(samples) / RATE, label, source, snr))
        return marks[-1].end

    def _finished(self, mix: Mix) -> Mix:
        """Put the whole mix through a microphone, a room, a gain that moves, and a codec, or some of these."""
        rng, samples = self.rng, mix.samples
        if rng.random() < 0.3:  # noqa: PLR2004
            samples = room(rng, samples, rng.uniform(0.2, 1.0))
        if rng.random() < 0.25:  # noqa: PLR2004
            samples = band(samples, rng.choice([60, 150, 300]), rng.choice([3400, 5000, 6500]))
        t = np.arange(len(samples)) / RATE
        roll = rng.random()
        if roll < 0.3:  # noqa: PLR2004
            gain_db = np.zeros(len(samples))
            for start_s in rng.uniform(0.1, 0.9, rng.integers(1, 5)) * t[-1]:
                gain_db += rng.uniform(-14, 14) * (t > start_s)
            samples = samples * 10 ** (np.clip(gain_db, -20, 20) / 20)
        elif roll < 0.4:  # noqa: PLR2004
            samples = samples * 10 ** (rng.uniform(2, 8) * np.sin(2 * np.pi * t / rng.uniform(30, 200)) / 20)
        elif roll < 0.5:  # noqa: PLR2004
            samples = _levelled(samples, rng.uniform(0.3, 0.8))
        if rng.random() < 0.15:  # noqa: PLR2004
            samples = samples + rng.uniform(0.01, 0.1) + 0.01 * np.sin(2 * np.pi * 50 * t)
        samples = samples * 10 ** (rng.choice([-24, -12, -6, 0, 0, 6, 12]) / 20)
        samples = np.clip(samples, -1, 1).astype(np.float32)
        if rng.random() < 0.6:  # noqa: PLR2004
            samples = coded(samples, *CODECS[rng.integers(len(CODECS))])
        mix.samples = samples[: len(mix.samples)]
        return mix


CODECS: list[tuple[str, str, int]] = [
    ("libopus", "ogg", 16_000),
    ("libopus", "ogg", 32_000),
    ("aac", "adts", 48_000),
    ("aac", "adts", 96_000),
    ("libmp3lame", "mp3", 48_000),
]
"""What recordings are kept in: encoder, container, bits a second."""


def _levelled(samples: Sound, strength: float) -> Sound:
    """Do what an automatic level control does: pull levels over half a second towards the usual."""
    block = RATE // 4
    count = len(samples) // block
    levels = np.sqrt(np.mean(np.square(samples[: count * block].reshape(count, block)), axis=1)) + 1e-4
    smooth = np.convolve(levels, np.ones(3) / 3, mode="same")
    gain = (np.median(smooth) / np.maximum(smooth, np.median(smooth) / 4)) ** strength
    return np.asarray(samples * np.interp(np.arange(len(samples)), (np.arange(count) + 0.5) * block, gain), np.float32)


def coded(samples: Sound, codec: str, container: str, bit_rate: int) -> Sound:
    """Encode and decode again, as long as before."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream: Any = out.add_stream(codec, rate=RATE)
        stream.bit_rate, stream.layout = bit_rate, "mono"
        for first in range(0, len(samples), RATE):
            frame = av.AudioFrame.from_ndarray(samples[None, first : first + RATE], format="flt", layout="mono")
            frame.sample_rate, frame.pts = RATE, first
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    file.seek(0)
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    parts: list[Sound] = []
    with av.open(file) as source:
        for frame in source.decode(audio=0):
            frame.pts = None
            parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
    decoded = np.concatenate(parts)
    return np.pad(decoded, (0, max(0, len(samples) - len(decoded))))
