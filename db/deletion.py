"""Finds the jobs to stop before an owner's rows are deleted."""

from uuid import UUID

from db.connection import Transaction

OPEN_JOBS = "SELECT id FROM jobs WHERE user_id = %(user_id)s AND state IN ('queued', 'running') ORDER BY created_at"


def list_open_jobs(tx: Transaction, *, user_id: UUID) -> list[UUID]:
    """List all jobs of a user that have not ended."""
    return [row["id"] for row in tx.execute(OPEN_JOBS, {"user_id": user_id})]
