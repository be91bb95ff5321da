"""Exports everything that the database stores about one owner."""

from typing import Any
from uuid import UUID

from db import export as rows
from db.connection import Transaction


def export(tx: Transaction, *, user_id: UUID) -> dict[str, list[dict[str, Any]]]:
    """Return an owner's recordings, highlights, clips, links, jobs, keys and counts as plain rows."""
    return rows.export_rows(tx, user_id=user_id)
