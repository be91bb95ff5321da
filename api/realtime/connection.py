"""One Socket.IO connection and its owner."""

from typing import Any
from uuid import UUID

from api.auth import Principal
from api.realtime.limits import EVERYTHING, PATIENCE, Bucket
from services.rooms.person import Person


class Connection:
    """A connected client. It is in one room at most."""

    __slots__ = (
        *("bucket", "is_flooding", "person", "principal", "patience", "room_id", "seen", "sid", "transport"),
        "voice_since",
    )

    def __init__(self, sid: str, transport: Any, principal: Principal) -> None:
        self.sid = sid
        self.transport = transport
        self.principal = principal
        self.person: Person = principal.person
        self.bucket = Bucket(EVERYTHING)
        self.room_id: UUID | None = None
        self.seen = 0
        """Number of the last room event that this client has."""
        self.voice_since: float | None = None
        self.patience = Bucket(PATIENCE)
        self.is_flooding = False

    @property
    def user_id(self) -> UUID:
        """The owner of this connection."""
        return self.person.user_id
