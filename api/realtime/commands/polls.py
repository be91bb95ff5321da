"""Commands about polls over Socket.IO."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from msgspec import Struct

from api.base_deps import BaseDeps
from api.realtime.commands.command import Command, in_transaction, require_room
from api.realtime.connection import Connection
from api.schemas.polls import Duration, GivenOptionId, Options, Question
from db.polls import PollType, Visibility
from services.polls import service as polls


class CreateCommand(Struct, frozen=True, rename="camel", kw_only=True):
    """The fields of `poll:create`."""

    poll_type: PollType
    question: Question
    options: Options = []
    duration_seconds: Duration
    is_anonymous: bool = False
    results_visibility: Visibility = "live"


class VoteCommand(Struct, frozen=True, rename="camel"):
    """The fields of `poll:vote`."""

    poll_id: UUID
    option_id: GivenOptionId


class CloseCommand(Struct, frozen=True, rename="camel"):
    """The fields of `poll:close`."""

    poll_id: UUID


class PollCommands:
    """Handles commands about polls. To vote or close, a member of the room need not have joined it over this socket."""

    def __init__(self, deps: BaseDeps) -> None:
        self._deps = deps

    def table(self) -> Mapping[str, Command]:
        """Return the commands by name of their event."""
        return {
            "poll:create": Command(CreateCommand, self.create),
            "poll:vote": Command(VoteCommand, self.vote),
            "poll:close": Command(CloseCommand, self.close),
        }

    async def create(self, connection: Connection, asked: CreateCommand) -> Mapping[str, Any]:
        """Create a poll."""
        room_id, person = require_room(connection), connection.person
        made = await in_transaction(
            self._deps.database,
            lambda tx: polls.create(
                tx,
                person,
                room_id=room_id,
                poll_type=asked.poll_type,
                question=asked.question,
                options=asked.options,
                duration_seconds=asked.duration_seconds,
                is_anonymous=asked.is_anonymous,
                results_visibility=asked.results_visibility,
            ),
        )
        return {"poll": made.poll}

    async def vote(self, connection: Connection, asked: VoteCommand) -> Mapping[str, Any]:
        """Vote or change a vote."""
        person = connection.person
        voted = await in_transaction(
            self._deps.database,
            lambda tx: polls.vote(tx, person, poll_id=asked.poll_id, option_id=asked.option_id),
        )
        return {
            "poll_id": asked.poll_id,
            "option_id": asked.option_id,
            "version": voted.results.version,
            "results": voted.results,
        }

    async def close(self, connection: Connection, asked: CloseCommand) -> Mapping[str, Any]:
        """End a poll early."""
        person = connection.person
        closed = await in_transaction(self._deps.database, lambda tx: polls.close(tx, person, poll_id=asked.poll_id))
        return {"poll": closed.poll, "results": closed.results}
