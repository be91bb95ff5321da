"""Collects sounds for teaching: decodes files, leaves copies out, and asks YAMNet what each one holds.

    python bench/tagger/clips.py MODEL.tflite OUT.pickle FOLDER...

Each FOLDER is one source: an unpacked package or a checked-out repository.
"""

import pickle
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.listening.tagging.tagger import GROUPS, HIGHLIGHTS, ROW_SAMPLES
from pipeline.listening.tagging.yamnet import Yamnet, group_logits

RATE = 16_000
LONGEST_S = 25
MOST_FILES = 260
"""Of one source: none may drown the others."""
NAMES = {
    "laughter": r"laugh|giggl|chuckl|haha|snicker|lach|risa|rire|cackle",
    "applause": r"appla|clap|ovation",
    "cheering": r"cheer|crowd|hooray|hurra|yay|audience|stadium|woohoo|goal",
    "screaming": r"scream|aaah|shriek|wilhelm",
    "shouting": r"shout|yell|gasp|ouch|nooo",
}
"""What a file's name must say to count as a highlight."""
SAME_LENGTH = 0.08
"""Copies differ in length by no more than this (ln)."""
AGREEMENT, FOUND = 0.05, 0.5
"""How sure YAMNet must be of a name, and from when on it needs none."""


@dataclass(frozen=True)
class Clip:
    """A sound at full scale: where it is from, what it is (a group, `speech`, `music` or `other`), its samples."""

    source: str
    role: str
    samples: NDArray[np.int16]
    spectrum_db: NDArray[np.float64]


def main() -> None:
    """Read all folders and write the clips."""
    tagger = Yamnet(Path(sys.argv[1]))
    clips: list[Clip] = []
    for folder in map(Path, sys.argv[3:]):
        for path in sorted(
            p for p in folder.rglob("*") if p.suffix.lower() in {".ogg", ".wav", ".mp3", ".flac", ".m4a"}
        )[:MOST_FILES]:
            clip = _read(folder.name, path, tagger)
            if clip is not None and not any(_same(clip, other) for other in clips):
                clips.append(clip)
    with Path(sys.argv[2]).open("wb") as out:
        pickle.dump(clips, out)
    print(f"{len(clips)} clips of {len({clip.source for clip in clips})} sources")


def _read(source: str, path: Path, tagger: Yamnet) -> Clip | None:
    samples = _decode(path)
    if samples is None:
        return None
    sure = 1.0 / (1.0 + np.exp(-teach(tagger, samples * np.float32(0.5))))
    windows = samples[: len(samples) // 512 * 512].reshape(-1, 512)
    power = np.square(np.abs(np.fft.rfft(windows * np.hanning(512), axis=1))).mean(axis=0)[1:]
    bands = np.add.reduceat(power, np.unique(np.geomspace(1, 220, 25).astype(int)) - 1)
    spectrum_db = 10 * np.log10(bands / bands.max() + 1e-5)
    return Clip(source, _role(path.stem.lower(), sure), (samples * 32_000).astype(np.int16), spectrum_db)


def teach(tagger: Yamnet, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return YAMNet's own logits [rows, GROUPS] of a sound."""
    window = tagger.window
    count = -(-len(samples) // ROW_SAMPLES)
    blocks = -(-count // window.rows)
    padded = np.zeros(window.samples + (blocks - 1) * window.rows * ROW_SAMPLES, dtype=np.float32)
    padded[window.before : window.before + len(samples)] = samples[: len(padded) - window.before]
    starts = (block * window.rows * ROW_SAMPLES for block in range(blocks))
    scores = np.concatenate([tagger.scores(padded[start : start + window.samples]) for start in starts])
    return group_logits(scores[:count])


def _decode(path: Path) -> NDArray[np.float32] | None:
    try:
        with av.open(str(path)) as container:
            samples = np.concatenate([*_frames(container)]) if container.streams.audio else np.empty(0, np.float32)
    except (av.error.FFmpegError, ValueError):
        return None
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max(initial=0.0))
    if len(loud) < RATE // 8:
        return None
    samples = samples[loud[0] : loud[-1] + 1]
    return np.asarray(samples / np.abs(samples).max(), dtype=np.float32)


def _frames(container: "av.container.InputContainer") -> Iterator[NDArray[np.float32]]:
    resampler, count = av.AudioResampler(format="flt", layout="mono", rate=RATE), 0
    for frame in container.decode(audio=0):
        frame.pts = None
        for part in resampler.resample(frame):
            yield part.to_ndarray()[0]
            count += part.samples
        if count > LONGEST_S * RATE:
            return


def _role(name: str, sure: NDArray[np.float32]) -> str:
    most, usual = sure.max(axis=0), sure.mean(axis=0)
    for group, pattern in NAMES.items():
        if re.search(pattern, name):
            return group if most[GROUPS.index(group)] > AGREEMENT else "unclear"
    if most[: len(HIGHLIGHTS)].max() > FOUND:
        return HIGHLIGHTS[int(most[: len(HIGHLIGHTS)].argmax())]
    return next((role for role in ("speech", "music") if usual[GROUPS.index(role)] > FOUND), "other")


def _same(one: Clip, other: Clip) -> bool:
    """Say whether two clips are copies, whatever they were coded with."""
    longer = abs(np.log(len(one.samples) / len(other.samples)))
    return bool(longer < SAME_LENGTH and np.sqrt(np.mean(np.square(one.spectrum_db - other.spectrum_db))) < 1.0)


if __name__ == "__main__":
    main()
