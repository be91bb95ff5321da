from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.listening.detection.peaks import find_peaks


def test_peak_reaches_as_far_as_the_curve_stays_near_its_top() -> None:
    curve = np.array([0, 0, 3, 4, 5, 4, 3, 0, 0.0])
    (peak,) = find_peaks(curve, least=1.0, drop=1.5)
    assert (peak.start, peak.stop, peak.row, peak.prominence) == (3, 6, 4, 5.0)


def test_ripple_on_a_hill_is_one_peak_and_a_valley_makes_two() -> None:
    rippled = np.array([0, 4, 3.5, 5, 3.6, 4.5, 0.0])
    assert [peak.row for peak in find_peaks(rippled, least=2.0, drop=2.0)] == [3]
    split = np.array([0, 4, 1.0, 5, 0.0])
    assert [(peak.row, peak.prominence) for peak in find_peaks(split, least=2.0, drop=2.0)] == [(1, 3.0), (3, 5.0)]


@pytest.mark.parametrize("curve", [np.empty(0), np.zeros(1), np.full(50, 3.0)])
def test_flat_curve_has_no_peak(curve: np.ndarray) -> None:
    assert find_peaks(curve, least=0.5, drop=1.0) == []


@given(st.lists(st.floats(-20, 20), max_size=80), st.floats(0.1, 5), st.floats(0.1, 5))
def test_peaks_hold_their_rows_and_never_overlap(values: list[float], least: float, drop: float) -> None:
    curve = np.array(values, dtype=float)
    peaks = find_peaks(curve, least=least, drop=drop)
    assert all(0 <= peak.start <= peak.row < peak.stop <= len(curve) for peak in peaks)
    assert all(peak.prominence >= least for peak in peaks)
    assert all(before.stop <= after.start + 1 for before, after in pairwise(peaks))
