"""Follows motion: computes the path of a crop window over a picture that is wider (or taller) than a preset's frame.

The picture is sampled ten times a second, 64 columns wide. Motion is the difference of neighbouring samples above the
noise. The window takes the path that covers most motion with little movement (dynamic programming over positions, with
free jumps at scene cuts), which is then smoothed to the speed of a calm camera.
"""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from pipeline.rendering.encoding import ffmpeg as runner
from pipeline.rendering.encoding import graph
from pipeline.rendering.material import Material
from pipeline.rendering.presets import Picture, display_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 10
"""Samples a second: at a scene cut the window jumps at most a tenth of a second early."""
CELLS = 64
"""Columns along the axis the window moves on."""
ACROSS = 36
NOISE = 6.0
"""Differences of luma (of 255) up to this are grain and compression."""
SCENE_CUT = 40.0
"""Mean difference of luma beyond which two pictures are of different shots (a pan across a scene stays below 25)."""
LEAST_MOTION = 0.15
"""Mean difference above noise below which a clip counts as still: the window stays in the middle."""
STAY = 0.35
"""Cost of moving the window by its whole range, in shares of the motion in a sample: small, but not zero."""
CENTRE_BIAS = 0.05
"""Of places with equal motion, the one nearer to the middle wins."""
EDGE_LOSS = 0.5
"""Motion at the edge of the window counts half, because people want to see where it goes."""
SMOOTH_S = 1.2
"""The window's path is averaged over this time inside a shot, so that pans start and end softly."""


class Move(Struct, frozen=True, kw_only=True):
    """A part of the window's path: from `start_s` to `end_s`, its offset changes linearly from `start` to `end`.

    Times count from the clip's start; offsets are shares (0 to 1) of the room the window has along its axis.
    """

    start_s: float
    end_s: float
    start: float
    end: float


def follow(folder: Path, material: Material, picture: Picture) -> list[Move]:
    """Return the path of the crop window, empty if it has no room to move or nothing moves."""
    assert material.video is not None  # noqa: S101 - callers have a picture
    width, height = display_size(material.video)
    sideways = width - picture.crop_width >= height - picture.crop_height
    room = width - picture.crop_width if sideways else height - picture.crop_height
    if room < 2:  # noqa: PLR2004 - chroma moves in steps of two
        return []
    share = picture.crop_width / width if sideways else picture.crop_height / height
    return path(_looks(folder, material, sideways=sideways), share)


def path(looks: "NDArray[np.uint8]", share: float) -> list[Move]:
    """Return the moves of a window that covers `share` of the last axis of `looks` [time, across, along]."""
    if len(looks) < 2:  # noqa: PLR2004 - motion is between pictures
        return []
    differences = np.abs(np.diff(looks.astype(np.float32), axis=0))
    cuts = differences.mean(axis=(1, 2)) > SCENE_CUT
    motion = np.maximum(0.0, differences - NOISE)
    motion[cuts] = 0.0
    if motion.mean() < LEAST_MOTION:
        return []
    cover = _covered(motion.mean(axis=1), max(1, round(share * looks.shape[2])))
    offsets = _smoothed(_best_path(cover, cuts) / max(1, cover.shape[1] - 1), cuts)
    return _moves(offsets, cuts)


def write_commands(path_: Path, moves: list[Move], picture: Picture, size: tuple[int, int]) -> None:
    """Write the path as commands for FFmpeg's `sendcmd`, which moves the `crop` filter after it."""
    width, height = size
    sideways = width - picture.crop_width >= height - picture.crop_height
    axis, room = ("x", width - picture.crop_width) if sideways else ("y", height - picture.crop_height)
    lines = [
        f"{m.start_s:.3f}-{m.end_s:.3f} [expr] crop {axis} 'lerp({m.start * room:.2f},{m.end * room:.2f},TI)';"
        for m in moves
    ]
    path_.write_text("\n".join(lines) + "\n", encoding="ascii")


def _looks(folder: Path, material: Material, *, sideways: bool) -> "NDArray[np.uint8]":
    """Return small grey pictures [time, across, along] of the clip, rotated for display."""
    columns, rows = (CELLS, ACROSS) if sideways else (ACROSS, CELLS)
    chain = graph.upright(graph.clipped_video(graph.source(material), material), material)
    chain = chain.filter("fps", fps=RATE).filter("scale", w=columns, h=rows, flags="area").filter("format", "gray")
    raw = runner.capture(chain.output("pipe:1", format="rawvideo").global_args("-copyts"), folder=folder)
    looks = np.frombuffer(raw, dtype=np.uint8).reshape(-1, rows, columns)
    return looks if sideways else looks.transpose(0, 2, 1)


def _covered(columns: "NDArray[np.float32]", window: int) -> "NDArray[np.float64]":
    """Return the motion [time, offset] that a window at each offset covers; 1 is all motion of a usual sample."""
    values = columns.astype(np.float64)
    taper = 1.0 - EDGE_LOSS * np.linspace(-1.0, 1.0, window) ** 2 if window > 1 else np.ones(1)
    inside = np.lib.stride_tricks.sliding_window_view(values, window, axis=1) @ taper
    usual = max(float(np.median(values.sum(axis=1))), 1e-6)
    cover = inside / usual
    middle = np.abs(np.linspace(-1.0, 1.0, cover.shape[1])) if cover.shape[1] > 1 else np.zeros(1)
    return np.asarray(np.minimum(cover, 3.0) - CENTRE_BIAS * middle)


def _best_path(cover: "NDArray[np.float64]", cuts: "NDArray[np.bool_]") -> "NDArray[np.float64]":
    """Return each sample's offset that covers most motion with least movement (Viterbi); jumps are free at cuts."""
    count, places = cover.shape
    distance = np.abs(np.arange(places)[:, None] - np.arange(places)[None, :]) / max(1, places - 1)
    cost = STAY * RATE * distance
    total = cover[0].copy()
    back = np.zeros((count, places), dtype=np.int64)
    for now in range(1, count):
        reach = total[:, None] - (0.0 if cuts[now] else 1.0) * cost
        back[now] = reach.argmax(axis=0)
        total = reach.max(axis=0) + cover[now]
    chosen = np.zeros(count, dtype=np.int64)
    chosen[-1] = int(total.argmax())
    for now in range(count - 1, 0, -1):
        chosen[now - 1] = back[now, chosen[now]]
    return chosen.astype(np.float64)


def _smoothed(offsets: "NDArray[np.float64]", cuts: "NDArray[np.bool_]") -> "NDArray[np.float64]":
    """Average the path over a window in time, never across a cut."""
    reach = max(1, round(SMOOTH_S * RATE / 2))
    result = offsets.copy()
    borders = [0, *(int(at) for at in np.flatnonzero(cuts)), len(offsets)]
    for first, last in pairwise(borders):
        shot = np.pad(offsets[first:last], reach, mode="edge") if last > first else offsets[:0]
        kernel = np.ones(2 * reach + 1) / (2 * reach + 1)
        if last > first:
            result[first:last] = np.convolve(shot, kernel, mode="valid")
    return result


def _moves(offsets: "NDArray[np.float64]", cuts: "NDArray[np.bool_]") -> list[Move]:
    """Turn an offset for each step between samples into moves without gaps; at a cut the window jumps."""
    moves = []
    for number, offset in enumerate(offsets):
        last = number + 1 >= len(offsets)
        onward = offset if last or cuts[number + 1] else float(offsets[number + 1])
        end_s = (number + 1) / RATE if not last else (number + 3) / RATE
        moves.append(Move(start_s=number / RATE, end_s=end_s, start=float(offset), end=float(onward)))
    return moves
