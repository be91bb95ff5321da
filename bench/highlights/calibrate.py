"""Prints the evidence from which on half, 70 % and 90 % of moments are right: what `calibration.py` keeps.

    python bench/highlights/calibrate.py SET... [--model PATH] [--shared DIR]

Each SET is a folder with recordings and `truth.json`; every set weighs the same. `score.py` of the shared folder says
what is right.
"""

import argparse
import json
from pathlib import Path
from types import ModuleType

import numpy as np
from bench_highlights import SHARED, load_scores
from numpy.typing import NDArray

from pipeline.listening.detection.calibration import EVIDENCE_AT, PRECISIONS, family, log_odds
from pipeline.listening.detection.scoring import Hearing
from pipeline.listening.listen import Timeline, build_timeline
from pipeline.listening.tagging.load import load_tagger
from pipeline.types import DetectOptions

GRID = np.linspace(-14.0, 8.0, 4401)


def main() -> None:
    """Listen to all sets and print one line for the tagger."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path, nargs="+")
    parser.add_argument("--shared", type=Path, default=SHARED / "audio")
    parser.add_argument("--model", type=Path, default=None)
    arguments = parser.parse_args()
    score, tagger = load_scores(arguments.shared / "score.py"), load_tagger(arguments.model)
    evidence, right, weight = [], [], []
    for folder in arguments.sets:
        truth = json.loads((folder / "truth.json").read_text())
        moments = [
            moment
            for about in truth.values()
            for moment in judged(score, build_timeline(folder / about["file"], tagger=tagger), about["events"])
        ]
        evidence += [value for value, _ in moments]
        right += [is_right for _, is_right in moments]
        weight += [1.0 / len(moments)] * len(moments)
    print(f"{family(tagger.name)}: {knots(np.array(evidence), np.array(right), np.array(weight))}, was {EVIDENCE_AT}")


def judged(score: ModuleType, timeline: Timeline, events: list[dict[str, float]]) -> list[tuple[float, bool]]:
    """Return the evidence of each moment of a recording, and whether it is right."""
    cores = Hearing(timeline, DetectOptions(sensitivity=0.0), ()).cores(0.0)
    found = [{"start": c.rows[0] / 10, "end": c.rows[1] / 10, "score": c.score} for c in cores]
    odds = log_odds(GRID, timeline.tagger)
    scores = np.clip([c.score for c in cores], 1e-9, 1 - 1e-9)
    evidence = np.interp(np.log(scores / (1 - scores)), odds, GRID)
    return list(zip(evidence.tolist(), [j >= 0 for j in score.match(found, events, "centre")], strict=True))


def knots(
    evidence: NDArray[np.float64], right: NDArray[np.bool_], weight: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return the least evidence above which at least these shares of moments are right."""
    order = np.argsort(-evidence)
    precision = np.cumsum(weight[order] * right[order]) / np.cumsum(weight[order])
    least = [float(evidence[order][np.flatnonzero(precision >= p)[-1]]) for p in PRECISIONS]
    return round(least[0], 1), round(least[1], 1), round(least[2], 1)


if __name__ == "__main__":
    main()
