"""Highlights: the moments of a recording worth sharing, found on its timeline, each with its score and the reasons."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.listening.detection.boundaries import Placer, Span
from pipeline.listening.detection.scoring import UNHEARD_DB, Core, Hearing, OptionsError, signal_names
from pipeline.listening.features import ROWS_PER_S, SILENCE_DB
from pipeline.listening.timeline_file import Timeline
from pipeline.types import ActivityEvent, DetectOptions, Highlight

__all__ = ["OptionsError", "detect", "score_curve", "signal_names"]

LEAST_SCORE: Final = 0.01
"""The least score of a candidate."""


def detect(timeline: Timeline, options: DetectOptions, activity: Sequence[ActivityEvent] = ()) -> list[Highlight]:
    """Return highlights best first, without overlaps; deterministic.

    A score is the probability that a moment is worth sharing. Highlights below `options.sensitivity` are left out,
    which does not change the others. The contributions of `reasons` sum to the score. Raises OptionsError if
    `options.weights` names a signal that is not in `signal_names()`, or if no length fits the limits.
    """
    if options.min_s > options.max_s:
        raise OptionsError(f"min_s ({options.min_s:g}) must not be greater than max_s ({options.max_s:g}).")
    hearing = Hearing(timeline, options, activity)
    if not activity and float(hearing.level_db.max(initial=SILENCE_DB)) < UNHEARD_DB:
        return []  # without sound and activity, only the base rate would remain
    cores = hearing.cores(LEAST_SCORE)
    placer = Placer(
        hearing.level_db,
        [core.rows for core in cores],
        [core.score for core in cores],
        min_s=options.min_s,
        max_s=options.max_s,
    )
    found: list[Highlight] = []
    for core in cores:
        if core.score < options.sensitivity or len(found) == options.top:
            break
        span = placer.place(core.rows)
        if span is not None:
            found.append(_highlight(core, span, timeline.duration_s))
    return found


def score_curve(
    timeline: Timeline,
    options: DetectOptions | None = None,
    activity: Sequence[ActivityEvent] = (),
) -> NDArray[np.float32]:
    """Return the probability of each row [rows] to be part of a highlight, for drawing; OptionsError as `detect`."""
    return Hearing(timeline, options or DetectOptions(), activity).curve().astype(np.float32)


def _highlight(core: Core, span: Span, duration_s: float) -> Highlight:
    def seconds(row: int) -> float:
        return min(row / ROWS_PER_S, duration_s)

    kind, confidence = core.kind
    return Highlight(
        start_s=seconds(span.start),
        end_s=seconds(span.stop),
        core_start_s=seconds(span.core_start),
        core_end_s=seconds(span.core_stop),
        peak_s=seconds(min(max(core.peak_row, span.core_start), span.core_stop - 1)),
        score=core.score,
        kind=kind,
        kind_confidence=confidence,
        reasons=core.reasons,
    )
