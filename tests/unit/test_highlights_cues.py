import numpy as np
import pytest

from pipeline.listening.detection.cues import CUES, LULLS, extract_cues
from pipeline.listening.features import BANDS, FEATURES
from pipeline.listening.listen import Timeline

ROWS = 5_000
"""Several of the tiles in which cues are made."""


def noisy(rows: int = ROWS) -> Timeline:
    rng = np.random.default_rng(1)
    features = rng.uniform(0.0, 1.0, (rows, len(FEATURES))).astype(np.float32)
    features[:, [name.endswith("_db") for name in FEATURES]] *= -40.0
    features[:, FEATURES.index("level_db")] /= 4.0
    return Timeline(features=features, peaks=np.zeros(rows, dtype=np.float32), duration_s=rows / 10)


def around(values: np.ndarray, row: int, width: int) -> np.ndarray:
    return values[max(0, row - width // 2) : max(0, row - width // 2 + width)]


@pytest.fixture(scope="module")
def cues() -> np.ndarray:
    return extract_cues(noisy())


def cue(cues: np.ndarray, name: str) -> np.ndarray:
    return cues[:, (CUES + LULLS).index(name)]


def test_running_means_are_those_of_the_rows_around_everywhere(cues: np.ndarray) -> None:
    gaps = noisy().column("gaps")
    expected = [around(gaps, row, 7).mean() for row in range(ROWS)]
    assert cue(cues, "pauses") == pytest.approx(expected, abs=1e-5)


def test_rise_compares_with_the_seconds_before_everywhere(cues: np.ndarray) -> None:
    level = noisy().column("level_db")
    before = [level[0] if row < 25 else around(level, row - 25, 30).mean() for row in range(ROWS)]
    expected = [around(level, row, 10).mean() - earlier for row, earlier in enumerate(before)]
    assert cue(cues, "rise") == pytest.approx(expected, abs=1e-4)


def test_unsteadiness_is_how_the_shape_moves_everywhere(cues: np.ndarray) -> None:
    timeline = noisy()
    first = FEATURES.index("band_00_db")
    shape = np.maximum(timeline.features[:, first : first + BANDS] - timeline.column("level_db")[:, None], -45.0)
    expected = [around(shape, row, 20).std(axis=0).mean() for row in range(ROWS)]
    assert cue(cues, "unsteady") == pytest.approx(expected, abs=1e-3)


def test_stillness_is_how_little_level_and_bands_flutter_everywhere(cues: np.ndarray) -> None:
    timeline = noisy()
    first, level = FEATURES.index("band_00_db"), timeline.column("level_db")
    shape = np.maximum(timeline.features[:, first : first + BANDS] - level[:, None], -45.0)
    level_steps = np.abs(np.diff(level, prepend=level[:1]))
    shape_steps = np.abs(np.diff(shape, axis=0, prepend=shape[:1])).mean(axis=1)
    expected = [
        np.log([around(level_steps, row, 10).mean(), around(level, row, 10).std(), around(shape_steps, row, 10).mean()])
        for row in range(ROWS)
    ]
    assert cue(cues, "still_1s") == pytest.approx(np.mean(expected, axis=1), abs=1e-3)
    expected = [around(cue(cues, "still_1s"), row, 30).mean() for row in range(ROWS)]
    assert cue(cues, "still_3s") == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("name", "width"), [("drift_2s", 20), ("drift_6s", 60)])
def test_drift_is_how_far_the_shares_move_everywhere(cues: np.ndarray, name: str, width: int) -> None:
    shares = np.stack([cue(cues, f"share_{region}") for region in ("low", "mid", "high", "top")], axis=1)
    expected = [np.log(max(0.1, around(shares, row, width).std(axis=0).mean())) for row in range(ROWS)]
    assert cue(cues, name) == pytest.approx(expected, abs=2e-3)


def test_level_is_over_the_median_of_its_minute(cues: np.ndarray) -> None:
    assert float(np.median(cue(cues, "level"))) == pytest.approx(0.0, abs=0.2)
    assert float(np.median(cue(cues, "level_peak"))) < float(np.median(cue(cues, "level")))


@pytest.mark.parametrize("rows", [1, 2, 9, 10, 101, 2_048, 2_049])
def test_order_in_memory_changes_nothing(rows: int) -> None:
    timeline = noisy(rows)
    turned = Timeline(features=np.asfortranarray(timeline.features), peaks=timeline.peaks, duration_s=rows / 10)
    assert np.array_equal(extract_cues(timeline), extract_cues(turned))
    assert np.isfinite(extract_cues(timeline)).all()


def test_nothing_heard_has_no_cues() -> None:
    assert extract_cues(Timeline.silent(0.0)).shape == (0, len(CUES) + len(LULLS))
