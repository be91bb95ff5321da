"""Lists the packets of a clip, from which the plan is made, before anything is written."""

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from pipeline.cutting.plan import Unit
from pipeline.cutting.splice.splicer import Splicer
from pipeline.reading.demux import Demuxer, Piece
from pipeline.reading.format.mpeg4 import is_packed
from pipeline.reading.streams import AV_TIME_BASE


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
    sound_step: int = 0
    """The longest packet of sound, in ticks."""
    is_packed: bool = False
    """Whether packets hold several pictures, as DivX and Xvid wrote them into AVI."""
    changes: bool = False
    """Whether the pictures change their size or format midway."""


def survey(demuxer: Demuxer, begin: Fraction, end: Fraction, splicer: Splicer | None) -> Survey:
    """Read through [begin, end) once, without decoding."""
    found = Survey()
    video = demuxer.selection.video
    may_be_packed = video is not None and video.codec_context.codec.canonical_name == "mpeg4"
    for piece in demuxer.stretch(begin, end):
        if video is not None and piece.stream == video.index:
            found.pictures.append(_unit(piece, splicer))
            found.is_packed = found.is_packed or (may_be_packed and is_packed(bytes(piece.packet)))
            found.changes = found.changes or (splicer is not None and splicer.is_other(piece.packet))
        else:
            found.sounds.append(SoundUnit(piece.pts, piece.duration))
            found.sound_step = max(found.sound_step, piece.duration)
    _fill_durations(found.pictures)
    found.pictures = in_order(found.pictures)
    return found


def in_order(units: list[Unit]) -> list[Unit]:
    """Return units whose decoding times rise and are no later than those of display.

    In containers without decoding times (Matroska), the first ones after a seek are unknown. All are then computed, as
    late as the order of display allows.
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
    """Give every picture the time until the next one as its duration: containers' own are often wrong or missing."""
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
