"""Fits the additive models: penalised logistic regression on broken lines, by Newton's method in plain numpy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.listening.detection.model import Additive, Line

Values = NDArray[np.float64]

KNOT_QUANTILES = (0.02, 0.1, 0.25, 0.42, 0.58, 0.75, 0.9, 0.98)
"""Eight knots a line: enough for a bend or two, too few to remember clips."""
SMOOTHNESS = 0.012
"""Penalty on bends, per unit of sample weight."""
SHRINKAGE = 0.0012
"""Penalty on slopes: what carries nothing stays level."""
NEWTON_STEPS = 25


@dataclass(frozen=True)
class Basis:
    """Knots [cues][k] of the broken lines, and the penalty [m, m] on all their values."""

    names: tuple[str, ...]
    knots: list[Values]
    penalty: Values

    def design(self, cues: NDArray[np.floating]) -> Values:
        """Return hat functions [n, m] of `cues` [n, len(names)] and a column of ones."""
        hats = [
            np.stack([np.interp(cues[:, c], knots, unit) for unit in np.eye(len(knots))], axis=1)
            for c, knots in enumerate(self.knots)
        ]
        return np.concatenate([*hats, np.ones((len(cues), 1))], axis=1)


def make_basis(
    cues: NDArray[np.floating],
    names: tuple[str, ...],
    *,
    smoothness: float = SMOOTHNESS,
    shrinkage: float = SHRINKAGE,
) -> Basis:
    """Choose knots at quantiles of `cues` [n, len(names)], and penalties on bends and slopes between them.

    Given those of events alone, lines bend where reactions are told from what sounds nearly like them; most of a
    recording is speech, and far from there.
    """
    knots, blocks = [], []
    for column in cues.T:
        chosen = np.unique(np.round(np.quantile(column, KNOT_QUANTILES), 3))
        if len(chosen) == 1:
            chosen = np.array([chosen[0], chosen[0] + 1.0])
        slopes = np.diff(np.eye(len(chosen)), axis=0)
        bends = np.diff(slopes, axis=0)
        knots.append(chosen)
        blocks.append(smoothness * bends.T @ bends + shrinkage * slopes.T @ slopes + 1e-5 * np.eye(len(chosen)))
    size = sum(map(len, knots)) + 1
    penalty = np.zeros((size, size))
    at = 0
    for block in blocks:
        penalty[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    return Basis(names, knots, penalty)


def fit_logistic(design: Values, target: Values, weight: Values, penalty: Values) -> Values:
    """Return coefficients [m] that minimise weighted cross-entropy (targets 0..1) plus the penalty."""
    weight = weight / weight.sum()
    beta = np.zeros(design.shape[1])
    mean = float(np.clip((weight * target).sum(), 1e-3, 1 - 1e-3))
    beta[-1] = np.log(mean / (1 - mean))

    def loss(coefficients: Values) -> float:
        logit = design @ coefficients
        cross_entropy = (weight * (np.logaddexp(0.0, logit) - target * logit)).sum()
        return float(cross_entropy + 0.5 * coefficients @ penalty @ coefficients)

    for _ in range(NEWTON_STEPS):
        p = 0.5 * (1 + np.tanh(0.5 * (design @ beta)))
        gradient = design.T @ (weight * (p - target)) + penalty @ beta
        curvature = (design * (weight * p * (1 - p))[:, None]).T @ design + penalty
        step = np.linalg.solve(curvature + 1e-9 * np.eye(len(beta)), gradient)
        now, scale = loss(beta), 1.0
        while loss(beta - scale * step) > now and scale > 1e-3:  # noqa: PLR2004 - too far: the classes are rare
            scale /= 2
        beta -= scale * step
        if np.abs(step).max() < 1e-4:  # noqa: PLR2004 - converged
            break
    return beta


def as_additive(basis: Basis, beta: Values, signals: dict[str, str], usual: NDArray[np.floating]) -> Additive:
    """Return the model with each line at zero, on average, over `usual` moments [n, len(names)]: the bias is theirs."""
    lines, bias, at = [], float(beta[-1]), 0
    for c, (name, knots) in enumerate(zip(basis.names, basis.knots, strict=True)):
        values = beta[at : at + len(knots)]
        at += len(knots)
        centre = float(np.interp(usual[:, c], knots, values).mean())
        bias += centre
        lines.append(
            Line(
                cue=name,
                signal=signals[name],
                knots=[round(float(k), 3) for k in knots],
                values=[round(float(v) - centre, 3) for v in values],
            ),
        )
    return Additive(bias=round(bias, 3), lines=lines)
