"""`/api/rooms/{id}/recording`: recording a room while people talk in it."""

from datetime import timedelta
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.deps import Deps
from api.http.request import ApiRequest
from api.limits.metering import UNMETERED
from api.schemas.answers import Answer
from api.schemas.jobs import job_view
from api.schemas.live_recordings import (
    CaptureView,
    ConsentRequest,
    ConsentView,
    MarkRequest,
    MemoryView,
    NewTrackView,
    PartRequest,
    PartUrlView,
    RoomRecordingView,
    StartRequest,
    StoppedView,
    StoredRequest,
    StoredTrackPartView,
    TrackRequest,
    capture_view,
    memory_view,
    stored_view,
    track_view,
)
from api.schemas.recordings import recording_view
from db.connection import SERVICE
from services.errors import InvalidFieldError
from services.rooms import recording as recordings
from storage.multipart import plain_etag
from storage.store import ObjectNotFoundError

PART_URL_S = 3600
"""A client that was offline requests a new address."""


@post("/start", sync_to_thread=True, status_code=201)
def start(
    room_id: FromPath[UUID],
    request: ApiRequest,
    deps: NamedDependency[Deps],
    data: JSONBody[StartRequest | None] = None,
) -> Answer[RoomRecordingView]:
    """Begin to record a room; host and co-hosts. One conversation of the host is reserved."""
    asked = data or StartRequest()
    with deps.database.transaction(SERVICE) as tx:
        made = recordings.start(tx, request.user.person, room_id=room_id, title=asked.title, now=deps.clock())
    return Answer(data=RoomRecordingView(recording=recording_view(made)))


@post("/consent", sync_to_thread=True, status_code=200)
def consent(
    room_id: FromPath[UUID], data: JSONBody[ConsentRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Answer[ConsentView]:
    """Answer whether one agrees to being recorded; nobody is recorded before they agree."""
    with deps.database.transaction(SERVICE) as tx:
        recordings.consent(tx, request.user.person, room_id=room_id, given=data.given)
    return Answer(data=ConsentView(given=data.given))


@post("/tracks", sync_to_thread=True, status_code=201)
def add_track(
    room_id: FromPath[UUID], data: JSONBody[TrackRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Answer[NewTrackView]:
    """Begin a track. The times of its parts are on the clock that `client_now_ms` was read from."""
    with deps.database.transaction(SERVICE) as tx:
        track = recordings.add_track(
            tx,
            request.user.person,
            room_id=room_id,
            source=data.source,
            content_type=data.content_type,
            client_now_ms=data.client_now_ms,
            now=deps.clock(),
        )
    return Answer(data=NewTrackView(track=track_view(track)))


@post("/tracks/{track_id:uuid}/parts", sync_to_thread=True, status_code=201, opt={UNMETERED: True})
def announce_part(
    room_id: FromPath[UUID],
    track_id: FromPath[UUID],
    data: JSONBody[PartRequest],
    request: ApiRequest,
    deps: NamedDependency[Deps],
) -> Answer[PartUrlView]:
    """Announce a part and get the address that its bytes are PUT to. The same number may be announced again."""
    deps.buckets.recordings.require_space(data.size_bytes)
    with deps.database.transaction(SERVICE) as tx:
        found = recordings.announce_part(
            tx,
            request.user.person,
            room_id=room_id,
            track_id=track_id,
            number=data.number,
            size_bytes=data.size_bytes,
            start_ms=data.start_ms,
            duration_ms=data.duration_ms,
            now=deps.clock(),
        )
    url = deps.buckets.recordings.presign_put(found.key, expires_s=PART_URL_S, max_bytes=data.size_bytes)
    expires_at = deps.clock() + timedelta(seconds=PART_URL_S)
    return Answer(data=PartUrlView(number=found.part.number, url=url, expires_at=expires_at))


@post("/tracks/{track_id:uuid}/parts/{number:int}/stored", sync_to_thread=True, status_code=200, opt={UNMETERED: True})
def part_stored(  # noqa: PLR0913, PLR0917 - one per parameter of the request
    room_id: FromPath[UUID],
    track_id: FromPath[UUID],
    number: FromPath[int],
    data: JSONBody[StoredRequest],
    request: ApiRequest,
    deps: NamedDependency[Deps],
) -> Answer[StoredTrackPartView]:
    """Confirm that a part is stored. After the answer it belongs to the recording, whatever fails."""
    person = request.user.person
    with deps.database.transaction(SERVICE) as tx:
        found = recordings.find_announced(tx, person, room_id=room_id, track_id=track_id, number=number)
    _check_stored(deps, found, data.etag)
    with deps.database.transaction(SERVICE) as tx:
        part = recordings.stored(tx, person, room_id=room_id, track_id=track_id, number=number, etag=data.etag)
    return Answer(data=stored_view(part, deps.clock()))


@get("", sync_to_thread=True, opt={UNMETERED: True})
def get_capture(room_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[CaptureView]:
    """List the stored parts of the newest recording, so that a client knows what to send again."""
    with deps.database.transaction(SERVICE) as tx:
        return Answer(data=capture_view(recordings.capture(tx, request.user.person, room_id=room_id)))


@post("/complete", sync_to_thread=True, status_code=200, opt={UNMETERED: True})
def complete(room_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[RoomRecordingView]:
    """Declare one's own tracks complete, so that an ended recording need not wait for more parts."""
    with deps.database.transaction(SERVICE) as tx:
        found = recordings.complete(tx, request.user.person, room_id=room_id)
    return Answer(data=RoomRecordingView(recording=recording_view(found)))


@post("/stop", sync_to_thread=True, status_code=202)
def stop(room_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[StoppedView]:
    """Stop recording; host and co-hosts. A second call answers the same.

    Parts are accepted for 30 more seconds, or until everybody with a track has called `complete`; the job waits for
    that.
    """
    with deps.database.transaction(SERVICE) as tx:
        ended, job = recordings.stop(tx, request.user.person, room_id=room_id)
    return Answer(data=StoppedView(recording=recording_view(ended), job=job_view(job)))


@post("/marks", sync_to_thread=True, status_code=201)
def mark(
    room_id: FromPath[UUID],
    request: ApiRequest,
    deps: NamedDependency[Deps],
    data: JSONBody[MarkRequest | None] = None,
) -> Response[Answer[MemoryView]]:
    """Save a moment: now, or at a time of the recording. It counts as a memory entry of one's own."""
    asked = data or MarkRequest()
    with deps.database.transaction(SERVICE) as tx:
        saved = recordings.mark(
            tx, request.user.person, room_id=room_id, at_s=asked.at_s, label=asked.label, now=deps.clock()
        )
    return Response(Answer(data=memory_view(saved)), status_code=201)


def _check_stored(deps: Deps, found: recordings.AnnouncedPart, etag: str) -> None:
    """Compare the stored part with its announcement; InvalidFieldError if they differ."""
    number = found.part.number
    try:
        there = deps.buckets.recordings.stat(found.key)
    except ObjectNotFoundError as error:
        raise InvalidFieldError("number", f"Part {number} is not in storage; PUT its bytes first.") from error
    if there.size_bytes != found.part.size_bytes:
        raise InvalidFieldError(
            "number",
            f"Part {number} was announced with {found.part.size_bytes} bytes and has {there.size_bytes}; "
            "send it again.",
        )
    if plain_etag(there.etag) != plain_etag(etag):
        raise InvalidFieldError("etag", f"Storage has another ETag for part {number}; send the part again.")


live_recordings_router = Router(
    "/api/rooms/{room_id:uuid}/recording",
    route_handlers=[start, consent, add_track, announce_part, part_stored, complete, get_capture, stop, mark],
    tags=["Rooms"],
)
