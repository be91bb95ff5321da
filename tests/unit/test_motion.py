"""The path of the crop window, on pictures made of numbers."""

from itertools import pairwise

import numpy as np
import pytest

from pipeline.rendering.pictures.motion import RATE, path


def looks(centres: list[float | None], *, shade: int = 100) -> np.ndarray:
    """Grey pictures 64 wide with a flickering blob at each centre (0 to 1), none where None."""
    rng = np.random.default_rng(1)
    pictures = np.full((len(centres), 36, 64), shade, dtype=np.uint8)
    for picture, centre in zip(pictures, centres, strict=True):
        if centre is not None:
            first = round(centre * 56)
            picture[12:24, first : first + 8] = rng.integers(0, 255, (12, 8))
    return pictures


def test_the_window_stays_on_what_moves() -> None:
    moves = path(looks([0.9] * 30), 0.3)
    assert min(move.start for move in moves) > 0.75


def test_the_window_follows_without_gaps_or_jumps() -> None:
    moves = path(looks(list(np.linspace(0.0, 1.0, 60))), 0.3)
    assert moves[0].start < 0.2
    assert moves[-1].end > 0.8
    for move, following in pairwise(moves):
        assert following.start_s == pytest.approx(move.end_s)
        assert following.start == pytest.approx(move.end)
        assert abs(move.end - move.start) * RATE < 0.6


def test_the_window_jumps_at_a_scene_cut() -> None:
    pictures = np.concatenate([looks([0.1] * 25), looks([0.9] * 25, shade=200)])
    moves = path(pictures, 0.3)
    offsets = [move.start for move in moves]
    assert max(offsets[:23]) < 0.3
    assert min(offsets[25:]) > 0.7


@pytest.mark.parametrize("count", [0, 1, 40])
def test_a_still_picture_leaves_the_window_in_the_middle(count: int) -> None:
    assert path(looks([None] * count), 0.3) == []


def test_the_same_pictures_give_the_same_path() -> None:
    pictures = looks(list(np.linspace(1.0, 0.2, 40)))
    assert path(pictures, 0.4) == path(pictures, 0.4)
