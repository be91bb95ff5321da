"""Recordings, uploads and highlights, as clients see them."""

from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct

from api.schemas.credentials import CREDENTIAL
from api.schemas.fields import (
    CoreSeconds,
    EndSeconds,
    ErrorDetails,
    Id,
    JobStatus,
    PictureUrl,
    RecordingStatus,
    Score,
    Seconds,
    Sensitivity,
    Time,
    Title,
    Top,
    error_details,
)
from api.schemas.jobs import Eta, JobView, Percent, Stage
from pipeline.types import Kind
from services.recordings.highlights import HighlightRow, RecordingActivity
from services.recordings.service import Recording
from services.recordings.upload import StoredParts, Upload, UploadPart

Filename = Annotated[str, Meta(min_length=1, max_length=1000, examples=["talk.mp4"])]
Etag = Annotated[
    str,
    Meta(
        min_length=1, max_length=200, description="From the answer to the PUT.", examples=['"9b2cf535f27731c974343645"']
    ),
]
PartNumber = Annotated[int, Meta(ge=1, le=10_000, examples=[1])]
ClipLength = Annotated[float, Meta(ge=1, le=300, examples=[8.0])]


class RecordingRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A recording that is about to be uploaded."""

    filename: Filename
    size_bytes: Annotated[int, Meta(ge=1, description="The true size of the file.", examples=[52428800])]
    content_type: Annotated[str, Meta(min_length=1, max_length=200, examples=["video/mp4"])]
    title: Title | None = None


class ImportRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A recording that the service fetches."""

    url: Annotated[str, Meta(min_length=1, max_length=2048, examples=["https://media.example.com/talk.mp4"])]
    title: Title | None = None


class RenameRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A new title."""

    title: Title


class PartTagRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """One stored part."""

    number: PartNumber
    etag: Etag


class CompleteRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Every part of the upload."""

    parts: Annotated[list[PartTagRequest], Meta(min_length=1, max_length=10_000)]


class ScoreRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Options for picking highlights; lengths or weights need a new scoring."""

    sensitivity: Sensitivity | None = None
    top: Top | None = None
    min_s: ClipLength | None = None
    max_s: ClipLength | None = None
    weights: (
        Annotated[
            dict[str, Annotated[float, Meta(ge=0, le=10)]],
            Meta(
                max_length=50,
                description="Factor by signal: 0 silences it, 2 doubles it.",
                examples=[{"laughter": 2.0, "loudness": 0.5}],
            ),
        ]
        | None
    ) = None


class WorkView(Struct, kw_only=True):
    """The current work on a recording."""

    job_id: UUID
    kind: Annotated[str, Meta(description="import, ingest or detect.", examples=["ingest"])]
    status: JobStatus
    stage: Stage
    progress: Percent
    eta_s: Eta


class RecordingView(Struct, kw_only=True):
    """A recording."""

    id: Id
    status: RecordingStatus
    created_at: Time
    title: Title
    filename: Filename
    content_type: Annotated[str, Meta(examples=["video/mp4"])]
    size_bytes: Annotated[int | None, Meta(examples=[52428800])]
    duration_s: Annotated[float | None, Meta(examples=[183.4])]
    has_audio: Annotated[bool | None, Meta(examples=[True])]
    has_video: Annotated[bool | None, Meta(examples=[True])]
    source_url: Annotated[str | None, Meta(description="The source of an import.", examples=[None])]
    probe: Annotated[
        dict[str, Any] | None, Meta(description="Container and streams; null until it was read.", examples=[None])
    ]
    error: ErrorDetails | None
    updated_at: Time
    ready_at: Time | None
    poster_url: PictureUrl = None
    highlight_count: Annotated[
        int | None, Meta(description="Number of highlights in a list without a sensitivity.", examples=[6])
    ] = None
    work: WorkView | None = None


class RecordingTotalsView(Struct, kw_only=True):
    """Number of recordings by status."""

    all: Annotated[int, Meta(examples=[24])]
    uploading: Annotated[int, Meta(examples=[0])] = 0
    live: Annotated[int, Meta(examples=[0])] = 0
    processing: Annotated[int, Meta(examples=[2])] = 0
    ready: Annotated[int, Meta(examples=[21])] = 0
    failed: Annotated[int, Meta(examples=[1])] = 0


class PlaybackView(Struct, kw_only=True):
    """The address that plays a recording; it supports byte ranges."""

    url: Annotated[str, CREDENTIAL, Meta(examples=["https://storage.example.com/recordings/…"])]
    poster_url: Annotated[str | None, CREDENTIAL, Meta(examples=[None])]
    content_type: Annotated[str, Meta(examples=["video/mp4"])]
    expires_at: Time


class UploadPartView(Struct, kw_only=True):
    """The address for one part: PUT its bytes there, without other headers."""

    number: PartNumber
    url: Annotated[str, CREDENTIAL, Meta(examples=["https://storage.example.com/recordings/…?partNumber=1&…"])]
    expires_at: Time


class UploadView(Struct, kw_only=True):
    """The addresses for a recording's bytes."""

    part_size_bytes: Annotated[int, Meta(description="Of every part but the last.", examples=[16777216])]
    parts: list[UploadPartView]


class StoredPartView(Struct, kw_only=True):
    """A part that storage has."""

    number: PartNumber
    etag: Etag
    size_bytes: Annotated[int, Meta(examples=[16777216])]


class PartsView(Struct, kw_only=True):
    """The stored and missing parts of an upload."""

    part_size_bytes: Annotated[int, Meta(examples=[16777216])]
    parts: Annotated[list[StoredPartView], Meta(description="Stored already.")]
    missing: Annotated[list[UploadPartView], Meta(description="Missing parts, with new addresses.")]


class NewRecordingView(Struct, kw_only=True):
    """A recording and the addresses for its bytes."""

    recording: RecordingView
    upload: UploadView


class RecordingJobView(Struct, kw_only=True):
    """A recording and the job that works on it."""

    recording: RecordingView
    job: JobView


class ReasonView(Struct, kw_only=True):
    """A named part of a score; the contributions of all of them sum to it."""

    signal: Annotated[str, Meta(examples=["steadiness"])]
    weight: Annotated[float, Meta(examples=[1.4])]
    contribution: Annotated[float, Meta(examples=[0.31])]


class HighlightView(Struct, kw_only=True):
    """A moment worth sharing. The core is the moment itself; start and end are padded to pauses."""

    id: Id
    start_s: Seconds
    end_s: EndSeconds
    core_start_s: CoreSeconds
    core_end_s: EndSeconds
    peak_s: CoreSeconds
    score: Score
    kind: Kind
    kind_confidence: Score
    reasons: list[ReasonView]


class HighlightsView(Struct, kw_only=True):
    """Highlights, best first, and the sensitivity used."""

    items: list[HighlightView]
    next_cursor: Annotated[str | None, Meta(examples=[None])] = None
    sensitivity: Sensitivity


class ScoredView(Struct, kw_only=True, omit_defaults=True):
    """Highlights from the stored scores, or the job of a new scoring."""

    items: list[HighlightView] | None = None
    next_cursor: Annotated[str | None, Meta(examples=[None])] = None
    sensitivity: Sensitivity | None = None
    job: JobView | None = None


def recording_view(
    recording: Recording, *, activity: RecordingActivity | None = None, poster_url: str | None = None
) -> RecordingView:
    """Show a recording, without the keys of its objects."""
    return RecordingView(
        id=recording.id,
        status=recording.status,  # type: ignore[arg-type]  # the column's CHECK lists the same states, but for deleted
        created_at=recording.created_at,
        title=recording.title,
        filename=recording.filename,
        content_type=recording.content_type,
        size_bytes=recording.size_bytes,
        duration_s=recording.duration_s,
        has_audio=recording.has_audio,
        has_video=recording.has_video,
        source_url=recording.source_url,
        probe=recording.probe,
        error=error_details(recording.error),
        updated_at=recording.updated_at,
        ready_at=recording.ready_at,
        poster_url=poster_url,
        highlight_count=activity.highlight_count if activity and recording.status == "ready" else None,
        work=_work_view(activity) if activity and activity.job_id else None,
    )


def _work_view(activity: RecordingActivity) -> WorkView:
    return WorkView(
        job_id=activity.job_id,  # type: ignore[arg-type]  # the caller has looked
        kind=activity.kind or "",
        status=activity.state,  # type: ignore[arg-type]  # the column's CHECK lists the same states
        stage=activity.stage,
        progress=activity.progress or 0.0,
        eta_s=activity.eta_s,
    )


def upload_part_view(part: UploadPart) -> UploadPartView:
    """Show the address for one part."""
    return UploadPartView(number=part.number, url=part.url, expires_at=part.expires_at)


def upload_view(upload: Upload) -> UploadView:
    """Show the addresses for the bytes."""
    return UploadView(part_size_bytes=upload.part_size_bytes, parts=[upload_part_view(part) for part in upload.parts])


def parts_view(stored: StoredParts) -> PartsView:
    """Show the stored and missing parts of an upload."""
    return PartsView(
        part_size_bytes=stored.part_size_bytes,
        parts=[
            StoredPartView(number=part.number, etag=part.etag, size_bytes=part.size_bytes) for part in stored.stored
        ],
        missing=[upload_part_view(part) for part in stored.missing],
    )


def highlight_view(row: HighlightRow) -> HighlightView:
    """Show a highlight."""
    return HighlightView(
        id=row.id,
        start_s=row.start_s,
        end_s=row.end_s,
        core_start_s=row.core_start_s,
        core_end_s=row.core_end_s,
        peak_s=row.peak_s,
        score=row.score,
        kind=row.kind,  # type: ignore[arg-type]  # the column's CHECK lists the same kinds
        kind_confidence=row.kind_confidence,
        reasons=[
            ReasonView(signal=reason["signal"], weight=reason["weight"], contribution=reason["contribution"])
            for reason in row.reasons
        ],
    )
