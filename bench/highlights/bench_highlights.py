"""Prints how well highlights are found on recordings with known truth, ours beside three baselines.

    python bench/highlights/bench_highlights.py [--shared DIR]

DIR holds the recordings, `truth.json` and `score.py` (which says what the columns mean); by default ../shared/audio
beside this repository, or the environment variable SNUGGLES_AUDIO_PACK.
"""

import argparse
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.listening.detect import detect
from pipeline.listening.detection.cues import CUES, extract_cues, smoothed_level_db
from pipeline.listening.listen import Timeline, build_timeline
from pipeline.types import DetectOptions

Predictions = list[dict[str, float]]
Found = dict[str, Predictions]
Truth = dict[str, Any]
DEFAULT_FOLDER = Path(__file__).resolve().parents[3] / "shared" / "audio"
SECONDS_AN_HOUR = 3600.0
BASELINE_S = 4.0
"""How long a baseline's highlight is: about the median event."""
BASELINE_APART_S = 6.0
RULE_WEIGHTS = {"level": 0.15, "unsteady": -0.5, "tonal_low": -2.0, "harmonic": -10.0, "pauses": -2.0}
"""The usual hand-weighted rule: loud, steady, flat, without pitch or pauses."""


def main() -> None:
    """Score every detector and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("SNUGGLES_AUDIO_PACK", DEFAULT_FOLDER)))
    folder = parser.parse_args().shared
    if not (folder / "truth.json").exists():
        sys.exit(f"No recordings with truth in {folder}: give their folder with --shared or SNUGGLES_AUDIO_PACK.")
    truth = json.loads((folder / "truth.json").read_text())
    score = load_scores(folder / "score.py")
    started = time.perf_counter()
    timelines = {name: build_timeline(folder / about["file"]) for name, about in truth.items()}
    listened = time.perf_counter()
    ours = {name: _ours(timeline) for name, timeline in timelines.items()}
    found = time.perf_counter()
    hours = sum(about["dur"] for about in truth.values()) / SECONDS_AN_HOUR
    results: dict[str, Found] = {
        "big snuggles": ours,
        "big snuggles, padded": {name: _ours(timeline, padded=True) for name, timeline in timelines.items()},
        "rule": _all(timelines, _rule),
        "local RMS peaks": _all(timelines, _loud_peaks),
        "random": _all(timelines, _random),
    }
    for kind in ("talk", "show"):
        _print_table(score, truth, results, kind)
    _print_details(score, truth, ours)
    _print_thresholds(score, truth, ours)
    seconds = f"listening {(listened - started) / hours:.2f}, detecting {(found - listened) / hours:.3f}"
    print(f"\nseconds for an hour: {seconds}")
    print(f"command: python bench/highlights/bench_highlights.py --shared {folder.name}")


def load_scores(path: Path) -> ModuleType:
    """Import the pack's own scoring, so that figures are its figures."""
    spec = importlib.util.spec_from_file_location("pack_score", path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path} is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _ours(timeline: Timeline, *, padded: bool = False) -> Predictions:
    return [
        {
            "start": h.start_s if padded else h.core_start_s,
            "end": h.end_s if padded else h.core_end_s,
            "score": h.score,
        }
        for h in detect(timeline, DetectOptions(sensitivity=0.0))
    ]


def _all(timelines: dict[str, Timeline], baseline: Callable[[Timeline], Predictions]) -> Found:
    return {name: sorted(baseline(t), key=lambda p: -p["score"]) for name, t in timelines.items()}


def _random(timeline: Timeline) -> Predictions:
    rng = np.random.default_rng(int(timeline.duration_s * 1000))
    starts = rng.uniform(0, max(1.0, timeline.duration_s - BASELINE_S), 60)
    return [{"start": float(s), "end": float(s) + BASELINE_S, "score": float(rng.random())} for s in starts]


def _loud_peaks(timeline: Timeline) -> Predictions:
    return _peaks(extract_cues(timeline)[:, CUES.index("level")])


def _rule(timeline: Timeline) -> Predictions:
    cues = extract_cues(timeline)
    heard = smoothed_level_db(timeline) > np.quantile(timeline.column("level_db"), 0.1)
    evidence = sum(weight * cues[:, CUES.index(cue)] for cue, weight in RULE_WEIGHTS.items())
    return _peaks(np.where(heard, np.asarray(evidence), -np.inf))


def _peaks(curve: NDArray[np.floating]) -> Predictions:
    """Return intervals around the highest points of a curve, each at least BASELINE_APART_S from a higher one."""
    found: Predictions = []
    left = np.array(curve, dtype=float)
    half = int(BASELINE_S * 5)
    apart = int(BASELINE_APART_S * 10)
    while np.isfinite(left).any() and len(found) < len(curve) // 100:
        row = int(np.argmax(left))
        found.append({"start": (row - half) / 10, "end": (row + half) / 10, "score": float(left[row])})
        left[max(0, row - apart) : row + apart] = -np.inf
    return found


def _cell(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _print_table(
    score: ModuleType, truth: dict[str, Any], results: dict[str, dict[str, Predictions]], kind: str
) -> None:
    ids = [name for name, about in truth.items() if about["kind"] == kind]
    print(f"\n{kind}: {len(ids)} recordings")
    print(f"{'':22}" + "".join(f"{column:>9}" for column in score.COLUMNS))
    for name, predictions in results.items():
        metrics, _ = score.evaluate(truth, predictions, ids)
        cells = [_cell(metrics[column], 1 if "/h" in column else 3) for column in score.COLUMNS]
        print(f"{name:22}" + "".join(f"{cell:>9}" for cell in cells))


def _print_details(score: ModuleType, truth: Truth, ours: Found) -> None:
    """Print what of each class, variant and level was found, and which distractors were taken for highlights."""
    _, recalls = score.evaluate(truth, ours, list(truth))
    for key in ("class", "variant", "snr", "distractor"):
        title = "inside one of the best" if key == "distractor" else "found among the best n"
        print(f"\n{key}, share {title} (count)")
        print("  " + ", ".join(f"{v} {np.mean(b):.2f} ({len(b)})" for v, b in sorted(recalls[key].items())))


def _print_thresholds(score: ModuleType, truth: Truth, ours: Found) -> None:
    """Print what each sensitivity gives over all recordings."""
    print("\nsensitivity   recall  precision  false alarms/h")
    hours = sum(about["dur"] for about in truth.values()) / SECONDS_AN_HOUR
    events = sum(len(about["events"]) for about in truth.values())
    for least in (0.5, 0.7, 0.9):
        hits = misses = 0
        for name, about in truth.items():
            taken = score.match([p for p in ours[name] if p["score"] >= least], about["events"], "centre")
            hits += sum(j >= 0 for j in taken)
            misses += sum(j < 0 for j in taken)
        print(f"{least:11.1f} {hits / events:8.2f} {hits / max(1, hits + misses):10.2f} {misses / hours:15.1f}")
    quiet = [name for name, about in truth.items() if not about["events"]]
    loud = {least: sum(p["score"] >= least for name in quiet for p in ours[name]) for least in (0.5, 0.7, 0.9)}
    print("recordings without highlights: " + ", ".join(f"{count} at {least}" for least, count in loud.items()))


if __name__ == "__main__":
    main()
