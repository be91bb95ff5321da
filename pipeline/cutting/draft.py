"""The draft of a clip: its plan and its packets."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pipeline.cutting.plan import CutPlan
from pipeline.cutting.splice.splicer import Splicer
from pipeline.cutting.survey import Survey
from pipeline.reading.demux import Demuxer, Piece


@dataclass(frozen=True)
class Draft:
    """The material of a clip. `asked` is the surveyed stretch; `start` and `end` are the clip's own exact times."""

    demuxer: Demuxer
    splicer: Splicer | None
    survey: Survey
    plan: CutPlan
    asked: tuple[Fraction, Fraction]
    start: Fraction
    end: Fraction
    is_exact: bool

    @property
    def pieces(self) -> Iterator[Piece]:
        """The surveyed packets, in the same order."""
        return self.demuxer.stretch(*self.asked)

    @property
    def cache_dir(self) -> Path | None:
        """The folder that clips of this recording share."""
        cache_dir = self.demuxer.media.source.cache_dir
        return None if cache_dir is None else Path(cache_dir)
