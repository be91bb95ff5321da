"""Reports how well the highlight model carries over: to other recordings, to sources it was not fitted on, to the pack.

    python bench/highlights/report.py [--work DIR] [--shared DIR] [--mixes N]

Needs the mixes of `bench/highlights/fit.py --mix`, and the recordings with truth that `bench_highlights.py` uses.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
from bench_highlights import DEFAULT_FOLDER, load_scores
from fit import Example, Predictions, example, fit_model, load_examples, predict
from sounds import PACK_SOURCES

from pipeline.listening.detection.model import Model
from pipeline.listening.listen import build_timeline

FOLDS = 4
FOUND_SCORE = 0.5


def main() -> None:
    """Print the three reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "big-snuggles-fit")
    parser.add_argument("--shared", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--mixes", type=int, default=None, help="use only the first N mixes")
    arguments = parser.parse_args()
    score = load_scores(arguments.shared / "score.py")
    examples = load_examples(arguments.work / "mixes")[: arguments.mixes]
    pack = _load_pack(arguments.shared)
    print(f"{len(examples)} mixes")
    _report(score, pack, fit_model(examples), "the pack")
    _report(score, pack, fit_model(examples, PACK_SOURCES), "the pack, its sources left out of the fit")
    _report_folds(score, examples)
    _report_sources(examples)


def _load_pack(folder: Path) -> list[Example]:
    truth = json.loads((folder / "truth.json").read_text())
    return [example(about, build_timeline(folder / about["file"])) for about in truth.values()]


def _report(score: ModuleType, examples: Sequence[Example], model: Model, title: str) -> None:
    _print_scores(score, examples, [predict(model, e) for e in examples], title)


def _print_scores(score: ModuleType, examples: Sequence[Example], found: Sequence[Predictions], title: str) -> None:
    truth = {str(i): e.truth for i, e in enumerate(examples)}
    predictions = {str(i): p for i, p in enumerate(found)}
    print(title)
    for kind in ("talk", "show"):
        ids = [i for i, about in truth.items() if about["kind"] == kind]
        metrics, _ = score.evaluate(truth, predictions, ids)
        alarms = metrics["FA/h@R50"]
        alarms_text = "-" if alarms is None else f"{alarms:.1f}"
        print(f"  {kind} mAP {metrics['mAP']:.3f}, tIoU {metrics['mAP_tiou']:.3f}, false alarms/h {alarms_text}")


def _report_folds(score: ModuleType, examples: Sequence[Example]) -> None:
    """Fit on three quarters of the mixes, predict the others."""
    found: dict[int, Predictions] = {}
    for fold in range(FOLDS):
        model = fit_model([e for i, e in enumerate(examples) if i % FOLDS != fold])
        found |= {i: predict(model, e) for i, e in enumerate(examples) if i % FOLDS == fold}
    _print_scores(score, examples, [found[i] for i in range(len(examples))], "mixes, each by a model without it")


def _report_sources(examples: Sequence[Example]) -> None:
    """Print for each source of events what is found of it, fitted with and without it."""
    sources = sorted({event["source"] for e in examples for event in e.truth["events"]})
    whole = fit_model(examples)
    print(f"events found with a score of {FOUND_SCORE} or more: fitted with their source, without it (count)")
    for source in sources:
        without = fit_model(examples, frozenset({source}))
        known, unknown = _share_found(examples, whole, source), _share_found(examples, without, source)
        count = sum(event["source"] == source for e in examples for event in e.truth["events"])
        print(f"  {source:24} {known:.2f} {unknown:.2f} ({count})")


def _share_found(examples: Sequence[Example], model: Model, source: str) -> float:
    hits = []
    for e in examples:
        events = [event for event in e.truth["events"] if event["source"] == source]
        found = [p for p in predict(model, e) if p["score"] >= FOUND_SCORE] if events else []
        for event in events:
            middle = (event["start"] + event["end"]) / 2
            hits.append(any(p["start"] <= middle <= p["end"] for p in found))
    return float(np.mean(hits))


if __name__ == "__main__":
    main()
