"""`/api/recordings`: uploading, importing and viewing recordings, and their highlights."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import Body, FromPath, JSONBody, QueryParameter

from api.deps import Deps
from api.http.idempotency import REPLAYED, answer_once, find_answer
from api.http.request import ApiRequest
from api.limits.body import PARTS_BYTES
from api.limits.metering import UNMETERED
from api.schemas.answers import Answer, Items
from api.schemas.fields import DEFAULT_LIMIT, CursorParameter, Limit, RecordingStatus, Search, SortParameter
from api.schemas.jobs import job_view
from api.schemas.recordings import (
    CompleteRequest,
    HighlightsView,
    ImportRequest,
    NewRecordingView,
    PartsView,
    PlaybackView,
    RecordingJobView,
    RecordingRequest,
    RecordingTotalsView,
    RecordingView,
    RenameRequest,
    ScoredView,
    ScoreRequest,
    UploadPartView,
    highlight_view,
    parts_view,
    recording_view,
    upload_part_view,
    upload_view,
)
from api.schemas.timeline import TimelineView, timeline_view
from api.threads import calls_outside
from db.connection import Transaction
from db.recordings import Recording
from services.errors import DomainError
from services.jobs import estimate as estimates
from services.jobs.payload import ScoreOptions
from services.lifecycle import deletion
from services.paging import decode_score_cursor
from services.recordings import admission, audience, highlights, playback, timeline
from services.recordings import service as recordings
from services.recordings import upload as uploads
from services.recordings.highlights import Selection
from storage.store import PartTag


@post("", status_code=201)
@calls_outside
def create(
    data: JSONBody[RecordingRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Response[Answer[NewRecordingView]]:
    """Announce an upload. PUT each part to its address, keep the ETag of each answer, then complete.

    A repeat with the same Idempotency-Key gets fresh addresses, and none once the upload is closed.
    """
    store = deps.buckets.recordings

    def replay(tx: Transaction, first: dict[str, Any]) -> NewRecordingView:
        recording = recordings.get(tx, user_id=request.user.user_id, recording_id=UUID(first["recording"]["id"]))
        upload = uploads.sign_parts(store, recording, now=deps.clock())
        return NewRecordingView(recording=recording_view(recording), upload=upload_view(upload))

    if (first := find_answer(deps, request, replayed=replay)) is not None:
        return first
    # A recording above the size limit gets that error.
    counted_bytes = data.size_bytes if data.size_bytes <= deps.settings.recording_max_bytes else 0
    admission.require_disk(deps.settings, size_bytes=counted_bytes)
    opened = uploads.open_upload(
        store,
        user_id=request.user.user_id,
        filename=data.filename,
        size_bytes=data.size_bytes,
        content_type=data.content_type,
        title=data.title,
        max_bytes=deps.settings.recording_max_bytes,
    )

    def work(tx: Transaction) -> NewRecordingView:
        recording, upload = uploads.create(tx, opened=opened, store=store, now=deps.clock())
        return NewRecordingView(recording=recording_view(recording), upload=upload_view(upload))

    try:
        answer = answer_once(deps, request, work, replayed=replay)
    except DomainError:
        uploads.drop_upload(store, opened)
        raise
    if REPLAYED.keys() <= answer.headers.keys():  # a concurrent repeat was first
        uploads.drop_upload(store, opened)
    return answer


@post("/import", status_code=202)
@calls_outside
def import_url(
    data: JSONBody[ImportRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Response[Answer[RecordingJobView]]:
    """Import a recording from an address. Only addresses on the public Internet work."""
    if (first := find_answer(deps, request)) is not None:
        return first
    admission.require_disk(deps.settings)
    deps.fetcher.check(data.url)

    def work(tx: Transaction) -> RecordingJobView:
        recording, job = recordings.import_url(
            tx, user_id=request.user.user_id, url=data.url, title=data.title, trace_id=request.trace_id
        )
        estimate = admission.require_timely(tx, job=job, tier=request.user.tier)
        return RecordingJobView(recording=recording_view(recording), job=job_view(job, estimate))

    return answer_once(deps, request, work, status=202)


@get("", sync_to_thread=True)
def list_recordings(  # noqa: PLR0913, PLR0917 - one per parameter of the request
    request: ApiRequest,
    deps: NamedDependency[Deps],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorParameter = None,
    sort: SortParameter = "newest",
    q: Search = None,
    status: Annotated[RecordingStatus | None, QueryParameter(description="Only those in this state.")] = None,
) -> Answer[Items[RecordingView]]:
    """List recordings, newest first unless `sort` says otherwise."""
    with deps.database.transaction(request.user.identity) as tx:
        page = recordings.list_recordings(
            tx, user_id=request.user.user_id, limit=limit, sort=sort, cursor=cursor, q=q, status=status
        )
        activity = highlights.activity(tx, recording_ids=[row.id for row in page.items])
    items = [
        recording_view(row, activity=activity.get(row.id), poster_url=playback.poster_url(row, deps.buckets.recordings))
        for row in page.items
    ]
    return Answer(data=Items(items=items, next_cursor=page.next_cursor))


@get("/totals", sync_to_thread=True)
def count(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[RecordingTotalsView]:
    """Count recordings by status."""
    with deps.database.transaction(request.user.identity) as tx:
        counted = recordings.count(tx, user_id=request.user.user_id)
    return Answer(data=RecordingTotalsView(all=sum(counted.values()), **counted))


@get("/{recording_id:uuid}", sync_to_thread=True, opt={UNMETERED: True})
def get_recording(
    recording_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]
) -> Answer[RecordingView]:
    """Show one recording."""
    with deps.database.transaction(request.user.identity) as tx:
        row = recordings.get(tx, user_id=request.user.user_id, recording_id=recording_id)
        activity = highlights.activity(tx, recording_ids=[row.id])
    poster_url = playback.poster_url(row, deps.buckets.recordings)
    return Answer(data=recording_view(row, activity=activity.get(row.id), poster_url=poster_url))


@get("/{recording_id:uuid}/playback", sync_to_thread=True, opt={UNMETERED: True})
def get_playback(
    recording_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]
) -> Answer[PlaybackView]:
    """Return an address that plays the recording as it was uploaded."""
    row = _recording(deps, request, recording_id)
    store = deps.buckets.recordings
    return Answer(
        data=PlaybackView(
            url=playback.source_url(row, store),
            poster_url=playback.poster_url(row, store),
            content_type=row.content_type,
            expires_at=deps.clock() + timedelta(seconds=playback.PLAYBACK_URL_S),
        )
    )


@patch("/{recording_id:uuid}", sync_to_thread=True)
def rename(
    recording_id: FromPath[UUID],
    data: JSONBody[RenameRequest],
    request: ApiRequest,
    deps: NamedDependency[Deps],
) -> Answer[RecordingView]:
    """Change a recording's title."""
    with deps.database.transaction(request.user.identity) as tx:
        recording = recordings.rename(tx, user_id=request.user.user_id, recording_id=recording_id, title=data.title)
    return Answer(data=recording_view(recording))


@delete("/{recording_id:uuid}", status_code=200)
@calls_outside
def delete_recording(
    recording_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]
) -> Answer[dict[str, Any]]:
    """Delete a recording with its files, and cancel all work on it. Clips that are finished stay."""
    with deps.database.transaction(request.user.identity) as tx:
        deleted = deletion.delete_recording(
            tx,
            user_id=request.user.user_id,
            recording_id=recording_id,
            now=deps.clock(),
        )
    uploads.abort(deps.buckets.recordings, deleted)
    return Answer(data={"id": deleted.id, "status": "deleted", "created_at": deleted.created_at})


@get("/{recording_id:uuid}/parts")
@calls_outside
def list_parts(recording_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[PartsView]:
    """Show which parts of an upload are stored, with new addresses for the others."""
    recording = _uploading(deps, request, recording_id)
    return Answer(data=parts_view(uploads.list_parts(deps.buckets.recordings, recording, now=deps.clock())))


@post("/{recording_id:uuid}/parts/{number:int}/sign", sync_to_thread=True, status_code=200)
def sign_part(
    recording_id: FromPath[UUID],
    number: FromPath[int],
    request: ApiRequest,
    deps: NamedDependency[Deps],
) -> Answer[UploadPartView]:
    """Return a new address for one part."""
    recording = _uploading(deps, request, recording_id)
    part = uploads.sign_part(deps.buckets.recordings, recording, number=number, now=deps.clock())
    return Answer(data=upload_part_view(part))


@post("/{recording_id:uuid}/complete", status_code=202, request_max_body_size=PARTS_BYTES)
@calls_outside
def complete(
    recording_id: FromPath[UUID],
    data: JSONBody[CompleteRequest],
    request: ApiRequest,
    deps: NamedDependency[Deps],
) -> Response[Answer[RecordingJobView]]:
    """Complete the upload, which starts the analysis. A second call changes nothing."""
    if (first := find_answer(deps, request)) is not None:
        return first
    recording = _recording(deps, request, recording_id)
    if recording.status == "uploading":
        tags = [PartTag(number=part.number, etag=part.etag) for part in data.parts]
        uploads.join_parts(deps.buckets.recordings, recording, tags)

    def work(tx: Transaction) -> RecordingJobView:
        closed, job = uploads.close(
            tx, user_id=request.user.user_id, recording_id=recording_id, trace_id=request.trace_id
        )
        return RecordingJobView(recording=recording_view(closed), job=job_view(job, estimates.of(tx, job=job)))

    return answer_once(deps, request, work, status=202)


@get("/{recording_id:uuid}/timeline")
@calls_outside
def get_timeline(
    recording_id: FromPath[UUID],
    request: ApiRequest,
    deps: NamedDependency[Deps],
    points: Annotated[
        int | None,
        QueryParameter(ge=10, le=100_000, description="At most so many points a curve, each the greatest of its part."),
    ] = None,
) -> Answer[TimelineView]:
    """Return what a page draws of a recording: waveform, score curve, sound classes, keyframes, the audience."""
    with deps.database.transaction(request.user.identity) as tx:
        recording = recordings.get(tx, user_id=request.user.user_id, recording_id=recording_id)
        heard = audience.read(tx, recording, points=points)
    drawn = timeline.read(recording, deps.buckets.recordings, points=points)
    return Answer(data=timeline_view(recording, drawn, heard))


@get("/{recording_id:uuid}/highlights", sync_to_thread=True)
def list_highlights(  # noqa: PLR0913, PLR0917 - one per parameter of the request
    recording_id: FromPath[UUID],
    request: ApiRequest,
    deps: NamedDependency[Deps],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorParameter = None,
    sensitivity: Annotated[
        float | None,
        QueryParameter(
            ge=0,
            le=1,
            description="The least score that counts. Without it: 0.7, or when nothing reaches that the best three "
            "above 0.5; the answer says which.",
        ),
    ] = None,
) -> Answer[HighlightsView]:
    """List the moments worth sharing, best first, each with its reasons."""
    position = decode_score_cursor(cursor)
    with deps.database.transaction(request.user.identity) as tx:
        page, least = highlights.page(
            tx,
            user_id=request.user.user_id,
            recording_id=recording_id,
            limit=limit,
            cursor=position,
            sensitivity=sensitivity,
        )
    items = [highlight_view(row) for row in page.items]
    return Answer(data=HighlightsView(items=items, next_cursor=page.next_cursor, sensitivity=least))


@post("/{recording_id:uuid}/highlights", sync_to_thread=True, status_code=202)
def score(
    recording_id: FromPath[UUID],
    request: ApiRequest,
    deps: NamedDependency[Deps],
    data: Annotated[ScoreRequest | None, Body()] = None,
) -> Response[Answer[ScoredView]]:
    """Pick highlights: 200 with items if the stored scores suffice, else 202 with a job."""
    options = msgspec.convert(msgspec.to_builtins(data or ScoreRequest()), ScoreOptions)

    def work(tx: Transaction) -> ScoredView:
        found = highlights.score(
            tx,
            user_id=request.user.user_id,
            recording_id=recording_id,
            options=options,
            tagger=deps.settings.tagger,
            trace_id=request.trace_id,
        )
        if isinstance(found, Selection):
            items = [highlight_view(row) for row in found.items]
            return ScoredView(items=items, sensitivity=found.sensitivity)
        return ScoredView(job=job_view(found))

    return answer_once(deps, request, work, status=lambda view: 200 if view.job is None else 202)


def _recording(deps: Deps, request: ApiRequest, recording_id: UUID) -> Recording:
    with deps.database.transaction(request.user.identity) as tx:
        return recordings.get(tx, user_id=request.user.user_id, recording_id=recording_id)


def _uploading(deps: Deps, request: ApiRequest, recording_id: UUID) -> Recording:
    with deps.database.transaction(request.user.identity) as tx:
        return uploads.get_uploading(tx, user_id=request.user.user_id, recording_id=recording_id)


recordings_router = Router(
    "/api/recordings",
    route_handlers=[
        create,
        import_url,
        list_recordings,
        count,
        get_recording,
        get_playback,
        rename,
        delete_recording,
        list_parts,
        sign_part,
        complete,
        get_timeline,
        list_highlights,
        score,
    ],
    tags=["Recordings"],
)
