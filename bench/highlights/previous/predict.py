"""Finds highlights with the frozen detector; its modules are as they were, its constants in `model.json`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.listening.listen import Timeline
from previous.candidates import MEASURES, measure, pick, propose, settle
from previous.cues import CUES, extract_cues, smoothed_level_db
from previous.model import Additive, any_of, load_model, sigmoid

Predictions = list[dict[str, float]]


def predict(timeline: Timeline) -> Predictions:
    """Return what the frozen detector finds, best first."""
    model = load_model()
    cues, level_db = extract_cues(timeline), smoothed_level_db(timeline)
    rows = _joint(model.rows, cues, CUES, model.signals())
    intervals = propose(rows)
    if len(intervals) == 0:
        return []
    measures = measure(intervals, cues, rows, level_db)
    joint = _joint(model.intervals, measures, MEASURES, model.signals())
    scores = sigmoid(model.calibration.slope * joint + model.calibration.offset)
    chosen = pick(intervals, scores)
    return [
        {"start": first / 10, "end": last / 10, "score": float(scores[i])}
        for i, (first, last) in zip(chosen, settle(intervals, scores, chosen), strict=True)
    ]


def _joint(
    listeners: dict[str, Additive], values: NDArray[Any], columns: tuple[str, ...], signals: list[str]
) -> NDArray[np.float64]:
    each = [a.bias + a.parts(values, columns, signals).sum(axis=1) for a in listeners.values()]
    return any_of(np.stack(each, axis=1))
