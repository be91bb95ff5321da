"""Sound and pictures of the recording in a stretch, with which clips are compared before they are published."""

from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from pipeline.cutting.sound.mono import MonoTrack

SIDE = 24
"""Pictures are compared as squares with this many fields on each side, whatever their shape."""


@dataclass(frozen=True)
class Sample:
    """A picture of the recording: its time on the recording's clock, and its fields [side, side, RGB]."""

    time_s: Fraction
    fields: NDArray[np.float32]


@dataclass
class Reference:
    """Sound and a few pictures of a stretch of a recording. Times are the container's own, in seconds."""

    start_s: Fraction = Fraction(0)
    """Start of the stretch."""
    sound: MonoTrack | None = None
    pictures: list[Sample] = field(default_factory=list)
    rotation: int = 0
    """Clockwise degrees by which players turn the pictures; these are as coded."""
    most_pictures: int | None = None
    """The most pictures that the recording shows in the stretch; None if they were not counted."""


class Shrinker:
    """Makes small squares of pictures; one object for many pictures saves its set-up."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def fields(self, frame: VideoFrame) -> NDArray[np.float32]:
        """Return the picture as fields of red, green and blue, 0 to 255."""
        small = self._reformatter.reformat(
            frame, width=SIDE, height=SIDE, format="rgb24", interpolation=Interpolation.AREA, threads=1
        )
        return np.asarray(small.to_ndarray(), np.float32)
