"""A service with Socket.IO, people who have tokens, and rooms: what the tests of rooms begin with."""

from typing import Any
from uuid import UUID

import httpx
from msgspec import Struct
from support.servers.fleet import add_user, rows
from support.sockets.node import Driver, Socket

from api.realtime.limits import Limits
from db.connection import SERVICE, Database
from services.accounts.token import Tokens
from services.billing import tier as tiers
from services.process.settings import Settings
from services.rooms import service as rooms
from services.rooms.service import Membership

GRACE = Limits(presence_grace_s=0.8, leave_grace_s=1.6, host_grace_s=2.4)
"""Times that a test can wait for."""


def serves(url: str) -> bool:
    """Return whether a process takes requests there."""
    try:
        return httpx.get(f"{url}/ready", timeout=5).is_success
    except httpx.TransportError:
        return False


class Member(Struct, frozen=True):
    """Somebody with an account and a token."""

    id: UUID
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class House(Struct, frozen=True, kw_only=True):
    """A running service."""

    url: str
    settings: Settings
    database: Database
    driver: Driver

    def member(self, *, tier: str = "free") -> Member:
        user_id = add_user(self.database, tier=tier)
        return Member(user_id, Tokens(self.settings.jwt_secret).issue(user_id).token)

    def room(self, host: Member, **asked: Any) -> Membership:
        given = {"name": "Room", "max_participants": 50, "is_private": False, "allow_guests": True, **asked}
        with self.database.transaction(SERVICE) as tx:
            tier = tiers.tier_of(tx, user_id=host.id)
            return rooms.create(tx, user_id=host.id, tier=tier, **given)

    def socket(self, member: Member | str, url: str | None = None, **options: Any) -> Socket:
        token = member if isinstance(member, str) else member.token
        return self.driver.connect(url or self.url, token, **options)

    def inside(self, member: Member, room: Membership, url: str | None = None, **options: Any) -> Socket:
        """A socket that has joined a room."""
        socket = self.socket(member, url, **options)
        socket.call("room:join", {"roomCode": room.room.room_code})
        return socket

    def http(self, member: Member, method: str, path: str, body: Any = None) -> httpx.Response:
        return httpx.request(method, self.url + path, json=body, headers=member.headers, timeout=20)

    def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        return rows(self.database, statement, **values)
