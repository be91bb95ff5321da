"""Makes the second and third development sets of sounds that no tagger was taught with: WAV files, and their truth.

    python bench/highlights/second_set.py CLIPS.pickle [--out DIR] [--count 24] [--seed 9000] [--as-they-are]

CLIPS come from `bench/tagger/clips.py`, run over the sources that `bench/tagger/README.md` sets aside. The third set is
made with `--seed 7000 --as-they-are`: no audience of it is put together of single laughs.
"""

import argparse
import json
import sys
import tempfile
import wave
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "tagger"))
import mixes
from clips import load_clips
from sounds import Clip

SECONDS = 300.0
LABELS = {"screaming": "shout", "shouting": "shout"}


def main() -> None:
    """Mix and write the recordings: a show in four, a control in eight, talk otherwise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "big-snuggles-second-set")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--seed", type=int, default=9000)
    parser.add_argument("--as-they-are", action="store_true")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    mixes.GENERATED_SHARE, mixes.GENERATED_NUISANCES, mixes.CROWDS = 0.0, 0.35, not arguments.as_they_are
    clips = [_as_clip(clip) for clip in load_clips(arguments.clips)]
    truth: dict[str, Any] = {}
    for number in range(arguments.count):
        kind = "show" if number % 4 == 0 else "control" if number % 8 == 5 else "talk"  # noqa: PLR2004
        made = getattr(mixes.Mixer(clips, arguments.seed + number), kind)(SECONDS)
        name = f"{number:02d}-{kind}"
        _write(arguments.out / f"{name}.wav", made.samples)
        truth[name] = {
            "file": f"{name}.wav",
            "kind": made.kind,
            "variant": "mix",
            "dur": len(made.samples) / 16_000,
            "events": [asdict(mark) | {"class": mark.label, "sub": ""} for mark in made.events],
            "distractors": [asdict(mark) | {"class": mark.label} for mark in made.nuisances],
        }
    (arguments.out / "truth.json").write_text(json.dumps(truth, default=float))


def _as_clip(clip: Any) -> Clip:
    """Return a clip as the mixer takes it."""
    samples = clip.samples.astype(np.float32) / 32768
    if clip.role in {"speech", "music", "other"}:
        role = "speech" if clip.role == "speech" else "distractor"
        return Clip(role, clip.role, clip.source, clip.source, samples)
    return Clip("event", LABELS.get(clip.role, clip.role), clip.source, clip.source, samples)


def _write(path: Path, samples: Any) -> None:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


if __name__ == "__main__":
    main()
