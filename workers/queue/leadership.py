"""Which dispatcher is active: the one whose connection holds the lock, for as long as it gives signs of life."""

import threading

import structlog

from db import leadership as rows
from db.connection import Transaction
from services.jobs.dispatch import DISPATCHER_LOCK

LEASE_S = 15.0
"""How long the leader may be silent. It asks something every second; Redis may hold it up for a few time-outs."""
POLL_S = 1.0

log = structlog.get_logger(__name__)


def lead(connection: Transaction, stopped: threading.Event) -> bool:
    """Wait until this connection, outside any transaction, holds the lock; False when told to stop before.

    A leader that has been silent for LEASE_S loses its connection, and with it the lock. When it wakes, it finds out
    at its next statement; messages that it still had to send are as good as any, or stale by their number.
    """
    while not stopped.is_set():
        if rows.try_lock(connection, DISPATCHER_LOCK):
            return True
        if rows.unseat(connection, DISPATCHER_LOCK, silent_s=LEASE_S):
            log.warning("dispatcher_unseated", silent_s=LEASE_S)
        stopped.wait(POLL_S)
    return False
