"""Commands about rooms over Socket.IO."""

import asyncio
import time
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar.concurrency import sync_to_thread
from msgspec import UNSET, Struct

from api.base_deps import BaseDeps
from api.limits import rate_limit
from api.realtime.commands.activity import Activity
from api.realtime.commands.command import Command, in_transaction, require_room
from api.realtime.commands.payloads import (
    DeleteCommand,
    EditCommand,
    JoinCommand,
    MessageCommand,
    Nothing,
    ReactionCommand,
    SignalCommand,
    StateCommand,
    TypingCommand,
)
from api.realtime.connection import Connection
from api.realtime.delivery.bus import Bus, Notice
from api.realtime.delivery.hub import Hub
from api.realtime.delivery.transport import Outbox, event_packet, is_closed
from api.realtime.limits import Limits
from api.realtime.presence import Presence
from api.realtime.task import end
from db import room_participants as participant_rows
from db.connection import SERVICE, DatabaseUnavailableError, Transaction
from db.room_participants import ParticipantRow
from services.errors import InvalidFieldError, NotFoundError
from services.rooms import membership, wire
from services.rooms import message as messages
from services.rooms import service as rooms
from services.rooms.errors import MutedError, RoomFullError
from services.rooms.membership import Joined
from services.rooms.message import History, Sent
from services.rooms.person import Person
from services.rooms.presence import MAX_SPEAKERS
from services.rooms.shape import Message, Participant, Room, message_shape, participant_shape, room_shape
from services.rooms.text import has_visible


class Entry(Struct, frozen=True, kw_only=True):
    """The acknowledgement of a join."""

    joined: Joined
    participants: list[ParticipantRow]
    history: History


class RoomCommands:
    """Handles commands about rooms, and people who leave or lose their connection."""

    def __init__(  # noqa: PLR0913 - keyword-only, one per collaborator
        self, deps: BaseDeps, *, hub: Hub, bus: Bus, presence: Presence, outbox: Outbox, limits: Limits
    ) -> None:
        self._deps = deps
        self._hub = hub
        self._bus = bus
        self._presence = presence
        self._outbox = outbox
        self._limits = limits
        self._absences: dict[tuple[UUID, UUID], asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.activity = Activity(deps.database)
        self._is_stopping = False
        hub.on_expelled = self._expelled

    def table(self) -> Mapping[str, Command]:
        """Return the commands by event."""
        return {
            "room:join": Command(JoinCommand, self.join),
            "room:leave": Command(Nothing, self.leave),
            "room:message": Command(MessageCommand, self.message),
            "room:message-edit": Command(EditCommand, self.edit),
            "room:message-delete": Command(DeleteCommand, self.delete),
            "room:typing": Command(TypingCommand, self.typing),
            "room:reaction": Command(ReactionCommand, self.reaction),
            "room:presence-update": Command(Nothing, self.presence_update),
            "room:state-update": Command(StateCommand, self.update_state),
            "room:signal": Command(SignalCommand, self.signal),
            "room:voice-start": Command(Nothing, self.voice_start),
            "room:voice-stop": Command(Nothing, self.voice_stop),
        }

    async def join(self, connection: Connection, asked: JoinCommand) -> Mapping[str, Any]:
        """Join a room, or resume after `lastSeq`."""
        # No events until the room has been read, or some would come twice.
        seen, before = connection.seen, self._hub.unsubscribe(connection)
        try:
            entry = await sync_to_thread(self._enter, connection, asked)
        except Exception:
            if before is not None:
                await self._hub.subscribe(connection, before, after=seen)
            raise
        room_id = entry.joined.room.id
        if before not in (None, room_id):
            await self._depart(connection, before)
        was_away = await self._presence.add(connection, room_id)
        online = await self._presence.online(room_id) | {connection.user_id}
        answer = self._welcome(connection, entry, online)
        await self._hub.subscribe(connection, room_id, after=entry.joined.after)
        if was_away and not entry.joined.is_new:
            self._tell_presence(room_id, connection.user_id, is_online=True)
        if is_closed(connection.transport):
            await self.disconnected(connection)  # the client asked to leave before the join was done
        return answer

    async def leave(self, connection: Connection, _: Nothing) -> Mapping[str, Any]:
        """Leave the room. Other connections of the same person leave with this one."""
        room_id = require_room(connection)
        online = list(await self._presence.online(room_id))
        self._stop_voice(connection, room_id)
        await self._presence.remove(connection, room_id)
        person = connection.person
        has_left = await in_transaction(
            self._deps.database, lambda tx: membership.leave(tx, person, room_id=room_id, online=online)
        )
        if not has_left:
            self._hub.unsubscribe(connection)
        return {}

    async def message(self, connection: Connection, asked: MessageCommand) -> Mapping[str, Any]:
        """Post a message."""
        room_id, person = require_room(connection), connection.person

        def send(tx: Transaction) -> Sent:
            return messages.send(tx, person, room_id=room_id, content=asked.content, client_msg_id=asked.client_msg_id)

        with self._hub.writing(room_id):
            sent = await in_transaction(self._deps.database, send)
            if sent.event is not None:
                self._hub.hand_over(room_id, sent.event)
        return {"message": message_shape(sent.message)}

    async def edit(self, connection: Connection, asked: EditCommand) -> Mapping[str, Any]:
        """Edit one's own message."""
        room_id, person = require_room(connection), connection.person

        def edit(tx: Transaction) -> Message:
            return message_shape(messages.edit(tx, person, room_id=room_id, message_id=asked.id, content=asked.content))

        return {"message": await in_transaction(self._deps.database, edit)}

    async def delete(self, connection: Connection, asked: DeleteCommand) -> Mapping[str, Any]:
        """Delete a message."""
        room_id, person = require_room(connection), connection.person

        def delete(tx: Transaction) -> Message:
            return message_shape(messages.delete(tx, person, room_id=room_id, message_id=asked.id))

        return {"message": await in_transaction(self._deps.database, delete)}

    async def typing(self, connection: Connection, asked: TypingCommand) -> Mapping[str, Any]:
        """Show that one is writing."""
        self._publish(require_room(connection), "room:typing", connection, is_typing=asked.is_typing)
        return {}

    async def reaction(self, connection: Connection, asked: ReactionCommand) -> Mapping[str, Any]:
        """Show a reaction to everybody."""
        room_id = require_room(connection)
        if not has_visible(asked.emoji):
            raise InvalidFieldError("emoji", "emoji must be a visible character.")
        self.activity.count_reaction(room_id, connection.user_id)
        self._publish(room_id, "room:reaction", connection, emoji=asked.emoji, at=datetime.now(UTC))
        return {}

    async def presence_update(self, connection: Connection, _: Nothing) -> Mapping[str, Any]:
        """Note that one is present."""
        room_id = require_room(connection)
        await self._presence.add(connection, room_id)
        self._tell_presence(room_id, connection.user_id, is_online=True)
        return {}

    async def update_state(self, connection: Connection, asked: StateCommand) -> Mapping[str, Any]:
        """Change the room; host and co-hosts."""
        room_id, person = require_room(connection), connection.person
        updates = asked.updates
        changes = {name: value for name in updates.__struct_fields__ if (value := getattr(updates, name)) is not UNSET}

        def update(tx: Transaction) -> Room:
            found = rooms.update_state(tx, person, room_id=room_id, changes=changes)
            return room_shape(found.room, your_role=found.me.role)

        return {"room": await in_transaction(self._deps.database, update)}

    async def signal(self, connection: Connection, asked: SignalCommand) -> Mapping[str, Any]:
        """Pass WebRTC signalling to another member."""
        room_id = require_room(connection)
        if (asked.description is None) == (asked.candidate is None):
            raise InvalidFieldError("description", "Send a description or a candidate.")
        if asked.to not in await self._presence.online(room_id):
            raise NotFoundError("This person is not connected to the room.")
        said = {"description": asked.description} if asked.candidate is None else {"candidate": asked.candidate}
        # Unchanged: WebRTC defines the keys.
        payload = {"roomId": str(room_id), "from": str(connection.user_id), **said}
        self._bus.publish(
            Notice(room_id=room_id, event="room:signal", payload=msgspec.json.encode(payload).decode(), to=asked.to)
        )
        return {}

    async def voice_start(self, connection: Connection, _: Nothing) -> Mapping[str, Any]:
        """Announce that one's microphone is on."""
        room_id, user_id = require_room(connection), connection.user_id
        found = await in_transaction(
            self._deps.database,
            lambda tx: participant_rows.find_participant(tx, room_id=room_id, user_id=user_id),
        )
        if found is None or found.is_muted:
            raise MutedError("You were muted in this room: you can read, react and vote.")
        if connection.voice_since is None:
            if not await self._presence.speak(connection, room_id):
                raise RoomFullError(f"{MAX_SPEAKERS} people are speaking already; wait until one of them stops.")
            connection.voice_since = time.monotonic()
            self._publish(room_id, "room:voice-started", connection)
        return {}

    async def voice_stop(self, connection: Connection, _: Nothing) -> Mapping[str, Any]:
        """Announce that one's microphone is off."""
        self._stop_voice(connection, require_room(connection))
        return {}

    async def disconnected(self, connection: Connection) -> None:
        """Note that a connection is gone; its person keeps their place in the room for a while."""
        room_id = self._hub.unsubscribe(connection)
        if room_id is not None and not self._is_stopping:
            await self._depart(connection, room_id)

    async def gone(self, room_id: UUID, user_id: UUID) -> None:
        """Start the absence of a person whose process died."""
        self._watch(room_id, user_id)

    def stop(self) -> None:
        """Stop noting absences: clients reconnect to another process, which finds the missing ones in Redis."""
        self._is_stopping = True

    async def close(self) -> None:
        """Cancel the timers of people who left."""
        self.stop()
        await end((*self._absences.values(), *self._tasks))

    def _enter(self, connection: Connection, asked: JoinCommand) -> Entry:
        person = connection.person
        with self._deps.database.transaction(SERVICE) as tx:
            room_id, has_code = self._which(tx, person, asked)
            joined = membership.join(
                tx,
                person,
                room_id=room_id,
                has_code=has_code,
                display_name=asked.display_name,
                is_online=True,
            )
            if asked.last_seq is not None:
                self._deps.socket_metrics.resume()
            return Entry(
                joined=joined,
                participants=membership.participants(tx, room_id),
                history=messages.history(tx, room_id=room_id, last_seq=asked.last_seq),
            )

    def _which(self, tx: Transaction, person: Person, asked: JoinCommand) -> tuple[UUID, bool]:
        if asked.room_code is None:
            if asked.room_id is None:
                raise InvalidFieldError("roomCode", "Send roomCode or roomId.")
            return asked.room_id, False
        who = str(person.user_id)
        self._deps.limits.check(rate_limit.ROOM_CODE, who)
        try:
            return rooms.find_by_code(tx, asked.room_code).id, True
        except NotFoundError:
            self._deps.limits.hit(rate_limit.ROOM_CODE, who)
            raise

    def _welcome(self, connection: Connection, entry: Entry, online: set[UUID]) -> dict[str, Any]:
        """Send a client the state of the room, and return the acknowledgement."""
        joined = entry.joined
        room = room_shape(joined.room, your_role=joined.me.role)
        you = participant_shape(joined.me, online=online)
        participants = [participant_shape(row, online=online) for row in entry.participants]
        self._send(connection, "room:authenticated", _authenticated(connection, room, participants))
        self._send(connection, "room:joined", {"room": room, "you": you, "last_seq": room.last_seq})
        history = [message_shape(row) for row in entry.history.messages]
        self._send(
            connection,
            "room:messages-history",
            {"room_id": room.id, "messages": history, "has_more": entry.history.has_more},
        )
        return {"room": room, "you": you, "participants": participants, "last_seq": room.last_seq}

    async def _depart(self, connection: Connection, room_id: UUID) -> None:
        self._stop_voice(connection, room_id)
        await self._presence.remove(connection, room_id)
        if connection.user_id not in await self._presence.online(room_id):
            self._watch(room_id, connection.user_id)

    def _watch(self, room_id: UUID, user_id: UUID) -> None:
        key = (room_id, user_id)
        if key not in self._absences and not self._is_stopping:
            task = self._absences[key] = asyncio.create_task(self._await_return(room_id, user_id))
            task.add_done_callback(lambda _: self._absences.pop(key, None))

    async def _await_return(self, room_id: UUID, user_id: UUID) -> None:
        """Announce that somebody is away, and free their place unless they return in time."""
        await asyncio.sleep(self._limits.presence_grace_s)
        if user_id in await self._presence.online(room_id):
            return
        self._tell_presence(room_id, user_id, is_online=False)
        await asyncio.sleep(self._limits.leave_grace_s - self._limits.presence_grace_s)
        for pause_s in (self._limits.host_grace_s - self._limits.leave_grace_s, 0.0):
            online = await self._presence.online(room_id)
            if user_id in online:
                return
            is_last = pause_s == 0.0
            try:
                is_host = await in_transaction(
                    self._deps.database,
                    lambda tx, online=online, is_last=is_last: membership.give_up(  # type: ignore[misc]  # a default is no argument
                        tx, room_id=room_id, user_id=user_id, online=online, hands_over=is_last
                    ),
                )
            except DatabaseUnavailableError:
                is_host = True  # asked again below
            if not is_host:
                return
            await asyncio.sleep(pause_s)

    def _expelled(self, connection: Connection) -> None:
        room_id = connection.room_id
        if room_id is None:
            return
        self._stop_voice(connection, room_id)
        self._later(self._presence.remove(connection, room_id))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _stop_voice(self, connection: Connection, room_id: UUID) -> None:
        if connection.voice_since is None:
            return
        self.activity.add_voice(room_id, connection.user_id, time.monotonic() - connection.voice_since)
        connection.voice_since = None
        self._publish(room_id, "room:voice-stopped", connection)
        self._later(self._presence.hush(connection, room_id))

    def _tell_presence(self, room_id: UUID, user_id: UUID, *, is_online: bool) -> None:
        payload = {"room_id": room_id, "user_id": user_id, "is_online": is_online}
        self._bus.publish(Notice(room_id=room_id, event="room:presence-updated", payload=wire.encode(payload).decode()))

    def _publish(self, room_id: UUID, event: str, connection: Connection, **data: Any) -> None:
        payload = {"room_id": room_id, "user_id": connection.user_id, **data}
        self._bus.publish(Notice(room_id=room_id, event=event, payload=wire.encode(payload).decode()))

    def _send(self, connection: Connection, event: str, payload: Any) -> None:
        self._outbox.push(connection.transport, event_packet(event, wire.encode(payload).decode()))


def _authenticated(connection: Connection, room: Room, participants: list[Participant]) -> dict[str, Any]:
    return {"user_id": connection.user_id, "room_id": room.id, "participants": participants}
