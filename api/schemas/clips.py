"""Clips and share links, as clients see them."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from api.schemas.credentials import CREDENTIAL
from api.schemas.fields import (
    ClipStatus,
    Description,
    EndSeconds,
    ErrorDetails,
    Id,
    Loudness,
    PictureUrl,
    Platform,
    Seconds,
    Sensitivity,
    Time,
    TimeText,
    Title,
    Top,
    error_details,
)
from api.schemas.jobs import Eta, JobView, Percent, Stage
from pipeline.types import (
    Accuracy,
    Colour,
    FadeSeconds,
    Follow,
    Format,
    Kind,
    Preset,
    Shape,
    SquareSize,
    SubtitlesOrigin,
    SubtitleText,
    ThemeName,
    VerticalHeight,
)
from services.clips.download import Pictures
from services.clips.service import Clip, ClipActivity, ClipStyle

Formats = Annotated[list[Format], Meta(min_length=1, max_length=10, examples=[["mp4"]])]
Options = Annotated[dict[str, Any], Meta(description="The options of the preset.", examples=[{"fade_in_s": 0.5}])]
Fade = Annotated[FadeSeconds, Meta(description="Seconds.", examples=[0.5])]
HexColour = Annotated[Colour, Meta(description="#rrggbb.", examples=["#7c9cff"])]


class OptionsRequest(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Options of a preset. Every preset takes the first six; the others name their presets."""

    fade_in_s: Fade | None = None
    fade_out_s: Fade | None = None
    subtitles: Annotated[SubtitleText, Meta(description="SRT or WebVTT, burnt in.", examples=["WEBVTT\n"])] | None = (
        None
    )
    subtitles_origin: (
        Annotated[
            SubtitlesOrigin, Meta(description="Time 0 of the subtitles: the start of the clip or of the recording.")
        ]
        | None
    ) = None
    keep_codec: (
        Annotated[bool, Meta(description="Let an MP4 keep HEVC or AV1 where the cut can copy it.", examples=[False])]
        | None
    ) = None
    storyboard: Annotated[bool, Meta(description="Also make a picture for scrubbing.", examples=[False])] | None = None
    blurred_sides: Annotated[bool, Meta(description="vertical, square.", examples=[True])] | None = None
    follow: Annotated[Follow, Meta(description="vertical, square.")] | None = None
    height: Annotated[VerticalHeight, Meta(description="vertical.")] | None = None
    size: Annotated[SquareSize, Meta(description="square.")] | None = None
    shape: Annotated[Shape, Meta(description="audiogram.")] | None = None
    theme: Annotated[ThemeName, Meta(description="audiogram.")] | None = None
    background: HexColour | None = None
    wave: HexColour | None = None
    text: HexColour | None = None
    progress: HexColour | None = None
    show_progress: Annotated[bool, Meta(description="audiogram.", examples=[True])] | None = None


class StyleRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The look and sound of clips."""

    preset: Preset | None = None
    formats: Formats | None = None
    accuracy: Accuracy = "exact"
    loudness: Loudness | None = None
    options: Annotated[OptionsRequest, Meta(examples=[{"fade_in_s": 0.5}])] = msgspec.field(
        default_factory=OptionsRequest
    )

    def style(self) -> ClipStyle:
        """Return the specification in the service's form."""
        return ClipStyle(
            preset=self.preset,
            formats=None if self.formats is None else list(self.formats),
            accuracy=self.accuracy,
            loudness=self.loudness,
            options=msgspec.to_builtins(self.options),
        )


class ClipRequest(StyleRequest, kw_only=True, forbid_unknown_fields=True):
    """A clip of a recording."""

    recording_id: Id
    start_s: Seconds
    end_s: EndSeconds
    title: Annotated[str, Meta(max_length=300, examples=["The demo works"])] | None = None
    description: Description = ""
    highlight_id: Id | None = None


class AutoGenerateRequest(StyleRequest, kw_only=True, forbid_unknown_fields=True):
    """A clip of each highlight of a recording."""

    recording_id: Id
    sensitivity: Sensitivity | None = None
    top: Top | None = None


class DescribeRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The fields to change."""

    title: Title | None = None
    description: Description | None = None
    keep: (
        Annotated[bool, Meta(description="Keep it forever; false: for the usual time from now.", examples=[True])]
        | None
    ) = None


class ShareRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The platform of a link, and its end."""

    platform: Platform = "direct_link"
    expires_at: TimeText | None = None


class OutputView(Struct, kw_only=True):
    """A file of a clip."""

    content_type: Annotated[str, Meta(examples=["video/mp4"])]
    size_bytes: Annotated[int, Meta(examples=[2411724])]
    duration_s: Annotated[float | None, Meta(examples=[21.48])] = None
    width: Annotated[int | None, Meta(examples=[1280])] = None
    height: Annotated[int | None, Meta(examples=[720])] = None
    copied_s: Annotated[float, Meta(description="Seconds copied without encoding.", examples=[18.0])] = 0.0
    encoded_s: Annotated[float, Meta(examples=[3.48])] = 0.0


class ClipView(Struct, kw_only=True):
    """A clip."""

    id: Id
    status: ClipStatus
    created_at: Time
    recording_id: UUID
    highlight_id: UUID | None
    job_id: UUID | None
    title: Annotated[str, Meta(examples=["The demo works"])]
    description: Description
    start_s: Seconds
    end_s: EndSeconds
    duration_s: Annotated[float, Meta(examples=[21.5])]
    preset: Preset
    formats: Formats
    accuracy: Accuracy
    loudness: Loudness | None
    options: Options
    outputs: Annotated[dict[str, OutputView], Meta(description="What can be downloaded, by format.")]
    is_preview: Annotated[bool, Meta(description="Only the fast version exists so far.", examples=[False])]
    notes: Annotated[list[Any], Meta(description="Notes of the render.", examples=[[]])]
    error: ErrorDetails | None
    updated_at: Time
    completed_at: Time | None
    expires_at: Annotated[Time | None, Meta(description="When its files go; null while it is kept.")]
    view_count: Annotated[int, Meta(description="How often its public page was opened.", examples=[1204])]
    share_count: Annotated[int, Meta(description="Number of links made.", examples=[38])]
    is_kept: Annotated[bool, Meta(examples=[False])]
    thumbnail_url: PictureUrl = None
    preview_url: Annotated[
        str | None, CREDENTIAL, Meta(description="A moving picture, for some hours.", examples=[None])
    ] = None
    recording_title: Annotated[str | None, Meta(examples=["Friday talk"])] = None
    kind: Annotated[Kind | None, Meta(description="Of the highlight that it was made from.")] = None
    progress: Percent | None = None
    stage: Stage = None
    eta_s: Eta = None


class ClipTotalsView(Struct, kw_only=True):
    """Number of clips by status."""

    all: Annotated[int, Meta(examples=[87])]
    queued: Annotated[int, Meta(examples=[1])] = 0
    processing: Annotated[int, Meta(examples=[1])] = 0
    completed: Annotated[int, Meta(examples=[83])] = 0
    failed: Annotated[int, Meta(examples=[1])] = 0
    cancelled: Annotated[int, Meta(examples=[0])] = 0
    expired: Annotated[int, Meta(examples=[1])] = 0


class ClipJobView(Struct, kw_only=True):
    """A clip and the job that makes it."""

    clip: ClipView
    job: JobView


class GeneratedView(Struct, kw_only=True):
    """Clips that are being made, or the detection that makes them."""

    clips: list[ClipView]
    job: Annotated[
        JobView | None, Meta(description="The first clip's job, or the detection; null when nothing stood out.")
    ]
    jobs: list[JobView]
    skipped: Annotated[int, Meta(description="Highlights beyond the month's allowance.", examples=[0])] = 0


class ClipStatusView(Struct, kw_only=True):
    """The progress of a clip."""

    id: Id
    status: ClipStatus
    created_at: Time
    progress: Percent
    stage: Stage
    eta_s: Eta
    is_preview: Annotated[bool, Meta(examples=[False])]
    error: ErrorDetails | None


class ShareView(Struct, kw_only=True):
    """A share link."""

    id: Id
    status: Annotated[str, Meta(examples=["active"])]
    created_at: Time
    clip_id: UUID
    slug: Annotated[str, Meta(examples=["Zk3vXo2yBqT0mN8aLr4w"])]
    platform: Platform
    url: Annotated[
        str, Meta(description="The public page.", examples=["https://clips.example.com/c/Zk3vXo2yBqT0mN8aLr4w"])
    ]
    embed_url: Annotated[str, Meta(examples=["https://clips.example.com/embed/Zk3vXo2yBqT0mN8aLr4w"])]
    share_url: Annotated[
        str,
        Meta(description="The address to open for the platform.", examples=["https://twitter.com/intent/tweet?url=…"]),
    ]
    expires_at: Time | None


class RevokedView(Struct, kw_only=True):
    """The number of closed links."""

    revoked: Annotated[int, Meta(examples=[1])]
    status: Annotated[str, Meta(examples=["revoked"])] = "revoked"


class OEmbedView(Struct, kw_only=True):
    """oEmbed's description of a video (oembed.com)."""

    version: Annotated[str, Meta(examples=["1.0"])] = "1.0"
    type: Annotated[str, Meta(examples=["video"])] = "video"
    provider_name: Annotated[str, Meta(examples=["Big Snuggles"])] = "Big Snuggles"
    provider_url: Annotated[str, Meta(examples=["https://clips.example.com"])]
    title: Annotated[str, Meta(examples=["The demo works"])]
    html: Annotated[str, Meta(examples=["<iframe …></iframe>"])]
    width: Annotated[int, Meta(examples=[1280])]
    height: Annotated[int, Meta(examples=[720])]
    thumbnail_url: Annotated[str | None, Meta(examples=["https://clips.example.com/c/…/media/jpeg"])] = None
    thumbnail_width: Annotated[int | None, Meta(examples=[1280])] = None
    thumbnail_height: Annotated[int | None, Meta(examples=[720])] = None


def shown_clip(clip: Clip, activity: ClipActivity | None, pictures: Pictures) -> ClipView:
    """Show a clip with its pictures, its source and its progress."""
    view = clip_view(clip)
    view.thumbnail_url, view.preview_url = pictures.thumbnail_url, pictures.preview_url
    if activity is not None:
        view.recording_title = activity.recording_title
        view.kind = activity.kind  # type: ignore[assignment]  # the column's CHECK lists the same kinds
        view.progress, view.stage, view.eta_s = activity.progress, activity.stage, activity.eta_s
    return view


def clip_view(clip: Clip) -> ClipView:
    """Show a clip, without the keys of its objects."""
    return ClipView(
        id=clip.id,
        status=clip.status,  # type: ignore[arg-type]  # the column's CHECK lists the same states
        created_at=clip.created_at,
        recording_id=clip.recording_id,
        highlight_id=clip.highlight_id,
        job_id=clip.job_id,
        title=clip.title,
        description=clip.description,
        start_s=clip.start_s,
        end_s=clip.end_s,
        duration_s=round(clip.end_s - clip.start_s, 6),
        preset=clip.preset,  # type: ignore[arg-type]  # the same
        formats=clip.formats,  # type: ignore[arg-type]  # the same
        accuracy=clip.accuracy,  # type: ignore[arg-type]  # the same
        loudness=clip.loudness,
        options=clip.options,
        outputs={name: _output_view(stored) for name, stored in clip.objects.items()},
        is_preview=clip.is_preview,
        notes=clip.notes,
        error=error_details(clip.error),
        updated_at=clip.updated_at,
        completed_at=clip.completed_at,
        expires_at=clip.expires_at,
        view_count=clip.view_count,
        share_count=clip.share_count,
        is_kept=clip.is_kept,
    )


def _output_view(stored: dict[str, Any]) -> OutputView:
    return OutputView(
        content_type=stored["content_type"],
        size_bytes=stored["size_bytes"],
        duration_s=stored.get("duration_s"),
        width=stored.get("width"),
        height=stored.get("height"),
        copied_s=stored.get("copied_s", 0.0),
        encoded_s=stored.get("encoded_s", 0.0),
    )
