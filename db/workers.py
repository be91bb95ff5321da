"""Worker processes: their rows tell the dispatcher how many slots it can fill, and operators what runs."""

from uuid import UUID

from db.connection import Transaction

INSERT_WORKER = """
INSERT INTO workers (id, host, pid, version, queues, slots, memory_bytes, is_draining)
VALUES (%(id)s, %(host)s, %(pid)s, %(version)s, %(queues)s, %(slots)s, %(memory_bytes)s, %(is_draining)s)
ON CONFLICT (id) DO UPDATE SET heartbeat_at = now(), memory_bytes = excluded.memory_bytes,
    is_draining = excluded.is_draining
RETURNING drain_requested_at IS NOT NULL AS is_drain_requested
"""
DELETE_WORKER = "DELETE FROM workers WHERE id = %(id)s"
DELETE_DEAD = """
DELETE FROM workers WHERE heartbeat_at < now() - make_interval(secs => %(silent_s)s) RETURNING id
"""
REQUEST_DRAIN = """
UPDATE workers SET drain_requested_at = coalesce(drain_requested_at, now()) WHERE id = %(id)s RETURNING id
"""
CANCEL_DRAIN = "UPDATE workers SET drain_requested_at = NULL WHERE id = %(id)s RETURNING id"
NOTIFY_DISPATCHER = "SELECT pg_notify('jobs_queued', '')"


def beat(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction,
    *,
    worker_id: UUID,
    host: str,
    pid: int,
    version: str,
    queues: list[str],
    slots: int,
    memory_bytes: int | None,
    is_draining: bool,
) -> bool:
    """Write the heartbeat of this process, registering it if needed; return whether an operator wants it drained."""
    row = tx.execute(
        INSERT_WORKER,
        {
            "id": worker_id,
            "host": host,
            "pid": pid,
            "version": version,
            "queues": queues,
            "slots": slots,
            "memory_bytes": memory_bytes,
            "is_draining": is_draining,
        },
    ).fetchone()
    return bool(row and row["is_drain_requested"])


def remove_worker(tx: Transaction, worker_id: UUID) -> None:
    """Delete the row of an ending process."""
    tx.execute(DELETE_WORKER, {"id": worker_id})


def remove_dead(tx: Transaction, *, silent_s: float) -> list[UUID]:
    """Delete processes without a heartbeat for at least that long; return their ids."""
    return [row["id"] for row in tx.execute(DELETE_DEAD, {"silent_s": silent_s})]


def request_drain(tx: Transaction, worker_id: UUID) -> bool:
    """Ask a process to take no new jobs; False when it does not exist."""
    return tx.execute(REQUEST_DRAIN, {"id": worker_id}).fetchone() is not None


def cancel_drain(tx: Transaction, worker_id: UUID) -> bool:
    """Undo the draining of a process; False if it does not exist."""
    return tx.execute(CANCEL_DRAIN, {"id": worker_id}).fetchone() is not None


def wake_dispatcher(tx: Transaction) -> None:
    """Notify the dispatcher when this transaction commits: there may be a job to send or a free slot."""
    tx.execute(NOTIFY_DISPATCHER)
