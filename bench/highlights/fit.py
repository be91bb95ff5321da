"""Fits `pipeline/listening/detection/model.json` on recordings mixed from free sounds, and says how it carries over.

    python bench/highlights/fit.py --fetch                 download and unpack the Debian packages (1.3 GB, once)
    python bench/highlights/fit.py --mix 120               mix recordings from them, and keep their timelines
    python bench/highlights/fit.py --fit                   fit and write the model

Everything is kept under `--work` (default: big-snuggles-fit in the temporary folder). Same seed, same model.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from additive import Values, as_additive, fit_logistic, make_basis
from mixes import Mix, Mixer
from numpy.typing import NDArray
from sounds import Clip, load_clips, packages

from pipeline.listening.detection.candidates import MEASURES, measure, pick, propose, settle
from pipeline.listening.detection.cues import CUES, LULLS, extract_cues, smoothed_level_db
from pipeline.listening.detection.model import Additive, Calibration, Model, any_of, sigmoid
from pipeline.listening.listen import Timeline, TimelineBuilder

Sources = frozenset[str]
Predictions = list[dict[str, float]]
MODEL_PATH = Path(__file__).parents[2] / "pipeline" / "listening" / "detection" / "model.json"
LISTENERS = {"laughter": ("laughter",), "crowd": ("applause", "cheering"), "shout": ("shout",)}
LEAST = tuple(f"least_{lull}" for lull in LULLS)
SIGNALS = {
    "loudness": ("level", "level_peak", "before", "after"),
    "onset": ("rise",),
    "steadiness": ("unsteady", "unsteady_high", "level_swing", "flutter", "shape_flutter", "sway", *LEAST),
    "voice": ("harmonic", "voicing_swing", "tonal_low", "tonal_mid", "tonal_high"),
    "pitch": ("pitch", "scream"),
    "colour": (
        "tilt",
        "mid",
        "bass",
        "treble",
        "ripple",
        "spread",
        "share_low",
        "share_mid",
        "share_high",
        "share_top",
        "fall",
    ),
    "novelty": ("novelty",),
    "rhythm": tuple(cue for cue in CUES if cue.startswith("rhythm_")),
    "pauses": ("pauses",),
    "contrast": ("contrast", "least"),
    "course": ("decay",),
    "duration": ("duration",),
}
"""What reasons are called, and the cues and measures behind each."""
SIGNAL_OF = {cue: signal for signal, cues in SIGNALS.items() for cue in cues}
INTERVAL_MEASURES = tuple(name for name in MEASURES if name in SIGNAL_OF)
KIND_MEASURES = tuple(name for name in INTERVAL_MEASURES if name not in (*LEAST, "spread", "fall"))
"""What tells people from weather does not tell their laughter from their applause."""
SHOW_EVERY = 3
"""One mix in three is a show."""
TALK_S, SHOW_S, CONTROL_S = 360.0, 300.0, 240.0
CONTROL_EVERY = 3
"""One control for three mixes: recordings are full of loud things that nobody wants to see again."""
CONTROL_SEEDS = 100_000
"""Controls count their seeds from here, so that more mixes change nothing about them."""
EDGE_ROWS = 3
"""Rows this near to an event's edge belong to neither side."""
ROW_STEP = 4
"""Every fourth row of what is no event is enough; neighbours say the same."""
HIT_IOU, MISS_IOU = 0.6, 0.15
"""From this overlap with an event on, a candidate is right; under that, wrong; between, in proportion."""
KIND_IOU = 0.4
STEADY = ("rain", "weather")
"""Nuisances that differ from an audience in little but that they never waver."""
STEADY_WEIGHT = 6.0
"""They count this much more than others: a recording full of rain must stay quiet."""
STEADY_IOU = 0.3
"""From this overlap with one of them on, a candidate is theirs."""

_shared: dict[str, Any] = {}


@dataclass(frozen=True)
class Example:
    """A mix as the detector sees it, with its truth."""

    truth: dict[str, Any]
    cues: NDArray[np.float32]
    level_db: NDArray[np.float32]


@dataclass(frozen=True)
class Table:
    """Rows to fit on: cues or measures [n, m], targets 0..1, weights, the class of the event if any."""

    values: NDArray[np.floating]
    target: Values
    weight: Values
    label: NDArray[np.str_]


def fetch(folder: Path) -> None:
    """Download the packages with apt and unpack them; nothing is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in packages():
        if not (folder / package).exists():
            subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True)
            archive = next(folder.glob(f"{package}_*.deb"))
            subprocess.run(["dpkg-deb", "-x", archive, folder / package], check=True)
            archive.unlink()


def mix(clips: Sequence[Clip], folder: Path, count: int, seed: int) -> None:
    """Make mixes, and a control for every CONTROL_EVERY of them, and keep their timelines and truth."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(initializer=_share, initargs=(clips, folder, seed)) as pool:
        list(pool.map(_mix_recording, range(count)))
        list(pool.map(_mix_control, range(count // CONTROL_EVERY)))


def _share(clips: Sequence[Clip], folder: Path, seed: int) -> None:
    """Note in a process of the pool what all mixes have in common."""
    _shared.update(clips=clips, folder=folder, seed=seed)


def _mix_recording(number: int) -> None:
    mixer = Mixer(_shared["clips"], _shared["seed"] + number)
    made = mixer.show(SHOW_S) if number % SHOW_EVERY == 0 else mixer.talk(TALK_S)
    _keep(made, _shared["folder"] / f"{number:04d}")


def _mix_control(number: int) -> None:
    mixer = Mixer(_shared["clips"], _shared["seed"] + CONTROL_SEEDS + number)
    _keep(mixer.control(CONTROL_S), _shared["folder"] / f"control{number:04d}")


def _keep(made: Mix, path: Path) -> None:
    builder = TimelineBuilder()
    builder.push(made.samples, rate=16_000)
    builder.finish().save(path.with_suffix(".timeline"))
    path.with_suffix(".json").write_text(json.dumps(_truth(made), default=float))


def _truth(made: Mix) -> dict[str, Any]:
    return {
        "kind": made.kind,
        "variant": "mix",
        "dur": len(made.samples) / 16_000,
        "events": [asdict(event) | {"class": event.label} for event in made.events],
        "distractors": [asdict(nuisance) | {"class": nuisance.label} for nuisance in made.nuisances],
    }


def load_examples(folder: Path) -> list[Example]:
    """Read mixes back."""
    return [
        example(json.loads(path.read_text()), Timeline.load(path.with_suffix(".timeline")))
        for path in sorted(folder.glob("*.json"))
    ]


def example(truth: dict[str, Any], timeline: Timeline) -> Example:
    """Return a recording with its truth as the detector sees it."""
    return Example(truth, extract_cues(timeline), smoothed_level_db(timeline))


def row_table(examples: Iterable[Example], without: Sources = frozenset()) -> Table:
    """Return the rows of all mixes that are clearly inside or outside an event; none of the sources in `without`."""
    return _joined([_rows_of(e, without) for e in examples])


def _rows_of(e: Example, without: Sources) -> Table:
    count = len(e.cues)
    target, weight, label = np.zeros(count), np.ones(count), np.full(count, "", dtype="U16")
    for event in e.truth["events"]:
        weight[max(0, int(event["start"] * 10) - EDGE_ROWS) : int(event["end"] * 10) + EDGE_ROWS + 1] = 0.0
    for event in e.truth["events"]:
        first, last = int(event["start"] * 10) + 2, int(event["end"] * 10) - 1
        if last > first:
            # A short event must not drown among long ones, nor count as much for each of its few rows.
            target[first:last], weight[first:last], label[first:last] = 1.0, 20 / np.sqrt(last - first), event["class"]
    for mark in _marks_of(e, without):
        weight[max(0, int(mark["start"] * 10) - EDGE_ROWS) : int(mark["end"] * 10) + EDGE_ROWS + 1] = 0.0
    step = np.where(target > 0, ROW_STEP // 2, ROW_STEP)
    kept = (weight > 0) & (np.arange(count) % step == 0)
    return Table(e.cues[kept], target[kept], (weight * step)[kept], label[kept])


def _marks_of(e: Example, sources: Sources) -> list[dict[str, Any]]:
    """Return the events and nuisances of some sources."""
    return [mark for mark in e.truth["events"] + e.truth["distractors"] if mark.get("source") in sources]


def _joined(tables: Sequence[Table]) -> Table:
    return Table(
        np.concatenate([t.values for t in tables]),
        np.concatenate([t.target for t in tables]),
        np.concatenate([t.weight for t in tables]),
        np.concatenate([t.label for t in tables]),
    )


def fit_listeners(table: Table, columns: tuple[str, ...], chosen: tuple[str, ...]) -> dict[str, Additive]:
    """Fit one additive model for each listener: its classes against everything that is no event."""
    values = table.values[:, [columns.index(name) for name in chosen]]
    basis = make_basis(values[table.target > 0], chosen)
    design = basis.design(values)
    usual = values[table.target == 0]
    listeners = {}
    for listener, classes in LISTENERS.items():
        part = (table.target == 0) | np.isin(table.label, classes)
        beta = fit_logistic(design[part], table.target[part], table.weight[part], basis.penalty)
        listeners[listener] = as_additive(basis, beta, SIGNAL_OF, usual)
    return listeners


def fit_kinds(table: Table) -> dict[str, Additive]:
    """Fit each listener's classes against the other events, both sides with equal weight."""
    events = table.target > (KIND_IOU - MISS_IOU) / (HIT_IOU - MISS_IOU)
    values = table.values[events][:, [MEASURES.index(name) for name in KIND_MEASURES]]
    label = table.label[events]
    basis = make_basis(values, KIND_MEASURES)
    design = basis.design(values)
    kinds = {}
    for listener, classes in LISTENERS.items():
        target = np.isin(label, classes).astype(float)
        weight = np.where(target > 0, 1 / target.mean(), 1 / (1 - target.mean()))
        beta = fit_logistic(design, target, weight, basis.penalty)
        kinds[listener] = as_additive(basis, beta, SIGNAL_OF, values)
    return kinds


def candidates(rows: dict[str, Additive], e: Example) -> tuple[NDArray[np.intp], Values]:
    """Return candidate intervals of an example and their measures."""
    log_odds = _joint(rows, e.cues, CUES)
    intervals = propose(log_odds)
    return intervals, measure(intervals, e.cues, log_odds, e.level_db)


def _joint(listeners: dict[str, Additive], values: NDArray[np.floating], columns: tuple[str, ...]) -> Values:
    signals = list(SIGNALS)
    return any_of(
        np.stack([a.bias + a.parts(values, columns, signals).sum(axis=1) for a in listeners.values()], axis=1)
    )


def interval_table(examples: Iterable[Example], rows: dict[str, Additive], without: Sources = frozenset()) -> Table:
    """Return the candidates of all mixes with how well they fit an event; none that touch a source in `without`."""
    tables = []
    for e in examples:
        intervals, measures = candidates(rows, e)
        away = overlaps(intervals, _marks_of(e, without))[0] == 0.0
        intervals, measures = intervals[away], measures[away]
        if len(intervals):
            overlap, label = overlaps(intervals, e.truth["events"])
            crowded = [np.sum((intervals[:, 0] < last) & (intervals[:, 1] > first)) for first, last in intervals]
            target = np.clip((overlap - MISS_IOU) / (HIT_IOU - MISS_IOU), 0.0, 1.0)
            steady = overlaps(intervals, [d for d in e.truth["distractors"] if d["class"] in STEADY])[0] > STEADY_IOU
            weight = np.where(steady & (target == 0.0), STEADY_WEIGHT, 1.0) / np.sqrt(crowded)
            tables.append(Table(measures, target, weight, label))
    return _joined(tables)


def overlaps(intervals: NDArray[np.intp], events: list[dict[str, Any]]) -> tuple[Values, NDArray[np.str_]]:
    """Return the best intersection over union of each interval with an event, and that event's class."""
    if not events:
        return np.zeros(len(intervals)), np.full(len(intervals), "", dtype="U16")
    start, stop = intervals[:, :1] / 10, intervals[:, 1:] / 10
    first, last = np.array([e["start"] for e in events]), np.array([e["end"] for e in events])
    both = np.maximum(0.0, np.minimum(stop, last) - np.maximum(start, first))
    ratio = both / (stop - start + last - first - both)
    return ratio.max(axis=1), np.array([e["class"] for e in events], dtype="U16")[ratio.argmax(axis=1)]


def fit_model(examples: Sequence[Example], without: Sources = frozenset()) -> Model:
    """Fit everything on the examples, as if there were no sounds of the sources in `without`."""
    rows = fit_listeners(row_table(examples, without), CUES, CUES)
    table = interval_table(examples, rows, without)
    intervals = fit_listeners(table, MEASURES, INTERVAL_MEASURES)
    model = Model(1, rows, intervals, fit_kinds(table), Calibration(1.0, 0.0))
    return msgspec.structs.replace(model, calibration=calibrate(model, examples))


def predict(model: Model, e: Example) -> Predictions:
    """Return what the model finds, best first, as `score.py` reads it."""
    intervals, measures = candidates(model.rows, e)
    if len(intervals) == 0:
        return []
    log_odds = model.calibration.slope * _joint(model.intervals, measures, MEASURES) + model.calibration.offset
    scores = sigmoid(log_odds)
    chosen = pick(intervals, scores)
    return [
        {"start": first / 10, "end": last / 10, "score": float(scores[i]), "log_odds": float(log_odds[i])}
        for i, (first, last) in zip(chosen, settle(intervals, scores, chosen), strict=True)
    ]


def calibrate(model: Model, examples: Sequence[Example]) -> Calibration:
    """Fit how often moments of a score are right, among those that were picked where there is something to find.

    How many recordings have nothing to find is a choice of the mixes, and must not lower scores everywhere.
    """
    log_odds, right = [], []
    for e in examples:
        if not e.truth["events"]:
            continue
        for found in predict(model, e):
            middle = [(event["start"] + event["end"]) / 2 for event in e.truth["events"]]
            log_odds.append(found["log_odds"])
            right.append(any(found["start"] <= m <= found["end"] for m in middle))
    design = np.column_stack((np.clip(log_odds, -8, 8), np.ones(len(log_odds))))
    slope, offset = fit_logistic(design, np.array(right, dtype=float), np.ones(len(right)), 1e-6 * np.eye(2))
    return Calibration(round(float(slope), 3), round(float(offset), 3))


def write_model(model: Model, path: Path) -> None:
    """Write a model, one line of text for each line of it."""
    text = msgspec.json.encode(model).decode()
    path.write_text(text.replace('{"cue"', '\n {"cue"').replace('"kinds"', '\n"kinds"') + "\n")


def main() -> None:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "big-snuggles-fit")
    parser.add_argument("--fetch", action="store_true")
    parser.add_argument("--mix", type=int, metavar="COUNT")
    parser.add_argument("--without", nargs="*", default=[], metavar="PACKAGE", help="mix without these sources")
    parser.add_argument("--seed", type=int, default=9000)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--model", type=Path, default=MODEL_PATH, help="where to write the model")
    arguments = parser.parse_args()
    sounds, mixes = arguments.work / "packages", arguments.work / "mixes"
    if arguments.fetch:
        fetch(sounds)
    if arguments.mix:
        clips = [clip for clip in load_clips(sounds) if clip.source not in arguments.without]
        mix(clips, mixes, arguments.mix, arguments.seed)
    if arguments.fit:
        model = fit_model(load_examples(mixes))
        write_model(model, arguments.model)
        print(f"wrote {arguments.model}")


if __name__ == "__main__":
    main()
