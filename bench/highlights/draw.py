"""Draws a stretch of a recording as SVG: its level, its tagger's rows, its score curve and its highlights.

python bench/highlights/draw.py RECORDING OUT.svg [--start S] [--seconds S] [--model yamnet.tflite]
"""

import argparse
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.listening.detect import detect, score_curve
from pipeline.listening.listen import Timeline, build_timeline
from pipeline.listening.tagging.load import load_tagger
from pipeline.listening.tagging.tagger import GROUPS, ROW_S
from pipeline.types import DetectOptions

Axis = Callable[[float], float]
Values = NDArray[np.floating]
SHOWN = ("laughter", "applause", "cheering", "shouting", "speech", "music", "weather", "alarm")
WIDTH, LEFT, STRIP, TOP = 900.0, 80.0, 16, 70
STEPS = 10
THIN = 3
WHITE, BLUE = -6.0, 2.0
"""Logits that are drawn with nothing and with full colour."""
NAMESPACE = "http://www.w3.org/2000/svg"
FONT = 'font-family="sans-serif" font-size="11"'
COLOURS = {"text": "#6b7280", "level": "#94a3b8", "score": "#dc2626", "highlight": "#fbbf24", "row": "#2563eb"}


def main() -> None:
    """Listen to the recording and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--start", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--model", type=Path, default=None)
    arguments = parser.parse_args()
    timeline = build_timeline(arguments.recording, tagger=load_tagger(arguments.model))
    arguments.out.write_text(draw(timeline, arguments.start, arguments.seconds))


def draw(timeline: Timeline, start_s: float, seconds: float) -> str:
    """Return the picture as text."""
    scale = WIDTH / seconds

    def x(time_s: float) -> float:
        return round(LEFT + (time_s - start_s) * scale, 1)

    rows = slice(int(start_s * 10), int((start_s + seconds) * 10))
    height = TOP + len(SHOWN) * STRIP + 62
    parts = [
        f'<svg xmlns="{NAMESPACE}" viewBox="0 0 {LEFT + WIDTH + 10:.0f} {height}" {FONT} fill="{COLOURS["text"]}">',
    ]
    for found in detect(timeline, DetectOptions(sensitivity=0.5)):
        if start_s <= found.core_start_s and found.core_end_s <= start_s + seconds:
            width = (found.core_end_s - found.core_start_s) * scale
            parts.append(
                f'<rect x="{x(found.core_start_s)}" y="14" width="{width:.1f}" height="{height - 32}" '
                f'fill="{COLOURS["highlight"]}" opacity="0.25"/>'
                f'<text x="{x(found.core_start_s)}" y="11">{found.kind} {found.score:.2f}</text>'
            )
    level = np.clip((timeline.column("level_db")[rows] + 60.0) / 60.0, 0.0, 1.0)
    parts += [
        f'<text x="4" y="48">level</text>{_line(level, start_s, x, bottom=62.0, height=44.0, colour=COLOURS["level"])}'
    ]
    for place, group in enumerate(SHOWN):
        parts += _strip(timeline, group, start_s, seconds, x, top=TOP + place * STRIP)
    bottom = TOP + len(SHOWN) * STRIP + 40.0
    curve = score_curve(timeline)[rows]
    line = _line(curve, start_s, x, bottom=bottom, height=34.0, colour=COLOURS["score"])
    parts.append(f'<text x="4" y="{bottom - 12}">score</text>{line}')
    times = np.arange(np.ceil(start_s / 15) * 15, start_s + seconds, 15)
    parts += [f'<text x="{x(t)}" y="{height - 6}">{int(t) // 60}:{int(t) % 60:02d}</text>' for t in times]
    return "\n".join([*parts, "</svg>\n"])


def _line(values: Values, start_s: float, x: Axis, *, bottom: float, height: float, colour: str) -> str:  # noqa: PLR0913
    kept = enumerate(values[::THIN].tolist())
    points = " ".join(f"{x(start_s + i * THIN / 10)},{bottom - height * value:.1f}" for i, value in kept)
    return f'<polyline points="{points}" fill="none" stroke="{colour}"/>'


def _strip(timeline: Timeline, group: str, start_s: float, seconds: float, x: Axis, *, top: int) -> list[str]:  # noqa: PLR0913
    """Return one group's rows as squares, darker where the tagger is surer; equal neighbours are one."""
    first, last = int(start_s / ROW_S), int((start_s + seconds) / ROW_S)
    logits = timeline.tags[first:last, GROUPS.index(group)]
    steps = np.round(np.clip((logits - WHITE) / (BLUE - WHITE), 0.0, 1.0) * STEPS).astype(int)
    edges = [0, *(np.flatnonzero(np.diff(steps)) + 1).tolist(), len(steps)]
    parts = [f'<text x="4" y="{top + 12}">{group}</text>']
    for begin, end in pairwise(edges):
        if steps[begin]:
            left, right = x((first + begin) * ROW_S), x((first + end) * ROW_S)
            parts.append(
                f'<rect x="{left}" y="{top + 2}" width="{right - left:.1f}" height="{STRIP - 4}" '
                f'fill="{COLOURS["row"]}" opacity="{steps[begin] / STEPS}"/>'
            )
    return parts


if __name__ == "__main__":
    main()
