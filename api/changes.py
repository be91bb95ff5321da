"""One LISTEN connection for the process; it wakes tasks that wait for jobs, events, or the end of sessions."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from uuid import UUID

import psycopg
import structlog

logger = structlog.get_logger(__name__)

# Payloads are ids: of a job that changed, of an owner whose event was recorded or one of whose sessions ended, of a
# room, of a room and its poll.
JOBS_CHANGED = "jobs_changed"
CHANNELS = (JOBS_CHANGED, "events_recorded", "sessions_ended", "room_events", "poll_votes")
LISTEN = "; ".join(f"LISTEN {channel}" for channel in CHANNELS)
MAX_CHANGED = 10_000
CONNECT_TIMEOUT_S = 5
RECONNECT_S = 1.0


class ChangedJobs:
    """The ids of jobs that changed since the last look."""

    def __init__(self) -> None:
        self.is_news = asyncio.Event()
        self._ids: set[UUID] = set()

    def add(self, job_id: UUID) -> None:
        """Add an id; those beyond MAX_CHANGED are dropped, since old progress interests nobody."""
        if len(self._ids) < MAX_CHANGED:
            self._ids.add(job_id)
        self.is_news.set()

    def take(self) -> list[UUID]:
        """Return the ids and forget them."""
        taken, self._ids = list(self._ids), set()
        self.is_news.clear()
        return taken


class Changes:
    """Passes notifications to waiting tasks, by the id of a job or an owner."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._followers: set[ChangedJobs] = set()
        self._callbacks: dict[str, list[Callable[[str], None]]] = defaultdict(list)
        self._missed: list[Callable[[], None]] = []
        self._at_close: list[Callable[[], None]] = []
        self.is_closed = False

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen for as long as the block runs; a lost connection is opened again."""
        task = asyncio.create_task(self._listen())
        try:
            yield
        finally:
            self.close()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    @contextmanager
    def subscription(self, *subject_ids: UUID) -> Iterator[asyncio.Event]:
        """Yield an event that is set when one of these jobs, or something of these owners, may have changed."""
        event = asyncio.Event()
        keys = [str(subject_id) for subject_id in subject_ids]
        for key in keys:
            self._waiting[key].add(event)
        try:
            yield event
        finally:
            for key in keys:
                self._waiting[key].discard(event)
                if not self._waiting[key]:
                    del self._waiting[key]

    @contextmanager
    def all_jobs(self) -> Iterator[ChangedJobs]:
        """Yield a collection of the ids of all jobs that change."""
        follower = ChangedJobs()
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)

    def on(self, channel: str, call: Callable[[str], None], *, missed: Callable[[], None] | None = None) -> None:
        """Register a function for the payload of each notification; `missed` is called when some may have been lost."""
        self._callbacks[channel].append(call)
        if missed is not None:
            self._missed.append(missed)

    def at_close(self, call: Callable[[], None]) -> None:
        """Register a function to call when the process begins to stop."""
        self._at_close.append(call)

    def close(self) -> None:
        """Wake everybody so that streams end; the process is stopping."""
        self.is_closed = True
        for call in self._at_close:
            call()
        self._wake_all()

    async def _listen(self) -> None:
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S, application_name="snuggles-listen"
                )
                async with connection:
                    await connection.execute(LISTEN)
                    # Changes may have been missed while the connection was down.
                    self._wake_all()
                    async for notice in connection.notifies():
                        self._notice(notice.channel, notice.payload)
            except psycopg.Error as error:
                logger.warning("listen_lost", error=str(error))
            except Exception:  # the edge of a task: it must listen again, whatever happened
                logger.exception("listen_failed")
            await asyncio.sleep(RECONNECT_S)

    def _notice(self, channel: str, payload: str) -> None:
        """Pass a notification on. Any login of the database can send one, so its payload may be anything."""
        self._wake(payload)
        hearers = [self._note] if channel == JOBS_CHANGED else []
        for hear in (*hearers, *self._callbacks.get(channel, ())):
            try:
                hear(payload)
            except Exception as error:  # noqa: BLE001 - the other listeners still get this notification, and this one gets the next
                logger.warning("notification_refused", channel=channel, length=len(payload), error=repr(error)[:200])

    def _wake(self, subject_id: str) -> None:
        for event in self._waiting.get(subject_id, ()):
            event.set()

    def _note(self, job_id: str) -> None:
        for follower in self._followers:
            follower.add(UUID(job_id))

    def _wake_all(self) -> None:
        for events in self._waiting.values():
            for event in events:
                event.set()
        for missed in self._missed:
            missed()
