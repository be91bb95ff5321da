"""Elects the active dispatcher: its connection holds an advisory lock and has been active recently."""

import threading

import structlog

from db import leadership as rows
from db.connection import Transaction
from services.jobs.dispatch import DISPATCHER_LOCK

LEASE_S = 15.0
"""How long the leader may be silent. It runs a statement every second, unless Redis blocks it for a few timeouts."""
POLL_S = 1.0

log = structlog.get_logger(__name__)


def lead(connection: Transaction, stopped: threading.Event) -> bool:
    """Wait until this connection, outside any transaction, holds the lock; False if stopped before that.

    A leader that has been silent for LEASE_S loses its connection, and the lock with it. If it wakes later, its next
    statement fails. Messages that it sends before that are harmless: the dispatch number shows which are stale.
    """
    while not stopped.is_set():
        if rows.try_lock(connection, DISPATCHER_LOCK):
            return True
        if rows.unseat(connection, DISPATCHER_LOCK, silent_s=LEASE_S):
            log.warning("dispatcher_unseated", silent_s=LEASE_S)
        stopped.wait(POLL_S)
    return False
