"""Polls over highlights: votes raise the scores of highlights, and the winner may become a clip."""

from collections.abc import Sequence
from uuid import UUID

import structlog
from msgspec.structs import replace

from db import live_recordings as live_rows
from db import poll_highlights as rows
from db.connection import Transaction
from db.highlights import HighlightRow
from db.poll_highlights import HighlightPoll, Moment
from services.billing import tier as tiers
from services.clips import service as clips
from services.errors import DomainError, InvalidFieldError, NotFoundError
from services.polls import tally
from services.polls.tally import Counted
from services.recordings import highlights

logger = structlog.get_logger(__name__)


def propose(tx: Transaction, *, room_id: UUID, highlight_ids: Sequence[UUID]) -> tuple[UUID, list[HighlightRow]]:
    """Return the newest recording of a room, and these of its highlights; InvalidFieldError names a missing one."""
    newest = live_rows.find_of_room(tx, room_id)
    if newest is None or newest.status != "ready":
        raise InvalidFieldError(
            "highlight_ids",
            "This room has no finished recording whose highlights could be asked.",
            reason="no_highlights",
        )
    if len(set(highlight_ids)) != len(highlight_ids):
        raise InvalidFieldError("highlight_ids", "Each highlight can be an option once.")
    try:
        return newest.id, [
            highlights.get(tx, user_id=newest.user_id, recording_id=newest.id, highlight_id=highlight_id)
            for highlight_id in highlight_ids
        ]
    except NotFoundError as error:
        raise InvalidFieldError("highlight_ids", "There is no such highlight in the room's recording.") from error


def text_of(row: HighlightRow) -> str:
    """Return the text of a highlight's option."""
    return f"{_clock(row.start_s)} - {_clock(row.end_s)} · {row.kind}"


def attach(
    tx: Transaction, *, poll_id: UUID, recording_id: UUID, found: Sequence[HighlightRow], makes_clips: bool
) -> None:
    """Store the highlights of a poll's options, in order."""
    moments = [
        Moment(option_id=str(number), start_s=row.start_s, end_s=row.end_s, peak_s=row.peak_s)
        for number, row in enumerate(found, start=1)
    ]
    rows.insert_highlight_poll(
        tx, HighlightPoll(poll_id=poll_id, recording_id=recording_id, makes_clips=makes_clips, moments=moments)
    )


def decide(tx: Transaction, *, poll_id: UUID, room_id: UUID, counted: Sequence[Counted]) -> None:
    """Apply the votes of an ended poll to its highlights, and make clips of the winners if requested."""
    poll = rows.find_highlight_poll(tx, poll_id)
    total = sum(option.votes for option in counted)
    if poll is None or total == 0:
        return
    votes = {option.id: option.votes for option in counted}
    moments = [replace(moment, share=votes.get(moment.option_id, 0) / total) for moment in poll.moments]
    rows.set_moments(tx, poll_id=poll_id, moments=moments)
    live = live_rows.find_live(tx, poll.recording_id)
    if live is None or live.room_id != room_id:
        return
    highlights.rerank(tx, user_id=live.user_id, recording_id=live.id)
    if poll.makes_clips:
        won = set(tally.winners(list(counted)))
        for moment in moments:
            if moment.option_id in won:
                _make_clip(tx, user_id=live.user_id, recording_id=live.id, moment=moment)


def _make_clip(tx: Transaction, *, user_id: UUID, recording_id: UUID, moment: Moment) -> None:
    """Queue a clip for the host; a used-up allowance does not prevent the end of the poll."""
    try:
        with tx.transaction():
            clips.create(
                tx,
                user_id=user_id,
                tier=tiers.tier_of(tx, user_id=user_id),
                recording_id=recording_id,
                start_s=moment.start_s,
                end_s=moment.end_s,
            )
    except DomainError as error:
        logger.warning("poll_clip_refused", recording_id=str(recording_id), code=error.code)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
