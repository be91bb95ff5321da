"""Highlights: every candidate is stored with its score, so another sensitivity is a query, not a job."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from msgspec import Struct, structs

from db import highlights as rows
from db import poll_highlights as poll_rows
from db import recordings as recording_rows
from db.connection import Transaction
from db.highlights import HighlightRow
from db.recordings import Recording, RecordingActivity
from pipeline.types import DEFAULT_MAX_S, DEFAULT_MIN_S, SIGNALS
from services.errors import ConflictError, InvalidFieldError, NotFoundError, NotReadyError
from services.jobs import service as jobs
from services.jobs.payload import DetectPayload, ScoreOptions
from services.jobs.service import Job
from services.paging import Page, ScoreCursor, page_of
from services.recordings import service as recordings
from services.webhooks import event as events

__all__ = ["HighlightRow", "RecordingActivity", "Selection"]

DEFAULT_SENSITIVITY = 0.7
# If the client gives no sensitivity and nothing reaches the default, the best few above 0.5 are listed instead of an
# empty page. Below 0.5 nothing counts, so a quiet recording stays empty.
FALLBACK_SENSITIVITY = 0.5
FALLBACK_ITEMS = 3
MAX_ITEMS = 500
MAX_NAME_SHOWN = 40
POLL_WEIGHT = 0.3
"""A highlight that the whole room chose gains this much."""
FIELDS = (
    "start_s",
    "end_s",
    "core_start_s",
    "core_end_s",
    "peak_s",
    "score",
    "kind",
    "kind_confidence",
    "reasons",
)


class Selection(Struct, frozen=True, kw_only=True):
    """Picked highlights, and the sensitivity used."""

    items: list[HighlightRow]
    sensitivity: float


def replace(tx: Transaction, *, recording_id: UUID, user_id: UUID, items: list[dict[str, Any]]) -> None:
    """Replace the candidates of a recording by those of a new detection (service transaction).

    Each item has the fields of `pipeline.types.Highlight`.
    """
    stored = [{name: item[name] for name in FIELDS} for item in items]
    rows.replace_highlights(tx, recording_id=recording_id, user_id=user_id, items=stored)
    rerank(tx, user_id=user_id, recording_id=recording_id)
    events.highlights_ready(tx, recordings.get_source(tx, recording_id=recording_id), count=len(stored))


def rerank(tx: Transaction, *, user_id: UUID, recording_id: UUID) -> None:
    """Add votes of polls to the scores of highlights (service transaction); a second call changes nothing.

    A highlight gains up to POLL_WEIGHT, by its share of the votes, as another part of its score.
    """
    moments = poll_rows.list_moments(tx, recording_id)
    if not moments:
        return
    stored = rows.list_highlights(tx, user_id=user_id, recording_id=recording_id, sensitivity=0.0, limit=MAX_ITEMS)
    for row in stored:
        shares = [moment.share or 0.0 for moment in moments if moment.start_s <= row.peak_s <= moment.end_s]
        if not shares:
            continue
        reasons = [reason for reason in row.reasons if not reason.get("poll")]
        base = row.score - sum(reason["contribution"] for reason in row.reasons if reason.get("poll"))
        gain = round(min(1.0 - base, POLL_WEIGHT * max(shares)), 4)
        reasons.append({"signal": "audience", "weight": POLL_WEIGHT, "contribution": gain, "poll": True})
        rows.set_score(tx, highlight_id=row.id, score=min(1.0, base + gain), reasons=reasons)


def list_highlights(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction,
    *,
    user_id: UUID,
    recording_id: UUID,
    sensitivity: float | None = None,
    top: int | None = None,
    min_s: float | None = None,
    max_s: float | None = None,
) -> Selection:
    """Pick stored candidates, best first; without a sensitivity, by the default one, or else the best few."""
    wanted = min(top or MAX_ITEMS, MAX_ITEMS)
    least = DEFAULT_SENSITIVITY if sensitivity is None else sensitivity
    found = rows.list_highlights(
        tx,
        user_id=user_id,
        recording_id=recording_id,
        sensitivity=least,
        limit=wanted,
        min_s=min_s,
        max_s=max_s,
    )
    if found or sensitivity is not None:
        return Selection(items=found, sensitivity=least)
    fallback = rows.list_highlights(
        tx,
        user_id=user_id,
        recording_id=recording_id,
        sensitivity=FALLBACK_SENSITIVITY,
        limit=min(wanted, FALLBACK_ITEMS),
        min_s=min_s,
        max_s=max_s,
    )
    return Selection(items=fallback, sensitivity=FALLBACK_SENSITIVITY if fallback else least)


def page(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction,
    *,
    user_id: UUID,
    recording_id: UUID,
    limit: int,
    cursor: ScoreCursor | None,
    sensitivity: float | None,
) -> tuple[Page[HighlightRow], float]:
    """Return one page of a recording's highlights, best first, and the sensitivity used.

    NotFoundError when there is no such recording.
    """
    recordings.get(tx, user_id=user_id, recording_id=recording_id)
    first = list_highlights(tx, user_id=user_id, recording_id=recording_id, sensitivity=sensitivity, top=1)
    if not first.items:
        return Page(items=[], next_cursor=None), first.sensitivity
    is_fallback = sensitivity is None and first.sensitivity < DEFAULT_SENSITIVITY
    wanted = min(limit, FALLBACK_ITEMS) if is_fallback else limit
    found = rows.list_highlights(
        tx,
        user_id=user_id,
        recording_id=recording_id,
        sensitivity=first.sensitivity,
        limit=wanted if is_fallback else wanted + 1,
        after=cursor,
    )
    return page_of(found, wanted, [(row.score, row.id) for row in found]), first.sensitivity


def activity(tx: Transaction, *, recording_ids: Sequence[UUID]) -> dict[UUID, RecordingActivity]:
    """Return the current work on recordings and their numbers of highlights, by id."""
    return recording_rows.list_activity(
        tx,
        recording_ids=recording_ids,
        default=DEFAULT_SENSITIVITY,
        floor=FALLBACK_SENSITIVITY,
        few=FALLBACK_ITEMS,
    )


def get(tx: Transaction, *, user_id: UUID, recording_id: UUID, highlight_id: UUID) -> HighlightRow:
    """Return one highlight of a recording. Raises NotFoundError."""
    row = rows.find_highlight(tx, user_id=user_id, recording_id=recording_id, highlight_id=highlight_id)
    if row is None:
        raise NotFoundError("There is no such highlight.")
    return row


def score(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction,
    *,
    user_id: UUID,
    recording_id: UUID,
    options: ScoreOptions,
    tagger: str,
    trace_id: str | None = None,
) -> Selection | Job:
    """Answer from the stored candidates if they suffice, else queue a detection.

    `tagger` names the tagger whose scores are wanted. ConflictError before the recording has a timeline;
    InvalidFieldError when min_s is above max_s, or a weight names an unknown signal.
    """
    recording = recordings.get(tx, user_id=user_id, recording_id=recording_id)
    _check_weights(options.weights or {})
    min_s, max_s = _lengths(options.min_s, options.max_s)
    require_listened(recording)
    if is_scored(recording, tagger) and options.min_s is None and options.max_s is None and options.weights is None:
        return list_highlights(
            tx,
            user_id=user_id,
            recording_id=recording_id,
            sensitivity=options.sensitivity,
            top=options.top,
        )
    return jobs.enqueue(
        tx,
        kind="detect",
        user_id=user_id,
        recording_id=recording_id,
        payload=DetectPayload(options=structs.replace(options, min_s=min_s, max_s=max_s)),
        trace_id=trace_id,
    )


def is_scored(recording: Recording, tagger: str) -> bool:
    """Return whether the stored scores suffice for a tagger: they are its own, or older than taggers."""
    return recording.curve_key is not None and recording.tagger in {None, tagger}


def require_listened(recording: Recording) -> None:
    """Raise ConflictError unless the recording has a timeline to score."""
    if recording.status == "failed":
        reason = recording.error.message if recording.error else "it could not be read"
        raise ConflictError(f"This recording failed: {reason}", status=recording.status, reason="recording_failed")
    if recording.status != "ready" or recording.timeline_key is None:
        raise NotReadyError(
            f"The recording is {recording.status}; wait until it is ready and ask again.", status=recording.status
        )
    if recording.has_audio is False:
        raise ConflictError(
            "There is no sound to listen to in this recording; cut clips by start and end times instead.",
            status=recording.status,
            reason="no_sound",
        )


def _check_weights(weights: dict[str, float]) -> None:
    for name in weights:
        if name not in SIGNALS:
            raise InvalidFieldError(
                "weights",
                f"There is no signal {name[:MAX_NAME_SHOWN]!r} to weigh. There are: {', '.join(SIGNALS)}.",
                allowed=list(SIGNALS),
            )


def _lengths(min_s: float | None, max_s: float | None) -> tuple[float | None, float | None]:
    """Return the limits of length; InvalidFieldError when no length fits them.

    A single given limit moves the default of the other one if the two would contradict each other.
    """
    if min_s is not None and max_s is not None and min_s > max_s:
        raise InvalidFieldError("min_s", "min_s must not be greater than max_s.")
    if min_s is not None and max_s is None and min_s > DEFAULT_MAX_S:
        max_s = min_s
    if max_s is not None and min_s is None and max_s < DEFAULT_MIN_S:
        min_s = max_s
    return min_s, max_s
