"""Polls: creating, voting, ending. A change of state locks the room first, then the poll; a vote only the poll.

Results are computed from the ballots; `services.polls.view` shows them.
"""

import secrets
from collections.abc import Sequence
from uuid import UUID

from db import live_recordings as live_rows
from db import polls as rows
from db import rooms as room_rows
from db.connection import Transaction
from db.highlights import HighlightRow
from db.polls import OptionRow, PollRow, PollType, Visibility
from services.errors import ConflictError, ForbiddenError, InvalidFieldError, NotFoundError
from services.paging import Page, TimeCursor, encode_cursor
from services.polls import event as events
from services.polls import highlight as highlight_polls
from services.polls import tally
from services.polls import view as views
from services.polls.errors import PollClosedError
from services.polls.tally import Counted
from services.polls.view import PollView
from services.rooms import event as room_events
from services.rooms import service as rooms
from services.rooms.errors import MutedError
from services.rooms.person import Person
from services.rooms.service import Membership
from services.rooms.text import has_visible

MIN_OPTIONS = 2
MAX_OPTIONS = 6
MAX_QUESTION = 500
MAX_OPTION = 200
MAX_ACTIVE = 20
"""Active polls of a room at a time."""
KEY_BYTES = 32
BATCH = 200
ARCHIVE_DAYS = 90


def create(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction,
    person: Person,
    *,
    room_id: UUID,
    poll_type: PollType,
    question: str,
    options: Sequence[str],
    duration_seconds: int,
    is_anonymous: bool = False,
    results_visibility: Visibility = "live",
    highlight_ids: Sequence[UUID] = (),
    makes_clips: bool = False,
) -> PollView:
    """Create a poll; for members with an account who are not muted.

    With `highlight_ids`, host and co-hosts let the room choose among highlights (type `reaction`): votes raise scores.
    """
    found = rooms.lock(tx, person, room_id)
    if person.is_guest:
        raise ForbiddenError("Guests vote; a member with an account can ask.", reason="needs_account")
    if found.me.is_muted:
        raise MutedError("You were muted in this room: you can read, react and vote.")
    if rows.count_active(tx, room_id) >= MAX_ACTIVE:
        raise ConflictError(f"{MAX_ACTIVE} polls are running in this room; close one first.", reason="too_many")
    moments: list[HighlightRow] = []
    recording_id: UUID | None = None
    if highlight_ids:
        rooms.require_editor(found)
        if poll_type != "reaction" or options:
            raise InvalidFieldError("highlight_ids", "Highlights are the options of a reaction poll; send no others.")
        recording_id, moments = highlight_polls.propose(tx, room_id=room_id, highlight_ids=highlight_ids)
        options = [highlight_polls.text_of(row) for row in moments]
    poll = rows.insert_poll(
        tx,
        room_id=room_id,
        created_by=person.user_id,
        poll_type=poll_type,
        question=_clean("question", question, MAX_QUESTION),
        options=_clean_options(poll_type, options),
        duration_seconds=duration_seconds,
        is_anonymous=is_anonymous,
        results_visibility=results_visibility,
    )
    if recording_id is not None:
        highlight_polls.attach(tx, poll_id=poll.id, recording_id=recording_id, found=moments, makes_clips=makes_clips)
    if is_anonymous:
        rows.insert_key(tx, poll_id=poll.id, key=secrets.token_bytes(KEY_BYTES))
    shared = views.shared_view(tx, poll)
    seq = room_events.next_seq(tx, room_id)
    room_events.append(tx, events.PollCreated(room_id=room_id, seq=seq, poll=shared.poll))
    return shared


def get(tx: Transaction, person: Person, poll_id: UUID) -> PollView:
    """Return a poll as a member of its room sees it; NotFoundError for others."""
    poll, _ = _find(tx, person, poll_id)
    return views.view_of(tx, poll, person)


def list_active(tx: Transaction, person: Person, room_id: UUID) -> list[PollView]:
    """List the active polls of a room, newest first."""
    rooms.membership(tx, person, room_id)
    return [views.view_of(tx, poll, person) for poll in rows.list_active(tx, room_id)]


def history(tx: Transaction, person: Person, *, room_id: UUID, limit: int, cursor: TimeCursor | None) -> Page[PollView]:
    """List the ended polls of a room, newest first."""
    rooms.membership(tx, person, room_id)
    found = rows.list_ended(tx, room_id=room_id, before=cursor, limit=limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    return Page(
        items=[views.view_of(tx, poll, person) for poll in found[:limit]],
        next_cursor=encode_cursor((last.created_at, last.id)) if last else None,
    )


def vote(tx: Transaction, person: Person, *, poll_id: UUID, option_id: str) -> PollView:
    """Cast or change a ballot; PollClosedError when it is over, InvalidFieldError for an option of another poll.

    The poll's row is locked, so a ballot is counted whole or not at all, whatever closes the poll meanwhile.
    """
    poll, _ = _find_running(tx, person, poll_id)
    if rows.open_for_vote(tx, poll_id) is None:
        raise PollClosedError("This poll is over.")
    poll = _reread(tx, poll_id)
    _require_option(poll, option_id)
    rows.upsert_vote(tx, poll=poll, voter=views.require_voter(tx, poll, person.user_id), option_id=option_id)
    rows.notify_votes(tx, room_id=poll.room_id, poll_id=poll_id)
    live_rows.add_activity(tx, room_id=poll.room_id, kind="vote")
    return views.view_of(tx, poll, person)


def add_option(tx: Transaction, person: Person, *, poll_id: UUID, text: str) -> PollView:
    """Suggest an answer to an open question; ConflictError if it has the most already."""
    poll, _ = _find_running(tx, person, poll_id, lock=True)
    if poll.poll_type != "question":
        raise ConflictError("Only polls of the type question take suggestions.", reason="wrong_type")
    if rows.open_for_vote(tx, poll_id) is None:
        raise PollClosedError("This poll is over.")
    poll = _reread(tx, poll_id)
    cleaned = _clean("text", text, MAX_OPTION)
    if any(option["text"].casefold() == cleaned.casefold() for option in poll.options):
        raise ConflictError("Somebody has suggested this already; upvote it.", reason="already_suggested")
    if len(poll.options) >= MAX_OPTIONS:
        raise ConflictError(f"The question has its {MAX_OPTIONS} suggestions; upvote one of them.", reason="too_many")
    options = [OptionRow(id=option["id"], text=option["text"]) for option in poll.options]
    options.append(OptionRow(id=str(len(options) + 1), text=cleaned))
    rows.set_options(tx, poll_id=poll_id, options=options)
    poll = _reread(tx, poll_id)
    _tell_updated(tx, poll)
    return views.view_of(tx, poll, person)


def upvote(tx: Transaction, person: Person, *, poll_id: UUID, option_id: str) -> PollView:
    """Upvote a suggestion; a second call changes nothing."""
    poll, _ = _find_running(tx, person, poll_id)
    if poll.poll_type != "question":
        raise ConflictError("Only suggestions to a question can be upvoted; vote instead.", reason="wrong_type")
    _require_option(poll, option_id)
    if rows.open_for_vote(tx, poll_id) is None:
        raise PollClosedError("This poll is over.")
    poll = _reread(tx, poll_id)
    voter = views.require_voter(tx, poll, person.user_id)
    if rows.insert_upvote(tx, poll=poll, voter=voter, option_id=option_id):
        rows.notify_votes(tx, room_id=poll.room_id, poll_id=poll_id)
    return views.view_of(tx, poll, person)


def close(tx: Transaction, person: Person, *, poll_id: UUID) -> PollView:
    """End a poll early; PollClosedError when it is over already."""
    poll, found = _find_running(tx, person, poll_id, lock=True)
    _require_chair(found, poll)
    closed = rows.close(tx, poll_id)
    if closed is None:
        raise PollClosedError("This poll is over already.")
    _finish(tx, closed, kind=events.PollClosed)
    return views.view_of(tx, closed, person)


def reopen(tx: Transaction, person: Person, *, poll_id: UUID) -> PollView:
    """Reopen a closed poll for its whole duration; ConflictError if that is impossible."""
    poll, found = _find_running(tx, person, poll_id, lock=True)
    _require_chair(found, poll)
    if poll.is_anonymous and rows.count_votes(tx, poll_id):
        raise ConflictError(
            "A closed anonymous poll does not know who has voted, so people could vote twice; reset it first.",
            reason="ballots_anonymous",
        )
    reopened = rows.reopen(tx, poll_id)
    if reopened is None:
        raise ConflictError("Only a closed poll can be reopened; ask again in a new one.", reason="poll_open")
    if reopened.is_anonymous:
        rows.insert_key(tx, poll_id=poll_id, key=secrets.token_bytes(KEY_BYTES))
    _tell_updated(tx, reopened)
    return views.view_of(tx, reopened, person)


def reset(tx: Transaction, person: Person, *, poll_id: UUID) -> PollView:
    """Delete the ballots of a poll."""
    poll, found = _find_running(tx, person, poll_id, lock=True)
    _require_chair(found, poll)
    emptied = rows.reset(tx, poll_id)
    if emptied is None:
        raise ConflictError("The ballots of this poll were archived.", reason="ballots_archived")
    _tell_updated(tx, emptied)
    return views.view_of(tx, emptied, person)


def reveal(tx: Transaction, person: Person, *, poll_id: UUID) -> PollView:
    """Reveal the hidden results of a poll; a second call changes nothing."""
    poll, found = _find(tx, person, poll_id, lock=True)
    _require_chair(found, poll)
    if poll.results_visibility != "on_reveal":
        raise ConflictError("The results of this poll show by themselves.", reason="results_shown")
    revealed = rows.reveal(tx, poll_id)
    if revealed is not None:
        _tell_updated(tx, revealed)
    return views.view_of(tx, revealed or poll, person)


def list_due(tx: Transaction) -> list[tuple[UUID, UUID]]:
    """List polls whose time is over, as `(poll_id, room_id)`."""
    return rows.list_due(tx, limit=BATCH)


def expire(tx: Transaction, *, poll_id: UUID, room_id: UUID) -> bool:
    """End a poll whose time is over, and tell its room; False if another process did so."""
    if room_rows.lock_room(tx, room_id) is None:
        return False
    expired = rows.expire(tx, poll_id)
    if expired is None:
        return False
    _finish(tx, expired, kind=events.PollExpired)
    return True


def archive(tx: Transaction) -> int:
    """Delete the ballots of polls that ended 90 days ago, and keep the counts; return how many."""
    return rows.archive(tx, days=ARCHIVE_DAYS, limit=BATCH)


def _find(tx: Transaction, person: Person, poll_id: UUID, *, lock: bool = False) -> tuple[PollRow, Membership]:
    poll = rows.find_poll(tx, poll_id)
    if poll is None:
        raise NotFoundError("There is no such poll, or you are not in its room.")
    if lock and room_rows.lock_room(tx, poll.room_id) is not None:
        poll = _reread(tx, poll_id)
    return poll, rooms.membership(tx, person, poll.room_id)


def _find_running(tx: Transaction, person: Person, poll_id: UUID, *, lock: bool = False) -> tuple[PollRow, Membership]:
    poll, found = _find(tx, person, poll_id, lock=lock)
    if not found.room.is_active:
        raise PollClosedError("The room of this poll has ended.")
    return poll, found


def _reread(tx: Transaction, poll_id: UUID) -> PollRow:
    poll = rows.find_poll(tx, poll_id)
    assert poll is not None  # noqa: S101 - the caller holds a lock that prevents its deletion
    return poll


def _require_chair(found: Membership, poll: PollRow) -> None:
    if not found.is_editor and poll.created_by != found.me.user_id:
        raise ForbiddenError("Only the poll's creator, the host and co-hosts can do this.", reason="hosts_only")


def _require_option(poll: PollRow, option_id: str) -> None:
    if all(option["id"] != option_id for option in poll.options):
        raise InvalidFieldError("option_id", "This poll has no such option.")


def _finish(tx: Transaction, poll: PollRow, *, kind: type[events.PollClosed | events.PollExpired]) -> None:
    """Forget who voted in an anonymous poll, announce the result, and apply the poll's effect."""
    if poll.is_anonymous:
        rows.delete_key(tx, poll.id)
    shared = views.shared_view(tx, poll)
    seq = room_events.next_seq(tx, poll.room_id)
    room_events.append(tx, kind(room_id=poll.room_id, seq=seq, poll=shared.poll, results=shared.results))
    counted = tally.count([(option["id"], option["text"]) for option in poll.options], rows.count_votes(tx, poll.id))
    if poll.poll_type == "personality":
        _set_mode(tx, poll, counted)
    elif poll.poll_type == "reaction":
        highlight_polls.decide(tx, poll_id=poll.id, room_id=poll.room_id, counted=counted)


def _set_mode(tx: Transaction, poll: PollRow, counted: list[Counted]) -> None:
    """Make the winner of a personality poll the room's mode; a tie, or no votes, changes nothing."""
    won = tally.winners(counted)
    if len(won) != 1:
        return
    mode = next(option.text for option in counted if option.id == won[0])
    room_rows.update_room(tx, room_id=poll.room_id, changes={"mode": mode})
    seq = room_events.next_seq(tx, poll.room_id)
    room_events.append(tx, room_events.PersonalityChanged(room_id=poll.room_id, seq=seq, mode=mode, poll_id=poll.id))


def _tell_updated(tx: Transaction, poll: PollRow) -> None:
    shared = views.shared_view(tx, poll)
    seq = room_events.next_seq(tx, poll.room_id)
    room_events.append(tx, events.PollUpdated(room_id=poll.room_id, seq=seq, poll=shared.poll, results=shared.results))
    rows.notify_votes(tx, room_id=poll.room_id, poll_id=poll.id)


def _clean_options(poll_type: PollType, options: Sequence[str]) -> list[OptionRow]:
    least = 0 if poll_type == "question" else MIN_OPTIONS
    if not least <= len(options) <= MAX_OPTIONS:
        raise InvalidFieldError("options", f"A poll of this type has {least} to {MAX_OPTIONS} options.")
    texts = [_clean("options", text, MAX_OPTION) for text in options]
    if len({text.casefold() for text in texts}) < len(texts):
        raise InvalidFieldError("options", "Two options are the same.", reason="same_twice")
    return [OptionRow(id=str(number), text=text) for number, text in enumerate(texts, 1)]


def _clean(field: str, text: str, limit: int) -> str:
    cleaned = text.strip()
    if len(cleaned) > limit or not has_visible(cleaned) or "\0" in cleaned:
        raise InvalidFieldError(field, f"{field} must have 1 to {limit} characters, and something to see.")
    return cleaned
