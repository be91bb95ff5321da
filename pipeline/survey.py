"""Lists the packets of a clip before anything is written: what the plan is made from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from pipeline.demux import Demuxer, Piece
from pipeline.plan import Unit
from pipeline.splice import Splicer
from pipeline.streams import AV_TIME_BASE


@dataclass(frozen=True)
class SoundUnit:
    """One packet of sound; times in ticks."""

    pts: int
    duration: int


@dataclass
class Survey:
    """The packets around a clip, by stream, in file order."""

    pictures: list[Unit] = field(default_factory=list)
    sounds: list[SoundUnit] = field(default_factory=list)
    size_bytes: int = 0

    @property
    def sound_step(self) -> int:
        """The longest packet of sound, in ticks."""
        return max((unit.duration for unit in self.sounds), default=0)


def survey(demuxer: Demuxer, begin: Fraction, end: Fraction, splicer: Splicer | None) -> Survey:
    """Read through [begin, end) once, without decoding."""
    found = Survey()
    video = demuxer.selection.video
    for piece in demuxer.stretch(begin, end):
        found.size_bytes += piece.packet.size
        if video is not None and piece.stream == video.index:
            found.pictures.append(_unit(piece, splicer))
        else:
            found.sounds.append(SoundUnit(piece.pts, piece.duration))
    _fill_durations(found.pictures)
    found.pictures = in_order(found.pictures)
    return found


def in_order(units: list[Unit]) -> list[Unit]:
    """Return units whose decoding times rise and come no later than they are shown.

    Containers that keep no decoding times (Matroska) leave the first ones after a seek unknown: all are then made anew,
    as late as the order of display allows.
    """
    rises = all(a.dts < b.dts for a, b in pairwise(units))
    if rises and all(u.dts <= u.pts for u in units):
        return units
    shown = sorted(u.pts for u in units)
    lead = max((at - unit.pts for at, unit in zip(shown, units, strict=True)), default=0)
    return [unit._replace(dts=at - lead) for at, unit in zip(shown, units, strict=True)]


def _unit(piece: Piece, splicer: Splicer | None) -> Unit:
    is_seam = splicer is not None and splicer.is_seam(piece.packet)
    return Unit(piece.pts, piece.dts, piece.duration, piece.packet.is_keyframe, is_seam)


def _fill_durations(units: list[Unit]) -> None:
    """Give every picture the time until the next one is shown: what containers say of it is often wrong or missing."""
    order = sorted(range(len(units)), key=lambda i: units[i].pts)
    for n, i in enumerate(order[:-1]):
        step = units[order[n + 1]].pts - units[i].pts
        if step > 0:
            units[i] = units[i]._replace(duration=step)
    if order and units[order[-1]].duration <= 0:
        usual = units[order[-2]].duration if len(order) > 1 else 1
        units[order[-1]] = units[order[-1]]._replace(duration=usual)


def ticks(time_s: Fraction, base: Fraction | None) -> int:
    """Return a time in ticks."""
    return round(time_s / (base or AV_TIME_BASE))


def sound_range(sounds: Sequence[SoundUnit], start: int, end: int) -> tuple[int, int] | None:
    """Return the first and last packet heard in [start, end), or None when there is none."""
    heard = [n for n, unit in enumerate(sounds) if unit.pts < end and unit.pts + max(1, unit.duration) > start]
    return (heard[0], heard[-1]) if heard else None
