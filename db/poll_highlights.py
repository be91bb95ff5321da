"""Polls whose options are highlights of a recording."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from msgspec import Struct
from psycopg.types.json import Jsonb

from db.connection import Transaction


class Moment(Struct, frozen=True, kw_only=True):
    """An option's highlight, and its share of the votes (0 to 1) once the poll is over."""

    option_id: str
    start_s: float
    end_s: float
    peak_s: float
    share: float | None = None


class HighlightPoll(Struct, frozen=True, kw_only=True):
    """A row of `poll_highlights`."""

    poll_id: UUID
    recording_id: UUID
    makes_clips: bool
    moments: list[Moment]


INSERT = """
INSERT INTO poll_highlights (poll_id, recording_id, makes_clips, moments)
VALUES (%(poll_id)s, %(recording_id)s, %(makes_clips)s, %(moments)s)
"""
FIND = "SELECT poll_id, recording_id, makes_clips, moments FROM poll_highlights WHERE poll_id = %(poll_id)s"
SET_MOMENTS = "UPDATE poll_highlights SET moments = %(moments)s WHERE poll_id = %(poll_id)s"
LIST_OF_RECORDING = """
SELECT poll_id, recording_id, makes_clips, moments FROM poll_highlights WHERE recording_id = %(recording_id)s
"""


def insert_highlight_poll(tx: Transaction, poll: HighlightPoll) -> None:
    """Store the highlights of a poll."""
    tx.execute(INSERT, {**msgspec.structs.asdict(poll), "moments": _json(poll.moments)})


def find_highlight_poll(tx: Transaction, poll_id: UUID) -> HighlightPoll | None:
    """Return the highlights of a poll; None for other polls."""
    row = tx.execute(FIND, {"poll_id": poll_id}).fetchone()
    return None if row is None else msgspec.convert(row, HighlightPoll)


def set_moments(tx: Transaction, *, poll_id: UUID, moments: Sequence[Moment]) -> None:
    """Write the results of a poll's highlights."""
    tx.execute(SET_MOMENTS, {"poll_id": poll_id, "moments": _json(moments)})


def list_moments(tx: Transaction, recording_id: UUID) -> list[Moment]:
    """List the highlights of a recording that polls have decided about."""
    found = tx.execute(LIST_OF_RECORDING, {"recording_id": recording_id}).fetchall()
    polls = [msgspec.convert(row, HighlightPoll) for row in found]
    return [moment for poll in polls for moment in poll.moments if moment.share is not None]


def _json(moments: Sequence[Moment]) -> Jsonb:
    return Jsonb(msgspec.to_builtins(moments))
