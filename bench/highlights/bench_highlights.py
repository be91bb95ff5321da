"""Prints how well highlights are found on recordings with known truth: every detector side by side, on all sets.

    python bench/highlights/bench_highlights.py [--shared DIR] [--second DIR] [--third DIR] [--model PATH]

Each DIR holds recordings and `truth.json`; `score.py` of the first says what the columns mean. By default the first is
../shared/audio beside this repository (or SNUGGLES_AUDIO_PACK), and the others what `bench/highlights/second_set.py`
makes. PATH is a YAMNet export, by default ../shared/models/yamnet.tflite; without it only the built-in tagger listens.
"""

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray
from previous.predict import predict as predict_before

from pipeline.listening.detect import detect
from pipeline.listening.detection.measures import measure
from pipeline.listening.listen import Timeline, build_timeline
from pipeline.listening.tagging.load import load_tagger
from pipeline.listening.tagging.tagger import HIGHLIGHTS, ROW_S, Tagger
from pipeline.listening.tagging.yamnet import SHARE
from pipeline.types import DetectOptions

Predictions = list[dict[str, float]]
Found = dict[str, Predictions]
Truth = dict[str, Any]
SHARED = Path(__file__).resolve().parents[3] / "shared"
SECOND = Path(tempfile.gettempdir()) / "big-snuggles-second-set"
THIRD = Path(tempfile.gettempdir()) / "big-snuggles-third-set"
SECONDS_AN_HOUR = 3600.0
BASELINE_S = 4.0
"""How long a baseline's highlight is: about the median event."""
BASELINE_APART_S = 6.0
RULE_WEIGHTS = {"level": 0.15, "unsteady": -0.5, "tonal_low": -2.0, "harmonic": -10.0, "pauses": -2.0}
"""The usual hand-weighted rule: loud, steady, flat, without pitch or pauses."""
RESAMPLES = 1000
"""Bootstrap samples of recordings."""
COLUMNS = ("mAP", "mAP_tiou", "FA/h@R50")


def main() -> None:
    """Score every detector on all sets and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    pack = Path(os.environ.get("SNUGGLES_AUDIO_PACK", SHARED / "audio"))
    parser.add_argument("--shared", type=Path, default=pack)
    parser.add_argument("--second", type=Path, default=SECOND)
    parser.add_argument("--third", type=Path, default=THIRD)
    parser.add_argument("--model", type=Path, default=SHARED / "models" / "yamnet.tflite")
    arguments = parser.parse_args()
    if not (arguments.shared / "truth.json").exists():
        sys.exit(f"No recordings with truth in {arguments.shared}: give their folder with --shared.")
    score = load_scores(arguments.shared / "score.py")
    model = arguments.model if arguments.model.exists() else None
    for folder in (arguments.shared, arguments.second, arguments.third):
        if (folder / "truth.json").exists():
            _report(score, folder, model)
        else:
            print(f"\nno set in {folder}: make it with bench/highlights/second_set.py")


def _report(score: ModuleType, folder: Path, model: Path | None) -> None:
    truth = json.loads((folder / "truth.json").read_text())
    builtin = _listen(folder, truth, load_tagger())
    results: dict[str, Found] = {
        "local RMS peaks": _all(builtin, _loud_peaks),
        "ebur128 peaks": {name: _loudness_peaks(folder / about["file"]) for name, about in truth.items()},
        "rule": _all(builtin, _rule),
        "before taggers": _all(builtin, predict_before),
    }
    if model is not None:
        both = _listen(folder, truth, load_tagger(model))
        alone = {name: _yamnet_alone(both[name], builtin[name]) for name in truth}
        results["YAMNet alone"] = _all(alone, _tag_peaks)
        results["ours, built-in"] = _all(builtin, _ours)
        results["ours, with YAMNet"] = _all(both, _ours)
    else:
        results["ours, built-in"] = _all(builtin, _ours)
    hours = sum(about["dur"] for about in truth.values()) / SECONDS_AN_HOUR
    print(f"\n== {folder.name}: {len(truth)} recordings, {hours:.1f} h", flush=True)
    for kind in ("talk", "show"):
        _print_table(score, truth, results, kind)
    for name in [name for name in results if name.startswith("ours")]:
        _print_details(score, truth, results[name], name)
        _print_thresholds(score, truth, results[name])
        _print_left_out(score, truth, results[name])


def _listen(folder: Path, truth: Truth, tagger: Tagger) -> dict[str, Timeline]:
    return {name: build_timeline(folder / about["file"], tagger=tagger) for name, about in truth.items()}


def _yamnet_alone(both: Timeline, builtin: Timeline) -> Timeline:
    """Return the timeline that YAMNet alone would make: both taggers' mean is known, and one of them."""
    return replace(both, tags=(both.tags - (1.0 - SHARE) * builtin.tags) / SHARE)


def load_scores(path: Path) -> ModuleType:
    """Import the pack's own scoring, so that figures are its figures."""
    spec = importlib.util.spec_from_file_location("pack_score", path)
    if spec is None or spec.loader is None:
        sys.exit(f"{path} is missing")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _ours(timeline: Timeline) -> Predictions:
    found = detect(timeline, DetectOptions(sensitivity=0.0))
    return [{"start": h.core_start_s, "end": h.core_end_s, "score": h.score} for h in found]


def _all(timelines: dict[str, Timeline], baseline: Callable[[Timeline], Predictions]) -> Found:
    return {name: sorted(baseline(t), key=lambda p: -p["score"]) for name, t in timelines.items()}


def _loud_peaks(timeline: Timeline) -> Predictions:
    return _peaks(measure(timeline)["level"])


def _rule(timeline: Timeline) -> Predictions:
    measures = measure(timeline)
    level = timeline.column("level_db")
    evidence = np.sum([weight * measures[name] for name, weight in RULE_WEIGHTS.items()], axis=0)
    return _peaks(np.where(level > np.quantile(level, 0.1), evidence, -np.inf))


def _tag_peaks(timeline: Timeline) -> Predictions:
    """Return peaks of the log-sum-exp of the highlight groups, averaged over 2.4 s: no constant of ours."""
    joint = np.logaddexp.reduce(timeline.tags[:, : len(HIGHLIGHTS)].astype(np.float64), axis=1)
    smooth = np.convolve(np.pad(joint, 2, mode="edge"), np.full(5, 0.2), mode="valid")
    at = (np.arange(timeline.rows) + 0.5) / 10
    return _peaks(np.interp(at, (np.arange(len(smooth)) + 0.5) * ROW_S, smooth))


def _loudness_peaks(path: Path) -> Predictions:
    """Return peaks of FFmpeg's momentary loudness (EBU R128, 10 a second)."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostats", "-i", str(path), "-vn"]
    done = subprocess.run([*command, "-af", "ebur128", "-f", "null", "-"], capture_output=True, text=True, check=True)
    momentary = [float(value) for value in re.findall(r" M: *(-?[\d.]+)", done.stderr)]
    return sorted(_peaks(np.array(momentary)), key=lambda p: -p["score"])


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


def _print_table(score: ModuleType, truth: Truth, results: dict[str, Found], kind: str) -> None:
    ids = [name for name, about in truth.items() if about["kind"] == kind]
    if not ids:
        return
    print(f"\n{kind}: {len(ids)} recordings; in brackets, 95 % of bootstrap samples of recordings")
    print(f"{'':20}{'mAP':>22}{'tIoU mAP':>22}{'false alarms/h at half recall':>32}")
    for name, predictions in results.items():
        metrics, _ = score.evaluate(truth, predictions, ids)
        spread = _bootstrap(score, truth, predictions, ids)
        cells = [
            f"{_cell(metrics[c])} [{_cell(low)}, {_cell(high)}]"
            for c, (low, high) in zip(COLUMNS, spread, strict=False)
        ]
        print(f"{name:20}{cells[0]:>22}{cells[1]:>22}{_cell(metrics['FA/h@R50'], 1):>32}")


def _bootstrap(score: ModuleType, truth: Truth, predictions: Found, ids: list[str]) -> list[tuple[float, float]]:
    """Return the middle 95 % of mAP and tIoU mAP over samples of recordings with replacement."""
    alone = [score.evaluate(truth, predictions, [name])[0] for name in ids if truth[name]["events"]]
    values = np.array([[metrics[column] for column in COLUMNS[:2]] for metrics in alone])
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def _print_details(score: ModuleType, truth: Truth, ours: Found, name: str) -> None:
    """Print what of each class, variant and level was found, and which distractors were taken for highlights."""
    _, recalls = score.evaluate(truth, ours, list(truth))
    print(f"\n-- {name}")
    for key in ("class", "distractor"):
        title = "inside one of the best" if key == "distractor" else "found among the best n"
        print(f"{key}, share {title} (count)")
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


def _print_left_out(score: ModuleType, truth: Truth, ours: Found) -> None:
    """Print the least and the greatest mAP when the events of one source are left out, whichever it is."""
    sources = sorted({event["source"] for about in truth.values() for event in about["events"] if "source" in event})
    values = []
    for source in sources:
        kept, found = {}, {}
        for name, about in truth.items():
            rest = [event for event in about["events"] if event["source"] != source]
            gone = [event for event in about["events"] if event["source"] == source]
            kept[name] = about | {"events": rest}
            found[name] = [p for p in ours[name] if not any(score.holds_centre(p, event) for event in gone)]
        talk = [name for name, about in kept.items() if about["kind"] == "talk" and about["events"]]
        values.append((score.evaluate(kept, found, talk)[0]["mAP"], source))
    if values:
        (low, worst), (high, best) = min(values), max(values)
        print(f"one of {len(sources)} sources left out, talk mAP: {low:.3f} ({worst}) to {high:.3f} ({best})")


if __name__ == "__main__":
    main()
