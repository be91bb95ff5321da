"""Recording a room while it runs: consent, tracks, parts, saved moments. The bytes go straight to storage."""

from datetime import datetime
from uuid import UUID, uuid4

from msgspec import Struct

from db import live_recordings as rows
from db import recordings as recording_rows
from db import room_participants as participant_rows
from db.connection import Transaction
from db.live_recordings import LiveRow, MemoryRow, NewLive, PartRow, Source, TrackRow
from db.recordings import Recording
from services import sanitising
from services.billing import quota as quotas
from services.billing.tier import UNLIMITED
from services.errors import ConflictError, ForbiddenError, InvalidFieldError, NotFoundError, PayloadTooLargeError
from services.jobs import service as jobs
from services.jobs.service import Job
from services.rooms import event as events
from services.rooms import live
from services.rooms import service as rooms
from services.rooms.person import Person
from services.rooms.shape import participant_shape
from storage.keys import live_part_key, source_key

MAX_TRACKS = 32
"""Enough for six speakers who each reload a few times."""
MAX_PART_BYTES = 64 * 1024 * 1024
"""Four seconds of a shared 4K screen are about ten megabytes."""
MAX_PART_MS = 60_000
MAX_PARTS = 100_000
SILENT_S = 15 * 60
"""A laptop that was closed for a while continues; after this without parts, the recording is stopped."""
SWEEP_BATCH = 100
LEAST_LENGTH_S = 60.0
"""The least limit of any tier."""
END_MARGIN_S = 60.0
"""The scheduler looks every minute, and ingest refuses recordings longer than the tier allows, so they end earlier."""
LISTEN = "listen_live"
FILENAME = "recording.webm"
SOURCE_ROLES: dict[Source, str] = {"camera": "camera", "screen": "shared screen"}


class RecordingRunningError(ConflictError):
    """The room is recording already."""

    code = "recording_running"


class Capture(Struct, frozen=True, kw_only=True):
    """The tracks of a recording with the numbers of their stored parts."""

    recording: Recording
    tracks: list[TrackRow]
    stored: dict[UUID, list[tuple[int, int]]]


class AnnouncedPart(Struct, frozen=True, kw_only=True):
    """A part that may be sent, and the key of its object."""

    part: PartRow
    key: str


def start(tx: Transaction, person: Person, *, room_id: UUID, title: str | None, now: datetime) -> Recording:
    """Begin to record a room, as its host or a co-host. The recording belongs to the host and reserves a conversation.

    Raises NotFoundError, BannedError, RoomEndedError, ForbiddenError, RecordingRunningError or QuotaExceededError.
    """
    found = rooms.lock(tx, person, room_id)
    rooms.require_editor(found)
    room = found.room
    if room.recording_id is not None:
        raise RecordingRunningError("This room is being recorded already.", recording_id=str(room.recording_id))
    recording_id = uuid4()
    quotas.reserve(tx, user_id=room.host_user_id, feature=quotas.CONVERSATIONS, subject_id=recording_id, now=now)
    new = NewLive(
        recording_id=recording_id,
        room_id=room_id,
        user_id=room.host_user_id,
        title=sanitising.clean_title(title) if title is not None else room.name,
        filename=FILENAME,
        content_type="video/webm",
        source_key=source_key(room.host_user_id, recording_id),
    )
    rows.begin(tx, new, now=now)
    # The person who starts the recording has agreed; everybody else is asked.
    _answer(tx, room_id=room_id, recording_id=recording_id, user_id=person.user_id, given=True)
    seq = events.next_seq(tx, room_id)
    events.append(tx, events.RecordingStarted(room_id=room_id, seq=seq, recording_id=recording_id))
    return _recording(tx, room.host_user_id, recording_id)


def consent(tx: Transaction, person: Person, *, room_id: UUID, given: bool) -> None:
    """Store a person's answer to being recorded; ConflictError if nothing is being recorded."""
    found = rooms.lock(tx, person, room_id)
    recording_id = _running(found.room.recording_id)
    _answer(tx, room_id=room_id, recording_id=recording_id, user_id=person.user_id, given=given)


def add_track(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction,
    person: Person,
    *,
    room_id: UUID,
    source: Source,
    content_type: str,
    client_now_ms: int,
    now: datetime,
) -> TrackRow:
    """Begin a track. Its clock offset is the server's clock minus the client's.

    ForbiddenError before the person has agreed, and for cameras or screens unless they are host or co-host;
    ConflictError if nothing is being recorded.
    """
    found = rooms.lock(tx, person, room_id)
    recording_id = _running(found.room.recording_id)
    if source in SOURCE_ROLES and not found.is_editor:
        raise ForbiddenError(f"Only the host and co-hosts can record a {SOURCE_ROLES[source]}.", reason="hosts_only")
    if not rows.has_consented(tx, recording_id=recording_id, user_id=person.user_id):
        raise ForbiddenError(
            "Agree to being recorded first; until then nothing of yours is recorded.", reason="consent_missing"
        )
    if len(rows.list_tracks(tx, recording_id)) >= MAX_TRACKS:
        raise ConflictError(f"This recording has {MAX_TRACKS} tracks already; continue one of them.", reason="too_many")
    return rows.insert_track(
        tx,
        recording_id=recording_id,
        user_id=person.user_id,
        source=source,
        content_type=sanitising.clean_content_type(content_type.partition(";")[0].strip()),
        clock_offset_ms=round(now.timestamp() * 1000) - client_now_ms,
        now=now,
    )


def announce_part(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction,
    person: Person,
    *,
    room_id: UUID,
    track_id: UUID,
    number: int,
    size_bytes: int,
    start_ms: int,
    duration_ms: int,
    now: datetime,
) -> AnnouncedPart:
    """Announce a part of one's own track; a repeat changes nothing once the part is stored.

    NotFoundError for another's track; ConflictError when the recording has ended; PayloadTooLargeError,
    InvalidFieldError; QuotaExceededError when the host's storage is full.
    """
    track, recording = _open_track(tx, person, room_id=room_id, track_id=track_id)
    if recording.status == "live" and _is_longer(tx, recording, now=now):
        raise ConflictError(
            "The recording is as long as the host's plan allows; it takes no more parts.", reason="recording_full"
        )
    if size_bytes > MAX_PART_BYTES:
        raise PayloadTooLargeError(
            f"The part has {size_bytes} bytes; at most {MAX_PART_BYTES} are accepted. Send shorter parts.",
            field="size_bytes",
            max_bytes=MAX_PART_BYTES,
        )
    if not 1 <= number <= MAX_PARTS:
        raise InvalidFieldError("number", f"Parts are numbered from 1 to {MAX_PARTS}.")
    if not 0 <= duration_ms <= MAX_PART_MS:
        raise InvalidFieldError("duration_ms", f"A part lasts at most {MAX_PART_MS} ms.")
    quotas.reserve(tx, user_id=recording.user_id, feature=quotas.STORAGE, amount=size_bytes)
    part = rows.upsert_part(
        tx, track_id=track.id, number=number, size_bytes=size_bytes, start_ms=start_ms, duration_ms=duration_ms
    ) or rows.find_part(tx, track_id=track.id, number=number)
    assert part is not None  # noqa: S101 - inserted just now, or stored earlier
    return AnnouncedPart(part=part, key=live_part_key(recording.user_id, recording.id, track.id, number))


def find_announced(tx: Transaction, person: Person, *, room_id: UUID, track_id: UUID, number: int) -> AnnouncedPart:
    """Return an announced part of one's own track; NotFoundError, ConflictError if the recording has ended."""
    track, recording = _open_track(tx, person, room_id=room_id, track_id=track_id)
    part = rows.find_part(tx, track_id=track.id, number=number)
    if part is None:
        raise NotFoundError(f"Part {number} was not announced.")
    return AnnouncedPart(part=part, key=live_part_key(recording.user_id, recording.id, track.id, number))


def stored(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction, person: Person, *, room_id: UUID, track_id: UUID, number: int, etag: str
) -> PartRow:
    """Mark a part as stored, and queue its analysis; a second call changes nothing."""
    track, recording = _open_track(tx, person, room_id=room_id, track_id=track_id)
    part = rows.set_stored(tx, track_id=track.id, number=number, etag=etag)
    if part is None:
        raise NotFoundError(f"Part {number} was not announced.")
    live.settle(tx, recording)
    if recording.status == "live" and not jobs.is_waiting(tx, kind=LISTEN, recording_id=recording.id):
        jobs.enqueue(tx, kind=LISTEN, user_id=recording.user_id, recording_id=recording.id)
    return part


def capture(tx: Transaction, person: Person, *, room_id: UUID) -> Capture:
    """Return the stored parts of a room's newest recording; NotFoundError if it has none."""
    found = rooms.membership(tx, person, room_id)
    newest = rows.find_of_room(tx, found.room.id)
    if newest is None:
        raise NotFoundError("Nothing was recorded in this room.")
    tracks = rows.list_tracks(tx, newest.id)
    return Capture(
        recording=_recording(tx, newest.user_id, newest.id),
        tracks=tracks,
        stored=rows.list_ranges(tx, [track.id for track in tracks]),
    )


def complete(tx: Transaction, person: Person, *, room_id: UUID) -> Recording:
    """Mark one's own tracks as complete; a second call changes nothing.

    Once all tracks are complete, an ended recording is processed without waiting for the grace period.
    """
    rooms.require_not_removed(tx, person, room_id)
    newest = rows.find_of_room(tx, room_id)
    if newest is None:
        raise NotFoundError("Nothing was recorded in this room.")
    live.complete(tx, newest, user_id=person.user_id)
    return _recording(tx, newest.user_id, newest.id)


def stop(tx: Transaction, person: Person, *, room_id: UUID) -> tuple[Recording, Job]:
    """Stop recording; host and co-hosts. A second call returns the same; NotFoundError when nothing was recorded."""
    found = rooms.membership(tx, person, room_id)
    rooms.require_editor(found)
    room = rooms.lock_any(tx, room_id)
    live.stop_running(tx, room)
    newest = rows.find_of_room(tx, room_id)
    job = None if newest is None else live.closing_job(tx, newest.id)
    if newest is None or job is None:
        raise NotFoundError("Nothing was recorded in this room.")
    return _recording(tx, newest.user_id, newest.id), job


def mark(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction, person: Person, *, room_id: UUID, at_s: float | None, label: str | None, now: datetime
) -> MemoryRow:
    """Save a moment of the newest recording of a room: now, or `at_s` seconds from its start.

    It counts as a memory entry of the person who saves it. Raises ForbiddenError for guests, who own
    nothing, InvalidFieldError for a moment outside the recording, NotFoundError or QuotaExceededError.
    """
    found = rooms.membership(tx, person, room_id)
    if person.is_guest:
        raise ForbiddenError("Guests cannot save moments; log in to keep some.", reason="needs_account")
    newest = rows.find_of_room(tx, found.room.id)
    if newest is None:
        raise NotFoundError("Nothing was recorded in this room.")
    end = newest.live_ended_at or now
    length_s = (end - newest.live_started_at).total_seconds()
    if at_s is None and newest.status != "live":
        raise InvalidFieldError("at_s", "The recording has ended; say which moment, in seconds from its start.")
    if at_s is not None and not 0 <= at_s <= length_s + 1:
        raise InvalidFieldError("at_s", f"The recording has {length_s:.1f} s so far; at_s is outside.")
    quotas.reserve(tx, user_id=person.user_id, feature=quotas.MEMORIES)
    memory = rows.insert_memory(
        tx,
        user_id=person.user_id,
        recording_id=newest.id,
        at_s=length_s if at_s is None else at_s,
        label=None if label is None else sanitising.clean_title(label),
    )
    rows.add_activity(tx, room_id=room_id, kind="memory")
    return memory


def sweep(tx: Transaction, *, now: datetime) -> int:
    """Stop recordings that get no more parts, or are as long as their owner's tier allows.

    In a service transaction; return how many.
    """
    ended = 0
    silent = rows.list_silent(tx, silent_s=SILENT_S, limit=SWEEP_BATCH)
    long = [
        live.id
        for live in rows.list_oldest(tx, age_s=LEAST_LENGTH_S, limit=SWEEP_BATCH)
        if _is_longer(tx, live, now=now, margin_s=END_MARGIN_S)
    ]
    for recording_id in {*silent, *long}:
        found = rows.find_live(tx, recording_id)
        if found is None:
            continue
        if found.room_id is not None and (room := rooms.lock_any(tx, found.room_id)).recording_id == recording_id:
            ended += live.stop_running(tx, room, grace_s=0) is not None
        else:
            ended += live.end(tx, recording_id, grace_s=0) is not None
    return ended


def _is_longer(tx: Transaction, recording: LiveRow, *, now: datetime, margin_s: float = 0.0) -> bool:
    """Return whether a recording has run for as long as its owner's tier allows, less a margin."""
    limit_s = quotas.limit(tx, user_id=recording.user_id, name="recording_length_s")
    running_s = (now - recording.live_started_at).total_seconds()
    return limit_s != UNLIMITED and running_s >= limit_s - margin_s


def _answer(tx: Transaction, *, room_id: UUID, recording_id: UUID, user_id: UUID, given: bool) -> None:
    rows.set_consent(tx, recording_id=recording_id, user_id=user_id, given=given)
    if participant_rows.set_consent(tx, room_id=room_id, user_id=user_id, given=given):
        row = participant_rows.find_participant(tx, room_id=room_id, user_id=user_id)
        assert row is not None  # noqa: S101 - it was changed just now
        seq = events.next_seq(tx, room_id)
        shape = participant_shape(row, online={user_id})
        events.append(tx, events.ParticipantUpdated(room_id=room_id, seq=seq, participant=shape))


def _open_track(tx: Transaction, person: Person, *, room_id: UUID, track_id: UUID) -> tuple[TrackRow, LiveRow]:
    """Return one's own track and its recording, which accepts parts until this transaction ends.

    People who left or lost the connection may still send parts recorded before.
    """
    rooms.require_not_removed(tx, person, room_id)
    newest = rows.find_of_room(tx, room_id)
    track = None if newest is None else rows.find_track(tx, recording_id=newest.id, track_id=track_id)
    if newest is None or track is None or track.user_id != person.user_id:
        raise NotFoundError("There is no such track of yours.")
    taking = rows.lock_open(tx, newest.id)
    if taking is None:
        raise ConflictError("The recording has ended; it takes no more parts.", reason="recording_ended")
    return track, taking


def _running(recording_id: UUID | None) -> UUID:
    if recording_id is None:
        raise ConflictError("Nothing is being recorded in this room; start a recording first.", reason="not_recording")
    return recording_id


def _recording(tx: Transaction, user_id: UUID, recording_id: UUID) -> Recording:
    found = recording_rows.find_recording(tx, user_id=user_id, recording_id=recording_id)
    if found is None:
        raise NotFoundError("The recording was deleted.")
    return found
