"""The bars of an audiogram: heights from samples, and where they stand."""

import numpy as np
import pytest

from pipeline.rendering.pictures.strip import (
    LEAST_HEIGHT,
    PITCH,
    SAMPLE_RATE,
    STEP,
    Strip,
    bar_heights,
    tile_count,
    yuv,
)
from pipeline.rendering.presets import THEMES

STRIP = Strip(name="strip.yuv", width=960, height=200)
PER_S = STEP * 20


def test_bars_stand_where_their_sound_is() -> None:
    samples = np.zeros(4 * SAMPLE_RATE, np.int16)
    samples[2 * SAMPLE_RATE : 2 * SAMPLE_RATE + 400] = 32767
    heights = bar_heights(samples, STRIP)
    tall = np.flatnonzero(heights > LEAST_HEIGHT)
    assert tall.tolist() == [(STRIP.width // 2 + 2 * PER_S) // PITCH]
    assert heights[tall[0]] == pytest.approx(STRIP.height, abs=2)
    assert len(heights) * PITCH >= STRIP.width + 4 * PER_S


@pytest.mark.parametrize(("level", "share"), [(0.25, 0.5), (0.01, 0.1), (1.0, 1.0)])
def test_height_is_the_root_of_the_peak(level: float, share: float) -> None:
    samples = np.full(SAMPLE_RATE, round(32767 * level), np.int16)
    assert bar_heights(samples, STRIP).max() == pytest.approx(share * STRIP.height, abs=2)


@pytest.mark.parametrize("count", [0, 1])
def test_no_sound_is_a_row_of_dots(count: int) -> None:
    assert set(bar_heights(np.zeros(count, np.int16), STRIP).tolist()) == {LEAST_HEIGHT}


def test_loudest_negative_sample_counts_as_full_scale() -> None:
    samples = np.full(SAMPLE_RATE, -32768, np.int16)
    assert bar_heights(samples, STRIP).max() == STRIP.height


@pytest.mark.parametrize(("duration_s", "count"), [(0.0, 1), (59.9, 1), (60.0, 1), (60.05, 2), (600.0, 10)])
def test_every_begun_minute_has_a_picture(duration_s: float, count: int) -> None:
    assert tile_count(duration_s) == count


def test_colours_are_bt709_video_range() -> None:
    assert yuv("#000000") == (16, 128, 128)
    assert yuv("#ffffff") == (235, 128, 128)
    assert yuv("#ff0000") == (63, 102, 240)
    assert all(16 <= value <= 240 for theme in THEMES.values() for value in yuv(theme.wave))
