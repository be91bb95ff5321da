"""The connection pool, and transactions that carry the identity of the caller."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal
from uuid import UUID

import msgspec
import psycopg
import structlog
from msgspec import Struct
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

Transaction = psycopg.Connection[DictRow]
"""A connection inside an open transaction; services and queries get it as their first argument."""

CONNECT_TIMEOUT_S = 5
# A request that waits longer for a connection answers 503, so that requests do not pile up.
POOL_TIMEOUT_S = 10.0


class DatabaseUnavailableError(Exception):
    """The database cannot be reached, or every connection has been busy for too long."""


class CallInTransactionError(AssertionError):
    """Storage or network was called inside a transaction, which would hold its locks and connection meanwhile."""


class Identity(Struct, frozen=True, kw_only=True):
    """The caller: the role and the JWT claims that row-level security checks."""

    role: Literal["anon", "authenticated", "service_role"]
    user_id: UUID | None = None
    is_admin: bool = False


SERVICE = Identity(role="service_role")
"""The system itself: workers, dispatcher, maintenance, and the few use cases that look across owners."""

STRICT = "SNUGGLES_STRICT"
"""Set in tests: a call to storage or network inside a transaction raises. Elsewhere it is logged as an error."""
_open_transactions: ContextVar[int] = ContextVar("open_transactions", default=0)

log = structlog.get_logger(__name__)

SET_IDENTITY = "SELECT set_config('role', %s, true), set_config('request.jwt.claims', %s, true)"
BEGIN = f"BEGIN; {SET_IDENTITY}"
"""One round trip: it costs as much as a small query."""
ALLOW_LOSS = "SELECT set_config('synchronous_commit', 'off', true)"
SET_ROLE = "SELECT set_config('role', %s, true)"
DATABASE_ROLES = {"anon": "anon", "authenticated": "snuggles_user", "service_role": "service_role"}
"""Claimed role → role in PostgreSQL. Both can read the same rows. Only `snuggles_user` may write rows that the API
checks
first; a client that connects to PostgreSQL directly as `authenticated` may not."""


def user_identity(user_id: UUID, *, is_admin: bool = False) -> Identity:
    """Return the identity of a signed-in user."""
    return Identity(role="authenticated", user_id=user_id, is_admin=is_admin)


class Database:
    """A pool of connections; every use of one is a transaction with an identity."""

    def __init__(self, url: str, *, min_size: int = 1, max_size: int = 10, name: str = "snuggles") -> None:
        self.url = url
        self._pool: ConnectionPool[Transaction] = ConnectionPool(
            url,
            connection_class=psycopg.Connection[DictRow],
            kwargs={
                "autocommit": True,  # we send BEGIN ourselves
                "row_factory": dict_row,
                "connect_timeout": CONNECT_TIMEOUT_S,
                "application_name": name,
            },
            min_size=min_size,
            max_size=max_size,
            timeout=POOL_TIMEOUT_S,
            name=name,
            open=False,
        )

    def open(self, *, wait_s: float = 0) -> None:
        """Start filling the pool; with `wait_s`, wait up to that long for the first connections.

        DatabaseUnavailableError when they do not come in time.
        """
        self._pool.open()
        if wait_s:
            try:
                self._pool.wait(wait_s)
            except PoolTimeout as error:
                raise DatabaseUnavailableError("PostgreSQL does not answer; check DATABASE_URL") from error

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    @contextmanager
    def transaction(self, identity: Identity) -> Iterator[Transaction]:
        """Open a transaction as `identity`. It commits at the end of the block and rolls back on an exception.

        DatabaseUnavailableError when no connection is free, or it breaks.
        """
        try:
            connection = self._begin(identity)
            _open_transactions.set(_open_transactions.get() + 1)
            try:
                with connection:
                    yield connection
            finally:
                _open_transactions.set(_open_transactions.get() - 1)
                self._pool.putconn(connection)
        except (PoolTimeout, psycopg.OperationalError, psycopg.InterfaceError) as error:
            if isinstance(error, psycopg.errors.QueryCanceled | psycopg.errors.LockNotAvailable):
                raise
            raise DatabaseUnavailableError("The database does not answer; try again in a moment") from error

    def _begin(self, identity: Identity) -> Transaction:
        """Return a connection whose transaction has this identity; PoolTimeout when no connection is free.

        Connections that died in the pool, as all do when PostgreSQL restarts, fail at this first statement and are
        skipped. The check of the pool itself would add a statement every time, and after a restart it sleeps for a
        second and more between dead connections.
        """
        claims: dict[str, Any] = {"role": identity.role}
        if identity.user_id is not None:
            claims["sub"] = str(identity.user_id)
        deadline = time.monotonic() + POOL_TIMEOUT_S
        while True:
            connection = self._pool.getconn(max(deadline - time.monotonic(), 0))
            try:
                # The client fills in the parameters, because PostgreSQL accepts them only with a single statement.
                begin = psycopg.ClientCursor(connection)
                begin.execute(BEGIN, (DATABASE_ROLES[identity.role], msgspec.json.encode(claims).decode()))
            except BaseException as error:
                self._pool.putconn(connection)
                if not (isinstance(error, psycopg.OperationalError) and connection.closed):
                    raise
            else:
                return connection


def forbid_in_transaction(what: str) -> None:
    """Report a call to `what` (storage, network) by a thread with an open transaction.

    A call that hangs would hold row locks and a connection of the pool. CallInTransactionError in tests.
    """
    if not _open_transactions.get():
        return
    if os.environ.get(STRICT):
        raise CallInTransactionError(f"{what} was called while a transaction is open; commit first")
    log.error("call_in_transaction", what=what, stack_info=True)


def allow_loss(tx: Transaction) -> None:
    """Commit this transaction without waiting for the disk.

    If PostgreSQL crashes within the next second (three times wal_writer_delay), the whole transaction may be undone.
    Use it only for changes whose loss is noticed and repaired, never for one that a client was told about.
    """
    tx.execute(ALLOW_LOSS)


@contextmanager
def as_service(tx: Transaction) -> Iterator[None]:
    """Run a few statements of a user's transaction as the service, such as counting a quota.

    After an exception the role stays changed, because the transaction is rolled back anyway.
    """
    row = tx.execute("SELECT current_setting('role') AS role").fetchone()
    tx.execute(SET_ROLE, ("service_role",))
    yield
    tx.execute(SET_ROLE, (row["role"] if row else "none",))
