"""Highlights: every candidate moment of a recording with its score."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.connection import Transaction


class HighlightRow(Struct, frozen=True, kw_only=True):
    """A row of `highlights`."""

    id: UUID
    recording_id: UUID
    start_s: float
    end_s: float
    core_start_s: float
    core_end_s: float
    peak_s: float
    score: float
    kind: str
    kind_confidence: float
    reasons: list[dict[str, Any]]
    created_at: datetime


DELETE_HIGHLIGHTS = "DELETE FROM highlights WHERE recording_id = %(recording_id)s"
INSERT_HIGHLIGHT = """
INSERT INTO highlights (recording_id, user_id, start_s, end_s, core_start_s, core_end_s, peak_s, score, kind,
                        kind_confidence, reasons)
VALUES (%(recording_id)s, %(user_id)s, %(start_s)s, %(end_s)s, %(core_start_s)s, %(core_end_s)s, %(peak_s)s,
        %(score)s, %(kind)s, %(kind_confidence)s, %(reasons)s)
"""
LIST_HIGHLIGHTS = """
SELECT id, recording_id, start_s, end_s, core_start_s, core_end_s, peak_s, score, kind, kind_confidence, reasons,
       created_at
FROM highlights
WHERE recording_id = %(recording_id)s AND user_id = %(user_id)s AND score >= %(sensitivity)s
  AND (%(min_s)s::float8 IS NULL OR end_s - start_s >= %(min_s)s::float8)
  AND (%(max_s)s::float8 IS NULL OR end_s - start_s <= %(max_s)s::float8)
  AND (%(after_score)s::float8 IS NULL OR score < %(after_score)s::float8
       OR (score = %(after_score)s::float8 AND id > %(after_id)s::uuid))
ORDER BY score DESC, id LIMIT %(limit)s
"""
SET_SCORE = "UPDATE highlights SET score = %(score)s, reasons = %(reasons)s WHERE id = %(highlight_id)s"
FIND_HIGHLIGHT = """
SELECT id, recording_id, start_s, end_s, core_start_s, core_end_s, peak_s, score, kind, kind_confidence, reasons,
       created_at
FROM highlights WHERE id = %(highlight_id)s AND recording_id = %(recording_id)s AND user_id = %(user_id)s
"""


def replace_highlights(tx: Transaction, *, recording_id: UUID, user_id: UUID, items: list[dict[str, Any]]) -> None:
    """Replace the candidates of a recording."""
    tx.execute(DELETE_HIGHLIGHTS, {"recording_id": recording_id})
    owner = {"recording_id": recording_id, "user_id": user_id}
    rows = [{**item, **owner, "reasons": Jsonb(item["reasons"])} for item in items]
    with tx.cursor() as cursor:
        cursor.executemany(INSERT_HIGHLIGHT, rows)


def list_highlights(  # noqa: PLR0913 - keyword-only, one per column or filter
    tx: Transaction,
    *,
    user_id: UUID,
    recording_id: UUID,
    sensitivity: float,
    limit: int,
    min_s: float | None = None,
    max_s: float | None = None,
    after: tuple[float, UUID] | None = None,
) -> list[HighlightRow]:
    """List candidates that score at least `sensitivity`, best first, starting after the one with this score and id."""
    after_score, after_id = after or (None, None)
    values = {
        "user_id": user_id,
        "recording_id": recording_id,
        "sensitivity": sensitivity,
        "limit": limit,
        "min_s": min_s,
        "max_s": max_s,
        "after_score": after_score,
        "after_id": after_id,
    }
    with tx.cursor(row_factory=class_row(HighlightRow)) as cursor:
        return cursor.execute(LIST_HIGHLIGHTS, values).fetchall()


def set_score(tx: Transaction, *, highlight_id: UUID, score: float, reasons: list[dict[str, Any]]) -> None:
    """Write a highlight's score and its reasons."""
    tx.execute(SET_SCORE, {"highlight_id": highlight_id, "score": score, "reasons": Jsonb(reasons)})


def find_highlight(tx: Transaction, *, user_id: UUID, recording_id: UUID, highlight_id: UUID) -> HighlightRow | None:
    """Return one candidate of a recording, or None."""
    values = {"user_id": user_id, "recording_id": recording_id, "highlight_id": highlight_id}
    with tx.cursor(row_factory=class_row(HighlightRow)) as cursor:
        return cursor.execute(FIND_HIGHLIGHT, values).fetchone()
