"""Clips: creating, listing, changing and retrying them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from db import clip_states as state_rows
from db import clips as rows
from db.clips import Clip, ClipActivity, ClipSpec, ClipStep
from db.connection import Transaction, as_service
from db.recordings import Recording
from db.sorting import Sort
from services import sanitising
from services.billing import quota as quotas
from services.billing.tier import Tier, tier_of
from services.clips import render as renders
from services.clips import spec as specs
from services.clips import state as states
from services.clips.spec import ClipStyle
from services.errors import ConflictError, InvalidFieldError, NotFoundError, NotReadyError, QuotaExceededError
from services.jobs import service as jobs
from services.jobs.payload import AutoClips, DetectPayload
from services.jobs.service import Job
from services.paging import Page, decode_sort_cursor, sorted_page_of
from services.recordings import highlights
from services.recordings import service as recordings
from services.webhooks import event as events

__all__ = ["Clip", "ClipActivity", "ClipSpec", "ClipStep", "ClipStyle", "GeneratedClips"]

DEFAULT_TOP = 10  # clips of an auto-generate without a number
OPEN_STATES = ("queued", "processing")
RETRY_STATES = ("failed", "cancelled", "expired")


class GeneratedClips(Struct, frozen=True, kw_only=True):
    """Clips made from highlights, their jobs, and the number of highlights beyond the allowance."""

    clips: list[Clip]
    jobs: list[Job]
    skipped: int = 0


class ClipProgress(Struct, frozen=True, kw_only=True):
    """The progress of a clip in percent, and its eta in seconds if known."""

    clip: Clip
    progress: float
    stage: str | None
    eta_s: float | None


def create(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction,
    *,
    user_id: UUID,
    tier: Tier,
    recording_id: UUID,
    start_s: float,
    end_s: float,
    style: ClipStyle | None = None,
    title: str | None = None,
    description: str = "",
    highlight_id: UUID | None = None,
    trace_id: str | None = None,
) -> tuple[Clip, Job]:
    """Accept a clip: a row, its render job, and a part of the month's allowance, together or not at all.

    A clip equal to an earlier one shares its job, and is completed at once if that has succeeded.

    InvalidFieldError names what is wrong with the request; NotFoundError, ConflictError for the recording;
    QuotaExceededError.
    """
    recording = recordings.get(tx, user_id=user_id, recording_id=recording_id)
    duration_s = specs.require_probed(recording)
    end_s = specs.check_times(start_s, end_s, duration_s=duration_s, tier=tier)
    if highlight_id is not None:
        highlights.get(tx, user_id=user_id, recording_id=recording_id, highlight_id=highlight_id)
    spec = specs.spec_of(recording, style or ClipStyle(), start_s=start_s, end_s=end_s)
    spec = replace(
        spec,
        title=sanitising.clean_title(title) if title and title.strip() else recording.title,
        description=description,
        highlight_id=highlight_id,
    )
    return _queue(tx, recording, spec, trace_id=trace_id)


def auto_generate(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction,
    *,
    user_id: UUID,
    tier: Tier,
    recording_id: UUID,
    sensitivity: float | None,
    top: int | None,
    style: ClipStyle,
    tagger: str,
    trace_id: str | None = None,
) -> GeneratedClips | Job:
    """Make a clip of each highlight: at once if the recording is scored already, else by a detection job."""
    recording = recordings.get(tx, user_id=user_id, recording_id=recording_id)
    highlights.require_listened(recording)
    # Refuse impossible requests before queueing anything.
    specs.require_room(recording)
    specs.spec_of(recording, style, start_s=0, end_s=specs.MIN_CLIP_S)
    if not highlights.is_scored(recording, tagger):
        return jobs.enqueue(
            tx,
            kind="detect",
            user_id=user_id,
            recording_id=recording_id,
            payload=DetectPayload(auto_clips=_auto_clips(sensitivity, top, style)),
            trace_id=trace_id,
        )
    return create_from_highlights(
        tx,
        user_id=user_id,
        recording_id=recording_id,
        sensitivity=sensitivity,
        top=top,
        style=style,
        tier=tier,
        trace_id=trace_id,
    )


def create_from_highlights(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction,
    *,
    user_id: UUID,
    recording_id: UUID,
    sensitivity: float | None = None,
    top: int | None = None,
    style: ClipStyle | None = None,
    tier: Tier | None = None,
    trace_id: str | None = None,
) -> GeneratedClips:
    """Make clips of the stored highlights, best first, as far as the allowance reaches.

    QuotaExceededError if there is no room for even one.
    """
    recording = recordings.get(tx, user_id=user_id, recording_id=recording_id)
    tier = tier or tier_of(tx, user_id=user_id)
    picked = highlights.list_highlights(
        tx, user_id=user_id, recording_id=recording_id, sensitivity=sensitivity, top=top or DEFAULT_TOP
    )
    made: list[tuple[Clip, Job]] = []
    for number, highlight in enumerate(picked.items, start=1):
        spec = specs.spec_of_highlight(recording, style or ClipStyle(), highlight, number=number, tier=tier)
        try:
            with tx.transaction():  # a savepoint, so that a clip beyond the allowance leaves no rows
                made.append(_queue(tx, recording, spec, trace_id=trace_id))
        except QuotaExceededError:
            if not made:
                raise
            break
    return GeneratedClips(
        clips=[clip for clip, _ in made],
        jobs=[job for _, job in made],
        skipped=len(picked.items) - len(made),
    )


def get(tx: Transaction, *, user_id: UUID, clip_id: UUID) -> Clip:
    """Return a clip; NotFoundError when it does not exist or belongs to another user."""
    return _found(rows.find_clip(tx, user_id=user_id, clip_id=clip_id))


def list_clips(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction,
    *,
    user_id: UUID,
    limit: int,
    sort: Sort = "newest",
    cursor: str | None = None,
    status: str | None = None,
    recording_id: UUID | None = None,
    q: str | None = None,
) -> Page[Clip]:
    """List clips in an order. `q` is a part of title or description; case does not matter.

    InvalidFieldError for a wrong cursor.
    """
    after = decode_sort_cursor(cursor, sort)
    found = rows.list_clips(
        tx, user_id=user_id, limit=limit + 1, sort=sort, after=after, status=status, recording_id=recording_id, q=q
    )
    return sorted_page_of(found, limit, sort, length_s=lambda row: row.end_s - row.start_s)


def describe(tx: Transaction, *, user_id: UUID, clip_id: UUID, title: str | None, description: str | None) -> Clip:
    """Change title and description where given."""
    if title is not None:
        title = sanitising.clean_title(title)
    clip = _found(rows.update_text(tx, user_id=user_id, clip_id=clip_id, title=title, description=description))
    if title is not None:
        renders.retitle(tx, clip)
    return clip


def keep(tx: Transaction, *, user_id: UUID, clip_id: UUID, is_kept: bool) -> Clip:
    """Keep a clip forever, or let it expire after the usual time from now."""
    get(tx, user_id=user_id, clip_id=clip_id)
    with as_service(tx):
        return _found(rows.keep_clip(tx, clip_id=clip_id, keep=is_kept, keep_days=states.keep_days(tx, user_id)))


def count(tx: Transaction, *, user_id: UUID) -> dict[str, int]:
    """Count an owner's clips by status; states without any are left out."""
    return rows.count_clips(tx, user_id=user_id)


def activity(tx: Transaction, *, clip_ids: Sequence[UUID]) -> dict[UUID, ClipActivity]:
    """Return the sources and the progress of clips, by id."""
    return rows.list_clip_activity(tx, clip_ids=clip_ids)


def progress(tx: Transaction, *, user_id: UUID, clip_id: UUID) -> ClipProgress:
    """Return the progress of a clip, from its own state and its job's."""
    clip = get(tx, user_id=user_id, clip_id=clip_id)
    if clip.status == "completed":
        return ClipProgress(clip=clip, progress=100, stage=None, eta_s=0)
    job = jobs.get(tx, user_id=user_id, job_id=clip.job_id) if clip.job_id else None
    if job is None or clip.status not in OPEN_STATES:
        return ClipProgress(clip=clip, progress=job.progress if job else 0, stage=None, eta_s=None)
    return ClipProgress(clip=clip, progress=job.progress, stage=job.stage or "queued", eta_s=job.eta_s)


def steps_under_way(tx: Transaction, *, job_ids: Sequence[UUID], user_ids: Sequence[UUID]) -> list[ClipStep]:
    """Return the progress of the open clips of these jobs, only of these owners (service transaction)."""
    return rows.list_steps(tx, job_ids=job_ids, user_ids=user_ids)


def find_object(clip: Clip, wanted: str | None) -> tuple[str, dict[str, Any]]:
    """Return the format and the stored object to download.

    Without a format, the first requested one. While only the preview exists, the MP4.
    Raises NotReadyError while the clip is being made, InvalidFieldError for a format that it was not made in,
    NotFoundError once it has expired, failed or been cancelled.
    """
    if clip.status == "expired":
        raise NotFoundError(
            "This clip was kept for as long as your tier keeps clips, and has expired; retry it to make it again."
        )
    name = wanted or next((format_ for format_ in clip.formats if format_ in clip.objects), "mp4")
    if name in clip.objects:
        return name, clip.objects[name]
    if clip.status in OPEN_STATES:
        raise NotReadyError(
            f"The {name} of this clip is not ready yet; ask for its status and try again.", status=clip.status
        )
    if not clip.objects:
        raise NotFoundError(f"This clip is {clip.status}; retry it to make it.", status=clip.status)
    made = sorted(clip.objects)
    raise InvalidFieldError("format", f"This clip was not made as {name}; choose {', '.join(made)}.", allowed=made)


def retry(tx: Transaction, *, user_id: UUID, clip_id: UUID, trace_id: str | None = None) -> tuple[Clip, Job]:
    """Render a failed, cancelled or expired clip again; it counts against the allowance again."""
    clip = get(tx, user_id=user_id, clip_id=clip_id)
    if clip.status not in RETRY_STATES:
        raise ConflictError(f"This clip is {clip.status}; only a failed, cancelled or expired one can be made again.")
    recording = recordings.get(tx, user_id=user_id, recording_id=clip.recording_id)
    specs.require_probed(recording)
    earlier = jobs.get(tx, user_id=user_id, job_id=clip.job_id).attempt if clip.job_id else 0
    with as_service(tx):
        states.changed(state_rows.requeue(tx, clip_id=clip_id))
    made, job = _start(tx, clip, trace_id=trace_id, attempt=earlier)
    if clip.render_id is not None and made.render_id != clip.render_id:
        renders.leave(tx, clip)
    return made, job


def _queue(tx: Transaction, recording: Recording, spec: ClipSpec, *, trace_id: str | None) -> tuple[Clip, Job]:
    clip = rows.insert_clip(tx, user_id=recording.user_id, recording_id=recording.id, spec=spec)
    return _start(tx, clip, trace_id=trace_id)


def _start(tx: Transaction, clip: Clip, *, trace_id: str | None, attempt: int = 0) -> tuple[Clip, Job]:
    shared = renders.join(tx, clip, keep_days=states.keep_days(tx, clip.user_id))
    if shared is not None:
        return _share(tx, *shared)
    job = jobs.enqueue(
        tx,
        kind="render",
        user_id=clip.user_id,
        recording_id=clip.recording_id,
        clip_id=clip.id,
        trace_id=trace_id,
        attempt=attempt,
    )
    quotas.reserve(tx, user_id=clip.user_id, feature=quotas.CLIPS, job_id=job.id, clip_id=clip.id)
    return renders.begin(tx, clip, job), job


def _share(tx: Transaction, clip: Clip, job: Job) -> tuple[Clip, Job]:
    """Count a clip that joined another's render, and record its event if it is completed with that."""
    quotas.reserve(tx, user_id=clip.user_id, feature=quotas.CLIPS, job_id=job.id, clip_id=clip.id)
    if clip.status == "completed":
        quotas.commit(tx, job_id=job.id, clip_id=clip.id)
        events.clip_completed(tx, clip)
    # The job belongs to this clip too, whichever clip its row names.
    return clip, replace(job, clip_id=clip.id)


def _auto_clips(sensitivity: float | None, top: int | None, style: ClipStyle) -> AutoClips:
    return AutoClips(
        sensitivity=sensitivity,
        top=top,
        preset=style.preset,
        formats=style.formats,
        accuracy=style.accuracy,
        loudness=style.loudness,
        options=style.options,
    )


def _found(clip: Clip | None) -> Clip:
    if clip is None:
        raise NotFoundError("There is no such clip.")
    return clip
