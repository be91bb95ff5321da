"""The dispatcher process: sends waiting jobs to the workers. Any number may run; one is active."""

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dramatiq
import psycopg
import redis
import structlog
from dramatiq.errors import ConnectionError as BrokerConnectionError
from psycopg.rows import dict_row

from db import dispatch as rows
from db.connection import CONNECT_TIMEOUT_S, SERVICE, SET_IDENTITY, Transaction
from db.dispatch import Sent
from services.jobs import schedule as schedules
from services.jobs.dispatch import Dispatch
from services.process.settings import Settings
from workers.queue.broker import declare_queues, list_waiting, message, open_broker, send
from workers.queue.leadership import lead
from workers.queue.outage import Outage
from workers.queue.reconciler import Reconciler
from workers.queue.slots import SlotLimit

SLOW_POLL_S = 1.0
"""The delay in noticing a job that is due, or one whose notification was lost."""
BROKER_PAUSE_S = 1.0
GATHER_S = 0.005
"""A round costs the same for one job as for ten, so under load jobs gather for this long."""
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
# Without keepalives, a dispatcher whose machine vanished would hold the lock for two hours (the default of TCP).
KEEPALIVE: dict[str, Any] = {"keepalives": 1, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
SERVICE_CLAIMS = '{"role": "service_role"}'

log = structlog.get_logger(__name__)


def run(settings: Settings) -> None:
    """Dispatch until SIGTERM or SIGINT, even through outages of PostgreSQL and Redis."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    broker = open_broker(settings.broker_url, slots=SlotLimit(0))
    try:
        Dispatcher(settings.database_url, broker, stopped=stopped).run()
    finally:
        broker.close()


class Dispatcher:
    """Uses one connection for the lock, LISTEN and every transaction, so that losing it ends all three."""

    def __init__(
        self,
        database_url: str,
        broker: dramatiq.Broker,
        *,
        stopped: threading.Event,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._url = database_url
        self._broker = broker
        self._stopped = stopped
        self._random = random
        self._outage = Outage()
        self._broker_away_until_s = 0.0
        declare_queues(broker)

    def run(self) -> None:
        """Wait for leadership and dispatch, until stopped."""
        pause_s = FIRST_PAUSE_S
        while not self._stopped.is_set():
            began_s = time.monotonic()
            try:
                self._serve()
            except (psycopg.Error, redis.RedisError, BrokerConnectionError) as error:
                log.warning("dispatcher_interrupted", error=str(error).strip() or type(error).__name__)
            except Exception:  # the edge of a process: an unforeseen error must not stop every queue
                log.exception("dispatcher_failed")
            pause_s = (
                FIRST_PAUSE_S if time.monotonic() - began_s > LONGEST_PAUSE_S else min(LONGEST_PAUSE_S, pause_s * 2)
            )
            self._stopped.wait(pause_s * (0.5 + self._random()))

    def _serve(self) -> None:
        with self._connect() as connection:
            if not lead(connection, self._stopped):
                return
            log.info("dispatcher_active")
            connection.execute("LISTEN jobs_queued")
            with _transaction(connection) as tx:
                schedules.install(tx)
            reconciler = Reconciler(self._list_waiting, random=self._random)
            dispatch = Dispatch()
            while not self._stopped.is_set():
                reconciler.run_if_due(lambda: _transaction(connection))
                self._dispatch(connection, dispatch)
                _wait_for_jobs(connection)

    def _connect(self) -> Transaction:
        return psycopg.connect(
            self._url,
            autocommit=True,
            row_factory=dict_row,
            connect_timeout=CONNECT_TIMEOUT_S,
            application_name="snuggles-dispatcher",
            **KEEPALIVE,
        )

    def _dispatch(self, connection: Transaction, dispatch: Dispatch) -> None:
        """Send jobs until the slots of the workers are full; pause for a moment if the broker is down."""
        if time.monotonic() < self._broker_away_until_s:
            return
        while not self._stopped.is_set():
            with _transaction(connection) as tx:
                batch = dispatch.next_batch(tx)
            if not batch:
                return
            if not self._send(batch):
                # If some were sent anyway, their dispatch number is stale when they arrive.
                with _transaction(connection) as tx:
                    rows.unmark(tx, [(sent.job_id, sent.dispatch_no) for sent in batch])
                self._broker_away_until_s = time.monotonic() + BROKER_PAUSE_S
                return
            _log_sent(batch)

    def _list_waiting(self, queue: str) -> set[str] | None:
        """Return the ids of the messages that wait in a queue; None while the broker does not answer."""
        try:
            return list_waiting(self._broker, queue)
        except redis.RedisError as error:
            self._outage.failed(error)
            return None

    def _send(self, batch: list[Sent]) -> bool:
        """Send the messages of a committed batch; False when the broker did not take all of them."""
        asked_s = time.monotonic()
        try:
            send(
                self._broker,
                [message(queue=sent.queue, job_id=sent.job_id, dispatch_no=sent.dispatch_no) for sent in batch],
            )
        except (redis.RedisError, BrokerConnectionError) as error:
            self._outage.failed(error)
            return False
        self._outage.answered(asked_s)
        return True


def _log_sent(batch: list[Sent]) -> None:
    """Log one event per batch, with the ids by which a job or a trace is found."""
    traces = [sent.trace_id for sent in batch if sent.trace_id]
    log.info("jobs_sent", job_ids=[str(sent.job_id) for sent in batch], trace_ids=traces)


@contextmanager
def _transaction(connection: Transaction) -> Iterator[Transaction]:
    with connection.transaction():
        connection.execute(SET_IDENTITY, (SERVICE.role, SERVICE_CLAIMS))
        yield connection


def _wait_for_jobs(connection: Transaction) -> None:
    """Wait until a job is queued or a slot becomes free; under load, long enough for a few to gather."""
    began_s = time.monotonic()
    for _ in connection.notifies(timeout=SLOW_POLL_S, stop_after=1):
        pass
    if time.monotonic() - began_s < GATHER_S:
        time.sleep(GATHER_S)
