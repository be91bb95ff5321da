"""Requests and answers about live recordings."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from api.schemas.credentials import CREDENTIAL
from api.schemas.fields import Id, Time, Title
from api.schemas.jobs import JobView
from api.schemas.recordings import RecordingView, recording_view
from db.live_recordings import MemoryRow, PartRow, Source, TrackRow
from services.rooms.recording import MAX_PART_MS, MAX_PARTS, Capture

MIME = Annotated[
    str,
    Meta(min_length=1, max_length=200, description="As MediaRecorder names it.", examples=["audio/webm;codecs=opus"]),
]
ClockMs = Annotated[int, Meta(ge=-(2**53), le=2**53, description="Milliseconds on the client's clock.")]
Number = Annotated[int, Meta(ge=1, le=MAX_PARTS, description="1, 2, 3, … in each track.", examples=[1])]
Seconds = Annotated[float, Meta(ge=0, description="Seconds from the start of the recording.", examples=[41.5])]
Label = Annotated[str, Meta(min_length=1, max_length=200, examples=["the keyboard story"])]


class StartRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A recording to begin."""

    title: Title | None = None


class ConsentRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A person's answer to being recorded."""

    given: bool


class TrackRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A track to begin: the sound, or the picture with its sound, of one device."""

    source: Source
    content_type: MIME
    client_now_ms: Annotated[ClockMs, Meta(description="The client's clock now: Date.now() or performance.now().")]


class PartRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """The announcement of a part."""

    number: Number
    size_bytes: Annotated[int, Meta(ge=0, description="Recorders emit empty parts too.", examples=[48213])]
    start_ms: Annotated[
        ClockMs, Meta(description="Start of the part, on the clock of client_now_ms, or since the track began.")
    ]
    duration_ms: Annotated[int, Meta(ge=0, le=MAX_PART_MS, examples=[2000])]


class StoredRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """Storage's answer to the PUT of a part."""

    etag: Annotated[str, Meta(min_length=1, max_length=200, examples=['"9b2cf535f27731c974343645"'])]


class MarkRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A moment to save."""

    at_s: Annotated[Seconds | None, Meta(description="Without it: now.")] = None
    label: Label | None = None


class RoomRecordingView(Struct, kw_only=True):
    """The recording of a room."""

    recording: RecordingView


class StoppedView(Struct, kw_only=True):
    """A recording that has ended, and the job that makes one file of it."""

    recording: RecordingView
    job: JobView


class ConsentView(Struct, kw_only=True):
    """An answer that was stored."""

    given: bool


class TrackView(Struct, kw_only=True):
    """A track."""

    id: Id
    user_id: UUID
    source: Source
    content_type: MIME
    clock_offset_ms: Annotated[int, Meta(description="Server's clock minus the client's.", examples=[-120])]
    created_at: Time


class NewTrackView(Struct, kw_only=True):
    """A track that has begun."""

    track: TrackView


class CapturedTrackView(TrackView, kw_only=True):
    """A track, and which of its parts are stored."""

    stored: Annotated[list[list[int]], Meta(description="Ranges of numbers.", examples=[[[1, 40]]])]
    next_number: Annotated[int, Meta(description="The number after the last stored part.", examples=[41])]


class CaptureView(Struct, kw_only=True):
    """The stored parts of a recording, so that a client knows what to send again."""

    recording: RecordingView
    tracks: list[CapturedTrackView]


class PartUrlView(Struct, kw_only=True):
    """The address for the PUT of a part's bytes."""

    number: Number
    url: Annotated[str, CREDENTIAL, Meta(examples=["https://storage.example.com/recordings/…"])]
    expires_at: Time


class StoredTrackPartView(Struct, kw_only=True):
    """A part that is stored."""

    number: Number
    size_bytes: int
    stored_at: Time


class MemoryView(Struct, kw_only=True):
    """A saved moment."""

    id: Id
    status: Literal["saved"] = "saved"
    created_at: Time
    recording_id: UUID
    at_s: Seconds
    label: Label | None


def track_view(row: TrackRow) -> TrackView:
    """Show a track."""
    return TrackView(
        id=row.id,
        user_id=row.user_id,
        source=row.source,
        content_type=row.content_type,
        clock_offset_ms=row.clock_offset_ms,
        created_at=row.created_at,
    )


def capture_view(found: Capture) -> CaptureView:
    """Show the stored parts of a recording."""
    tracks = []
    for row in found.tracks:
        ranges = found.stored.get(row.id, [])
        tracks.append(
            CapturedTrackView(
                id=row.id,
                user_id=row.user_id,
                source=row.source,
                content_type=row.content_type,
                clock_offset_ms=row.clock_offset_ms,
                created_at=row.created_at,
                stored=[list(each) for each in ranges],
                next_number=ranges[-1][1] + 1 if ranges else 1,
            )
        )
    return CaptureView(recording=recording_view(found.recording), tracks=tracks)


def stored_view(row: PartRow, now: datetime) -> StoredTrackPartView:
    """Show a stored part."""
    return StoredTrackPartView(number=row.number, size_bytes=row.size_bytes, stored_at=row.stored_at or now)


def memory_view(row: MemoryRow) -> MemoryView:
    """Show a saved moment."""
    return MemoryView(
        id=row.id, created_at=row.created_at, recording_id=row.recording_id, at_s=row.at_s, label=row.label
    )
