"""Collects sounds for teaching: decodes files, leaves copies out, and asks YAMNet what each one holds.

    python bench/tagger/clips.py MODEL.tflite OUT.pickle FOLDER... [--without CLIPS.pickle ...]

Each FOLDER is one source: an unpacked package or the sound files of a checked-out repository. Sounds that are in one
of the other collections too are left out, so that what measures was not heard in training.
"""

import argparse
import pickle
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.listening.tagging.tagger import GROUPS, HIGHLIGHTS, ROW_SAMPLES
from pipeline.listening.tagging.yamnet import Yamnet, group_logits

RATE = 16_000
LONGEST_S = 20
MOST_FILES = 150
"""Of one source: none may drown the others."""
SUFFIXES = {".ogg", ".oga", ".wav", ".mp3", ".flac", ".m4a"}
NAMES = {
    "laughter": r"laugh|giggl|chuckl|haha|snicker|lach|risa|rire|cackle",
    "applause": r"appla|clap|ovation",
    "cheering": r"cheer|crowd|hooray|hurra|yay|audience|stadium|woohoo|goal",
    "screaming": r"scream|aaah|shriek|wilhelm",
    "shouting": r"shout|yell|gasp|ouch|nooo",
}
"""What a file's name must say to count as a highlight."""
TEXTURE = (
    r"rain|shower|storm|thunder|surf|ocean|river|waterfall|wave|frying|sizzl|boil|campfire|fireplace|bonfire|wind(?!ow)"
    r"|vacuum|engine|motor|train|siren|alarm|whistle|drill|chainsaw|typing|keyboard|static|noise|traffic|helicopter"
)
"""What it says where no audience is heard, however much it sounds like one."""
TEXTURE_GROUPS = ("alarm", "whistle", "weather", "machine", "impact", "animal")
SAME_LENGTH = 0.08
"""Copies differ in length by no more than this (ln)."""
SAME_SPECTRUM_DB = 1.0
AGREEMENT, FOUND, DOUBT = 0.05, 0.5, 0.2
"""How sure YAMNet must be of a name, from when on it needs none, and from when on it may doubt a texture's."""


class Clip(NamedTuple):
    """A sound at full scale: where it is from, what it is (a group, `texture`, `speech`, `music`, `other`), samples."""

    source: str
    role: str
    samples: NDArray[np.int16]
    spectrum_db: NDArray[np.float64]


@dataclass
class Known:
    """Sounds that were met before, to tell copies by."""

    lengths: list[float] = field(default_factory=list)
    spectra: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, clip: Clip) -> bool:
        """Return whether a clip is new, whatever its copies were coded with; from now on it is known."""
        length = float(np.log(len(clip.samples)))
        near = np.flatnonzero(np.abs(np.array(self.lengths) - length) < SAME_LENGTH)
        if any(np.sqrt(np.mean(np.square(clip.spectrum_db - self.spectra[i]))) < SAME_SPECTRUM_DB for i in near):
            return False
        self.lengths.append(length)
        self.spectra.append(clip.spectrum_db)
        return True


def main() -> None:
    """Read all folders and write the clips."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--without", type=Path, nargs="*", default=[])
    arguments = parser.parse_args()
    known = Known()
    for collection in arguments.without:
        for clip in load_clips(collection):
            known.add(clip)
    files = [(folder.name, path) for folder in arguments.folders for path in _files(folder)]
    with ProcessPoolExecutor(max_workers=2) as pool:
        found = pool.map(_read, repeat(arguments.model), *zip(*files, strict=True), chunksize=16)
        clips = [clip for clip in found if clip is not None and known.add(clip)]
    arguments.out.write_bytes(pickle.dumps([tuple(clip) for clip in clips]))
    print(f"{len(clips)} clips of {len({clip.source for clip in clips})} sources")


def load_clips(path: Path) -> list[Clip]:
    """Return the clips of a file that this script wrote."""
    return [Clip(*clip) for clip in pickle.loads(path.read_bytes())]  # noqa: S301 - our own file


def _files(folder: Path) -> list[Path]:
    """Return the sounds of a source, evenly thinned out."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return paths[:: -(-len(paths) // MOST_FILES)] if paths else []


@cache
def _teacher(model: Path) -> Yamnet:
    return Yamnet(model)


def _read(model: Path, source: str, path: Path) -> Clip | None:
    samples = _decode(path)
    if samples is None:
        return None
    sure = 1.0 / (1.0 + np.exp(-teach(_teacher(model), samples * np.float32(0.5))))
    windows = samples[: len(samples) // 512 * 512].reshape(-1, 512)
    power = np.square(np.abs(np.fft.rfft(windows * np.hanning(512), axis=1))).mean(axis=0)[1:]
    bands = np.add.reduceat(power, np.unique(np.geomspace(1, 220, 25).astype(int)) - 1)
    spectrum_db = 10 * np.log10(bands / bands.max() + 1e-5)
    return Clip(source, _role(path.stem.lower(), sure), (samples * 32_000).astype(np.int16), spectrum_db)


def teach(tagger: Yamnet, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return YAMNet's own logits [rows, GROUPS] of a sound."""
    window = tagger.window
    count = -(-len(samples) // ROW_SAMPLES)
    padded = np.zeros(window.before + count * ROW_SAMPLES + window.after, dtype=np.float32)
    padded[window.before : window.before + len(samples)] = samples
    return group_logits(tagger.scores(padded))


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
    highlight = most[: len(HIGHLIGHTS)].max()
    if re.search(TEXTURE, name) and not any(re.search(pattern, name) for pattern in NAMES.values()):
        other = max(most[GROUPS.index(group)] for group in TEXTURE_GROUPS)
        return "texture" if highlight < DOUBT or highlight < other else "unclear"
    for group, pattern in NAMES.items():
        if re.search(pattern, name):
            return group if most[GROUPS.index(group)] > AGREEMENT else "unclear"
    if highlight > FOUND:
        return HIGHLIGHTS[int(most[: len(HIGHLIGHTS)].argmax())]
    return next((role for role in ("speech", "music") if usual[GROUPS.index(role)] > FOUND), "other")


if __name__ == "__main__":
    main()
