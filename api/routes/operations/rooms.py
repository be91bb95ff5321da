"""`/api/ops/rooms`: the rooms of all hosts."""

from typing import Annotated, Literal
from uuid import UUID

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from api.auth import operators_only
from api.deps import Deps
from api.limits.metering import UNMETERED
from api.schemas.answers import Answer, Items
from api.schemas.fields import DEFAULT_LIMIT, CursorParameter, Limit, OwnerParameter, TimeParameter, owner_of, time_of
from api.schemas.operations.rooms import (
    OperatorRoomDetailView,
    OperatorRoomView,
    operator_room_detail_view,
    operator_room_view,
)
from db.connection import SERVICE
from services.operations import rooms
from services.operations.rooms import RoomFilter
from services.paging import decode_time_cursor
from services.rooms import presence

Words = Annotated[
    str | None, QueryParameter(min_length=1, max_length=100, description="A part of the name, the code, or an id.")
]
RoomStatus = Annotated[Literal["active", "ended"] | None, QueryParameter()]
IsRecording = Annotated[bool | None, QueryParameter(description="Only rooms with a running recording, or only others.")]


@get("", sync_to_thread=True)
def search_rooms(  # noqa: PLR0913, PLR0917 - one per parameter of the request
    deps: NamedDependency[Deps],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorParameter = None,
    status: RoomStatus = None,
    q: Words = None,
    owner: OwnerParameter = None,
    is_recording: IsRecording = None,
    created_after: TimeParameter = None,
    created_before: TimeParameter = None,
) -> Answer[Items[OperatorRoomView]]:
    """Search the rooms of all hosts, newest first."""
    owner_id, email = owner_of(owner)
    wanted = RoomFilter(
        is_active=None if status is None else status == "active",
        is_recording=is_recording,
        owner_id=owner_id,
        email=email,
        q=q,
        created_after=time_of("created_after", created_after),
        created_before=time_of("created_before", created_before),
    )
    with deps.database.transaction(SERVICE) as tx:
        page = rooms.search_rooms(tx, wanted, limit=limit, cursor=decode_time_cursor(cursor))
    return Answer(data=Items(items=[operator_room_view(row) for row in page.items], next_cursor=page.next_cursor))


@get("/{room_id:uuid}", sync_to_thread=True)
def get_room(room_id: FromPath[UUID], deps: NamedDependency[Deps]) -> Answer[OperatorRoomDetailView]:
    """Show a room of any host with everybody who is or was in it."""
    with deps.database.transaction(SERVICE) as tx:
        row, people = rooms.get_room(tx, room_id=room_id)
    online = presence.online(deps.redis, room_id)
    return Answer(data=operator_room_detail_view(row, people, online=online))


operator_rooms_router = Router(
    "/api/ops/rooms",
    route_handlers=[search_rooms, get_room],
    guards=[operators_only],
    opt={UNMETERED: True},
    tags=["Operators"],
)
