"""The results of a poll for those who may see them. Everything that returns results uses this module."""

import hmac
from collections.abc import Collection
from hashlib import sha256
from uuid import UUID

from msgspec import Struct

from db import polls as rows
from db.connection import Transaction
from db.polls import PollRow, VoterKey
from services.polls import tally
from services.polls.errors import PollClosedError
from services.polls.shape import Poll, Results, poll_shape, results_shape
from services.rooms.person import Person


class PollView(Struct, frozen=True, kw_only=True):
    """A poll and its results, as one person may see them."""

    poll: Poll
    results: Results


class Updates(Struct, frozen=True, kw_only=True):
    """The current results of a poll, and the people who may see them."""

    room_id: UUID
    total_votes: int
    version: int
    results: Results
    viewers: frozenset[UUID] | None
    """None: everybody."""


def updates(tx: Transaction, *, poll_id: UUID, user_ids: Collection[UUID]) -> Updates | None:
    """Return the results of a poll for connected people; None if it was deleted.

    `viewers` are those among `user_ids` who may see the results.
    """
    poll = rows.find_poll(tx, poll_id)
    if poll is None:
        return None
    shared = _is_visible(poll, has_voted=False)
    viewers: frozenset[UUID] | None = None
    if not shared:
        viewers = _voters(tx, poll, user_ids) if _is_visible(poll, has_voted=True) else frozenset()
    results = results_shape(poll, _votes(tx, poll), is_visible=shared or bool(viewers))
    return Updates(
        room_id=poll.room_id,
        total_votes=results.total_votes,
        version=results.version,
        results=results,
        viewers=viewers,
    )


def _is_visible(poll: PollRow, *, has_voted: bool) -> bool:
    return tally.is_visible(
        poll.results_visibility,
        is_over=poll.status != "active",
        has_voted=has_voted,
        revealed_at=poll.revealed_at,
    )


def view_of(tx: Transaction, poll: PollRow, person: Person) -> PollView:
    """Return a poll as one person may see it."""
    voter = _voter(poll, rows.find_key(tx, poll.id) if poll.is_anonymous else None, person.user_id)
    mine = None if voter is None else rows.find_vote(tx, poll_id=poll.id, voter=voter)
    return _seen(tx, poll, is_visible=_is_visible(poll, has_voted=mine is not None), your_option_id=mine)


def shared_view(tx: Transaction, poll: PollRow) -> PollView:
    """Return a poll as everybody in the room may see it, whether they have voted or not."""
    return _seen(tx, poll, is_visible=_is_visible(poll, has_voted=False), your_option_id=None)


def _seen(tx: Transaction, poll: PollRow, *, is_visible: bool, your_option_id: str | None) -> PollView:
    results = results_shape(poll, _votes(tx, poll), is_visible=is_visible)
    upvotes = rows.count_upvotes(tx, poll.id) if poll.poll_type == "question" else {}
    return PollView(
        poll=poll_shape(poll, upvotes=upvotes, results=results, your_option_id=your_option_id), results=results
    )


def _votes(tx: Transaction, poll: PollRow) -> dict[str, int]:
    return poll.archived_results if poll.archived_results is not None else rows.count_votes(tx, poll.id)


def require_voter(tx: Transaction, poll: PollRow, user_id: UUID) -> VoterKey:
    """Return the key of a person's ballot; PollClosedError if the secret of an anonymous poll was deleted."""
    voter = _voter(poll, rows.find_key(tx, poll.id) if poll.is_anonymous else None, user_id)
    if voter is None:
        raise PollClosedError("This poll is over.")
    return voter


def _voter(poll: PollRow, key: bytes | None, user_id: UUID) -> VoterKey | None:
    """Return the key of a person's ballot; None if that is no longer known."""
    if not poll.is_anonymous:
        return VoterKey(user_id=user_id)
    return None if key is None else VoterKey(voter_hash=hmac.digest(key, user_id.bytes, sha256))


def _voters(tx: Transaction, poll: PollRow, user_ids: Collection[UUID]) -> frozenset[UUID]:
    key = rows.find_key(tx, poll.id) if poll.is_anonymous else None
    cast = {(voter.user_id, voter.voter_hash) for voter in rows.list_voters(tx, poll.id)}
    keys = {user_id: _voter(poll, key, user_id) for user_id in user_ids}
    return frozenset(
        user_id for user_id, voter in keys.items() if voter is not None and (voter.user_id, voter.voter_hash) in cast
    )
