"""`/api/clips`: making, following, downloading and sharing clips."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Response, Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import Body, FromPath, JSONBody, QueryParameter

from api.deps import Deps
from api.http.idempotency import answer_once
from api.http.request import ApiRequest
from api.limits.body import SUBTITLES_BYTES
from api.limits.metering import UNMETERED
from api.schemas.answers import Answer, Items
from api.schemas.clips import (
    AutoGenerateRequest,
    ClipJobView,
    ClipRequest,
    ClipStatusView,
    ClipTotalsView,
    ClipView,
    DescribeRequest,
    GeneratedView,
    RevokedView,
    ShareRequest,
    ShareView,
    clip_view,
    shown_clip,
)
from api.schemas.fields import DEFAULT_LIMIT, ClipStatus, CursorParameter, Limit, Search, SortParameter, time_of
from api.schemas.jobs import job_view
from db.connection import Transaction
from db.shares import Share
from services.clips import download as downloads
from services.clips import service as clips
from services.clips import share as shares
from services.clips.download import Pictures
from services.clips.service import Clip, GeneratedClips
from services.lifecycle import cancellation, deletion
from services.recordings import admission

DownloadFormat = Annotated[
    str | None, QueryParameter(description="mp4, webm, mp3, jpeg or webp; without it the first that was asked for.")
]


@post("", sync_to_thread=True, status_code=202, request_max_body_size=SUBTITLES_BYTES)
def create(
    data: JSONBody[ClipRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Response[Answer[ClipJobView]]:
    """Ask for a clip: 5 s to 5 min (2 min on the free tier)."""

    def work(tx: Transaction) -> ClipJobView:
        admission.require_disk(deps.settings)
        clip, job = clips.create(
            tx,
            user_id=request.user.user_id,
            tier=request.user.tier,
            recording_id=data.recording_id,
            start_s=data.start_s,
            end_s=data.end_s,
            style=data.style(),
            title=data.title,
            description=data.description,
            highlight_id=data.highlight_id,
            trace_id=request.trace_id,
        )
        estimate = admission.require_timely(tx, job=job, tier=request.user.tier)
        return ClipJobView(clip=clip_view(clip), job=job_view(job, estimate))

    return answer_once(deps, request, work, status=202)


@post("/auto-generate", sync_to_thread=True, status_code=202, request_max_body_size=SUBTITLES_BYTES)
def auto_generate(
    data: JSONBody[AutoGenerateRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Response[Answer[GeneratedView]]:
    """Make a clip of each highlight, best first."""

    def work(tx: Transaction) -> GeneratedView:
        admission.require_disk(deps.settings)
        made = clips.auto_generate(
            tx,
            user_id=request.user.user_id,
            tier=request.user.tier,
            recording_id=data.recording_id,
            sensitivity=data.sensitivity,
            top=data.top,
            style=data.style(),
            tagger=deps.settings.tagger,
            trace_id=request.trace_id,
        )
        if not isinstance(made, GeneratedClips):
            view = job_view(made, admission.require_timely(tx, job=made, tier=request.user.tier))
            return GeneratedView(clips=[], job=view, jobs=[view])
        jobs = [job_view(job, admission.require_timely(tx, job=job, tier=request.user.tier)) for job in made.jobs]
        return GeneratedView(
            clips=[clip_view(clip) for clip in made.clips],
            job=jobs[0] if jobs else None,
            jobs=jobs,
            skipped=made.skipped,
        )

    return answer_once(deps, request, work, status=202)


@get("", sync_to_thread=True)
def list_clips(  # noqa: PLR0913, PLR0917 - one per parameter of the request
    request: ApiRequest,
    deps: NamedDependency[Deps],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorParameter = None,
    sort: SortParameter = "newest",
    status: Annotated[ClipStatus | None, QueryParameter(description="Only those in this state.")] = None,
    recording_id: Annotated[UUID | None, QueryParameter(description="Only those of this recording.")] = None,
    q: Search = None,
) -> Answer[Items[ClipView]]:
    """List clips, newest first unless `sort` says otherwise."""
    with deps.database.transaction(request.user.identity) as tx:
        page = clips.list_clips(
            tx,
            user_id=request.user.user_id,
            limit=limit,
            sort=sort,
            cursor=cursor,
            status=status,
            recording_id=recording_id,
            q=q,
        )
        activity = clips.activity(tx, clip_ids=[row.id for row in page.items])
    items = [shown_clip(row, activity.get(row.id), _pictures(deps, row)) for row in page.items]
    return Answer(data=Items(items=items, next_cursor=page.next_cursor))


@get("/totals", sync_to_thread=True)
def count(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[ClipTotalsView]:
    """Count clips by status."""
    with deps.database.transaction(request.user.identity) as tx:
        counted = clips.count(tx, user_id=request.user.user_id)
    return Answer(data=ClipTotalsView(all=sum(counted.values()), **counted))


@get("/{clip_id:uuid}", sync_to_thread=True, opt={UNMETERED: True})
def get_clip(clip_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[ClipView]:
    """Show one clip."""
    with deps.database.transaction(request.user.identity) as tx:
        clip = clips.get(tx, user_id=request.user.user_id, clip_id=clip_id)
        activity = clips.activity(tx, clip_ids=[clip_id])
    return Answer(data=shown_clip(clip, activity.get(clip_id), _pictures(deps, clip)))


@patch("/{clip_id:uuid}", sync_to_thread=True)
def describe(
    clip_id: FromPath[UUID],
    data: JSONBody[DescribeRequest],
    request: ApiRequest,
    deps: NamedDependency[Deps],
) -> Answer[ClipView]:
    """Change title and description, and whether it is kept."""
    with deps.database.transaction(request.user.identity) as tx:
        clip = clips.describe(
            tx,
            user_id=request.user.user_id,
            clip_id=clip_id,
            title=data.title,
            description=data.description,
        )
        if data.keep is not None:
            clip = clips.keep(tx, user_id=request.user.user_id, clip_id=clip_id, is_kept=data.keep)
    return Answer(data=clip_view(clip))


@delete("/{clip_id:uuid}", sync_to_thread=True, status_code=200)
def delete_clip(clip_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[dict[str, Any]]:
    """Delete a clip with its files and links; one that is being made is cancelled."""
    with deps.database.transaction(request.user.identity) as tx:
        clip = deletion.delete_clip(tx, user_id=request.user.user_id, clip_id=clip_id, now=deps.clock())
    return Answer(data={"id": clip.id, "status": "deleted", "created_at": clip.created_at})


@get("/{clip_id:uuid}/status", sync_to_thread=True, opt={UNMETERED: True})
def get_status(clip_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[ClipStatusView]:
    """Show the progress of a clip."""
    with deps.database.transaction(request.user.identity) as tx:
        progress = clips.progress(tx, user_id=request.user.user_id, clip_id=clip_id)
    clip = clip_view(progress.clip)
    return Answer(
        data=ClipStatusView(
            id=clip.id,
            status=clip.status,
            created_at=clip.created_at,
            progress=progress.progress,
            stage=progress.stage,
            eta_s=progress.eta_s,
            is_preview=clip.is_preview,
            error=clip.error,
        )
    )


@get("/{clip_id:uuid}/download", sync_to_thread=True, status_code=302)
def download(
    clip_id: FromPath[UUID],
    request: ApiRequest,
    deps: NamedDependency[Deps],
    format: DownloadFormat = None,  # noqa: A002 - the name of the query parameter
) -> Response[None]:
    """Redirect to the file. While only the fast version exists, that is the MP4."""
    with deps.database.transaction(request.user.identity) as tx:
        clip = clips.get(tx, user_id=request.user.user_id, clip_id=clip_id)
    url = downloads.signed_url(clip, deps.buckets.clips, wanted=format)
    return Response(None, status_code=302, headers={"Location": url})


@post("/{clip_id:uuid}/cancel", sync_to_thread=True, status_code=200)
def cancel(clip_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[ClipJobView]:
    """Stop a clip that is waiting (at once) or being made (within two seconds)."""
    with deps.database.transaction(request.user.identity) as tx:
        clip, job = cancellation.cancel_clip(tx, user_id=request.user.user_id, clip_id=clip_id)
    return Answer(data=ClipJobView(clip=clip_view(clip), job=job_view(job)))


@post("/{clip_id:uuid}/retry", sync_to_thread=True, status_code=202)
def retry(clip_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Response[Answer[ClipJobView]]:
    """Make a clip again that failed, was cancelled or has expired."""

    def work(tx: Transaction) -> ClipJobView:
        admission.require_disk(deps.settings)
        clip, job = clips.retry(
            tx,
            user_id=request.user.user_id,
            clip_id=clip_id,
            trace_id=request.trace_id,
        )
        estimate = admission.require_timely(tx, job=job, tier=request.user.tier)
        return ClipJobView(clip=clip_view(clip), job=job_view(job, estimate))

    return answer_once(deps, request, work, status=202)


@post("/{clip_id:uuid}/share", sync_to_thread=True, status_code=201)
def share(
    clip_id: FromPath[UUID],
    request: ApiRequest,
    deps: NamedDependency[Deps],
    data: Annotated[ShareRequest | None, Body()] = None,
) -> Response[Answer[ShareView]]:
    """Make a public link to a finished clip."""
    body = data or ShareRequest()

    def work(tx: Transaction) -> ShareView:
        user_id = request.user.user_id
        made = shares.share(
            tx,
            user_id=user_id,
            clip_id=clip_id,
            platform=body.platform,
            expires_at=time_of("expires_at", body.expires_at),
            now=deps.clock(),
        )
        title = clips.get(tx, user_id=user_id, clip_id=clip_id).title
        return _share_view(made, title, deps.settings.public_url)

    return answer_once(deps, request, work)


@delete("/{clip_id:uuid}/share", sync_to_thread=True, status_code=200)
def revoke(
    clip_id: FromPath[UUID],
    request: ApiRequest,
    deps: NamedDependency[Deps],
    slug: Annotated[str | None, QueryParameter(description="Only this link; without it all of the clip's.")] = None,
) -> Answer[RevokedView]:
    """Close the public links of a clip, at once."""
    with deps.database.transaction(request.user.identity) as tx:
        revoked = shares.revoke(
            tx,
            user_id=request.user.user_id,
            clip_id=clip_id,
            slug=slug,
            is_on_cdn=deps.settings.clips_public_base_url is not None,
        )
    return Answer(data=RevokedView(revoked=revoked))


def _pictures(deps: Deps, clip: Clip) -> Pictures:
    return downloads.pictures(clip, deps.buckets.clips, public_base_url=deps.settings.clips_public_base_url)


def _share_view(made: Share, title: str, public_url: str) -> ShareView:
    return ShareView(
        id=made.id,
        status="active",
        created_at=made.created_at,
        clip_id=made.clip_id,
        slug=made.slug,
        platform=made.platform,  # type: ignore[arg-type]  # the column's CHECK lists the same platforms
        url=shares.page_url(public_url, made.slug),
        embed_url=shares.embed_url(public_url, made.slug),
        share_url=shares.intent_url(public_url, made, title),
        expires_at=made.expires_at,
    )


clips_router = Router(
    "/api/clips",
    route_handlers=[
        create,
        auto_generate,
        list_clips,
        count,
        get_clip,
        describe,
        delete_clip,
        get_status,
        download,
        cancel,
        retry,
        share,
        revoke,
    ],
    tags=["Clips"],
)
