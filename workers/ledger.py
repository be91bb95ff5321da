"""Writes how the jobs of one process begin and end: what comes at the same time goes into one transaction.

Each row keeps the condition that it would have alone, so a group claims and ends exactly what its members would have.
Nobody is told before the transaction has committed.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from db.connection import SERVICE, Database, allow_loss
from services.jobs.service import Ended, Job, Lease, LeaseLostError
from services.lifecycle import outcome as lifecycle
from workers.group import Group


class Ledger:
    """Shared by the threads of one process; its methods raise GroupError when the transaction failed."""

    def __init__(self, database: Database, worker_id: UUID) -> None:
        self._database = database
        self._worker_id = worker_id
        self._claims = Group(self.claim_all)
        self._ends = Group(self._succeed)

    def claim(self, job_id: UUID, dispatch_no: int) -> Job | None:
        """Begin an attempt; None when the message is stale, or another worker was first."""
        return self._claims.ask((job_id, dispatch_no))

    def succeed(self, lease: Lease, result: dict[str, Any] | None) -> Job:
        """End a job well that has nothing to write but its result; LeaseLostError when it is no longer ours."""
        job = self._ends.ask(Ended(lease=lease, result=result))
        if job is None:
            raise LeaseLostError
        return job

    def claim_all(self, sent: Sequence[tuple[UUID, int]]) -> list[Job | None]:
        """Answer messages, by id and dispatch number, in one transaction: the attempt that each begins, if any."""
        with self._database.transaction(SERVICE) as tx:
            # A crash of PostgreSQL that undoes a claim leaves us a lease that is lost at its next renewal.
            allow_loss(tx)
            claimed = lifecycle.claim_many(tx, sent=sent, worker_id=self._worker_id)
        found = {(job.id, job.dispatch_no): job for job in claimed}
        # A message that came twice begins one attempt.
        return [found.pop(message, None) for message in sent]

    def _succeed(self, ended: Sequence[Ended]) -> list[Job | None]:
        with self._database.transaction(SERVICE) as tx:
            found = lifecycle.succeed_plainly(tx, ended)
        return [found.get(one.lease) for one in ended]
