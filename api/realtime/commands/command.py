"""Decodes, limits, executes and acknowledges commands of clients. Every event gets an answer."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import psycopg
import structlog
from litestar.concurrency import sync_to_thread
from msgspec import Struct
from redis.exceptions import RedisError

from api.http.errors import InternalError, body_of
from api.http.validation import invalid_body
from api.metrics import SocketMetrics
from api.realtime.connection import Connection
from api.realtime.limits import RATES, Bucket, refuse
from db.connection import SERVICE, Database, DatabaseUnavailableError, Transaction
from services.errors import (
    ConflictError,
    DomainError,
    InvalidFieldError,
    NotFoundError,
    RateLimitedError,
    UnavailableError,
)
from services.rooms.wire import to_wire

T = TypeVar("T")
MAX_NAME_SHOWN = 50
OTHER = "other"
"""The label of unknown events in metrics."""

logger = structlog.get_logger(__name__)


class Command(Struct, frozen=True):
    """The payload of an event and its handler, whose result is the acknowledgement's `data`."""

    takes: type[Any]
    run: Callable[[Connection, Any], Awaitable[Mapping[str, Any]]]


class NotInRoomError(ConflictError):
    """The command needs a room, and this connection is in none."""

    code = "not_in_room"


class Commands:
    """Dispatches every event that clients send."""

    def __init__(self, commands: Mapping[str, Command], metrics: SocketMetrics) -> None:
        self._commands = commands
        self._metrics = metrics
        self._buckets: dict[tuple[UUID, str], Bucket] = {}

    async def answer(self, connection: Connection, data: list[Any]) -> dict[str, Any]:
        """Execute an event and return its acknowledgement; raises nothing."""
        answer = await self._answer(connection, data)
        event = data[0] if data[0] in self._commands else OTHER
        self._metrics.answer(event, is_success=answer["success"])
        return answer

    async def _answer(self, connection: Connection, data: list[Any]) -> dict[str, Any]:
        event = data[0]
        try:
            self._limit(connection, event)
            command = self._find(event)
            result = await command.run(connection, _decode(data[1:], command.takes))
        except Exception as error:  # noqa: BLE001 - the edge: a handler that raises would never acknowledge
            if isinstance(error, RateLimitedError) and connection.patience.take():
                connection.is_flooding = True
            return body_of(_domain_error(error, event))
        return {"success": True, "data": to_wire(result)}

    def forget(self, user_id: UUID) -> None:
        """Forget a person's counts, once their last connection is gone."""
        for event in RATES:
            self._buckets.pop((user_id, event), None)

    def _find(self, event: str) -> Command:
        command = self._commands.get(event)
        if command is None:
            raise NotFoundError(f"There is no event {event[:MAX_NAME_SHOWN]!r}.")
        return command

    def _limit(self, connection: Connection, event: str) -> None:
        if wait_s := connection.bucket.take():
            raise refuse(wait_s)
        rate = RATES.get(event)
        if rate is None:
            return
        key = (connection.user_id, event)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(rate)
        if wait_s := bucket.take():
            raise refuse(wait_s)


async def in_transaction(database: Database, work: Callable[[Transaction], T]) -> T:
    """Run a use case in a thread, in its own transaction."""

    def run() -> T:
        with database.transaction(SERVICE) as tx:
            return work(tx)

    return await sync_to_thread(run)


def require_room(connection: Connection) -> UUID:
    """Return the room that a connection is in; NotInRoomError when it is in none."""
    if connection.room_id is None:
        raise NotInRoomError("Join a room first: emit room:join.")
    return connection.room_id


def _decode(arguments: list[Any], kind: type[Any]) -> Any:
    given = arguments[0] if arguments else {}
    try:
        return msgspec.convert({} if given is None else given, type=kind)
    except msgspec.ValidationError as error:
        raise invalid_body(error, kind) from error
    except RecursionError as error:
        raise InvalidFieldError("body", "This is nested too deeply.") from error


def _domain_error(error: Exception, event: str) -> DomainError:
    if isinstance(error, DomainError):
        return error
    if isinstance(error, psycopg.DataError | UnicodeEncodeError):
        return InvalidFieldError("body", "A value holds characters or numbers that cannot be stored.")
    if isinstance(error, DatabaseUnavailableError | RedisError | psycopg.OperationalError):
        logger.warning("command_unavailable", event_name=event, error=str(error))
        return UnavailableError("A part of the service does not answer; try again in a moment.")
    logger.error("command_failed", event_name=event[:MAX_NAME_SHOWN], exc_info=error)
    return InternalError("Something went wrong on our side; try again, and report it if it keeps happening.")
