"""Elects one leader among many processes: the holder of an advisory lock."""

from db.connection import Transaction

TRY_LOCK = "SELECT pg_try_advisory_lock(hashtextextended(%(name)s, 0)) AS is_ours"
# A process that is stopped or swapped out keeps its connection, because the kernel still answers for it. pg_locks shows
# an advisory lock on a bigint as two halves.
UNSEAT = """
SELECT pg_terminate_backend(pid) AS is_gone
FROM pg_locks JOIN pg_stat_activity USING (pid), (SELECT hashtextextended(%(name)s, 0) AS key) AS wanted
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND classid = ((key >> 32) & 4294967295)::oid AND objid = (key & 4294967295)::oid
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND state <> 'active' AND state_change < clock_timestamp() - make_interval(secs => %(silent_s)s)
"""


def try_lock(tx: Transaction, name: str) -> bool:
    """Take the lock for as long as this connection lives; False when another has it."""
    row = tx.execute(TRY_LOCK, {"name": name}).fetchone()
    return row is not None and bool(row["is_ours"])


def unseat(tx: Transaction, name: str, *, silent_s: float) -> bool:
    """End the connection that holds the lock if it has been idle for that long; return whether there was one.

    Needs only rights over one's own sessions, because all contenders log in under the same name.
    """
    return bool(tx.execute(UNSEAT, {"name": name, "silent_s": silent_s}).fetchall())
