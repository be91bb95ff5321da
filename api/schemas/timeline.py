"""The data from which a page draws a recording, as clients see it."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from api.schemas.fields import Score
from services.recordings.audience import Audience
from services.recordings.service import Recording
from services.recordings.timeline import Drawing


class WaveformView(Struct, kw_only=True):
    """The sound as peaks over time."""

    rate: Annotated[float, Meta(description="Peaks a second.", examples=[10.0])]
    duration_s: Annotated[float, Meta(examples=[183.4])]
    peaks: Annotated[
        list[Annotated[int, Meta(ge=0, le=255)]],
        Meta(description="0 is silence, 255 full scale.", examples=[[3, 40, 120]]),
    ]


class CurveView(Struct, kw_only=True):
    """The score over time."""

    rate: Annotated[float, Meta(description="Values a second.", examples=[10.0])]
    values: Annotated[list[Score], Meta(examples=[[0.1, 0.4, 0.9]])]


class TaggerView(Struct, kw_only=True):
    """The classes of sound that the audio tagger `name` found."""

    name: Annotated[str, Meta(description="The tagger and its version.", examples=["built-in-2"])]
    rate: Annotated[float, Meta(description="Values a second.", examples=[2.083])]
    groups: Annotated[
        dict[str, list[Annotated[int, Meta(ge=0, le=100)]]],
        Meta(
            description="By class group (laughter, applause, cheering, shouting, screaming, speech, music, alarm …): "
            "the tagger's confidence, 0 to 100.",
            examples=[{"laughter": [2, 88, 91], "speech": [97, 40, 12]}],
        ),
    ]


class ActivityView(Struct, kw_only=True):
    """Counts of activity in the room during one stretch of the recording."""

    time_s: Annotated[float, Meta(description="Start of the stretch.", examples=[96.0])]
    signal: Annotated[Literal["message", "reaction", "vote", "join"], Meta(examples=["reaction"])]
    count: Annotated[int, Meta(ge=1, examples=[18])]


class MomentView(Struct, kw_only=True):
    """A moment that somebody in the room saved."""

    time_s: Annotated[float, Meta(examples=[101.5])]
    label: Annotated[str | None, Meta(description="Null without one, and for moments of others.", examples=["Joke"])]


class TimelineView(Struct, kw_only=True):
    """The data from which a page draws a recording."""

    recording_id: UUID
    duration_s: Annotated[float, Meta(examples=[183.4])]
    waveform: WaveformView
    curve: CurveView | None
    tagger: Annotated[TaggerView | None, Meta(description="Null until an audio tagger has listened.")]
    keyframes_s: Annotated[
        list[float], Meta(description="Times at which a cut needs no encoding.", examples=[[0.0, 2.0, 4.0]])
    ]
    activity: Annotated[
        list[ActivityView],
        Meta(description="Actions of the audience of a room's recording, in order, without names or texts."),
    ]
    activity_bin_s: Annotated[float, Meta(description="How long each stretch of `activity` is.", examples=[6.0])]
    moments: Annotated[list[MomentView], Meta(description="Saved moments in order of time, the first 500.")]


def timeline_view(recording: Recording, drawn: Drawing, audience: Audience) -> TimelineView:
    """Show the data to draw."""
    curve, tags = drawn.curve, drawn.tagger
    return TimelineView(
        recording_id=recording.id,
        duration_s=drawn.duration_s,
        waveform=WaveformView(
            rate=drawn.waveform.rate, duration_s=drawn.waveform.duration_s, peaks=drawn.waveform.peaks
        ),
        curve=None if curve is None else CurveView(rate=curve.rate, values=curve.values),
        tagger=None if tags is None else TaggerView(name=tags.name, rate=tags.rate, groups=tags.groups),
        keyframes_s=drawn.keyframes_s,
        activity=[ActivityView(time_s=row.time_s, signal=row.signal, count=row.count) for row in audience.activity],
        activity_bin_s=audience.bin_s,
        moments=[MomentView(time_s=row.at_s, label=row.label) for row in audience.moments],
    )
