"""`/api/rooms`: opening, finding and joining rooms, their members and their messages."""

from collections.abc import Collection
from typing import Annotated
from uuid import UUID

from litestar import Response, Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from api.auth import PUBLIC
from api.deps import Deps
from api.http.client_address import address_of, limit_key
from api.http.idempotency import answer_once
from api.http.request import ApiRequest
from api.limits import rate_limit
from api.limits.metering import UNMETERED
from api.schemas.answers import Answer, Items
from api.schemas.fields import DEFAULT_LIMIT, CursorParameter, Limit
from api.schemas.rooms import (
    CreateRoomRequest,
    GuestRequest,
    GuestView,
    JoinedView,
    JoinRequest,
    LeftView,
    MessagesView,
    StandingView,
    StateRequest,
    VoiceView,
    joined_view,
    left_view,
)
from db.connection import SERVICE, Transaction, as_service
from db.rooms import RoomRow
from services.errors import NotFoundError
from services.paging import decode_time_cursor
from services.rooms import engagement, membership, presence
from services.rooms import message as messages
from services.rooms import service as rooms
from services.rooms.person import issue_guest_token
from services.rooms.presence import MAX_SPEAKERS
from services.rooms.service import Membership
from services.rooms.shape import Participant, Room, message_shape, participant_shape, room_shape

Seq = Annotated[int | None, QueryParameter(ge=0, description="A message's `seq`.")]
MAX_SEQ = 2**63 - 1


@post("/create", sync_to_thread=True, status_code=201)
def create(
    data: JSONBody[CreateRoomRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Response[Answer[Room]]:
    """Open a room. Its host takes the first place."""
    user_id, tier = request.user.user_id, request.user.tier

    def work(tx: Transaction) -> Room:
        with as_service(tx):
            made = rooms.create(
                tx,
                user_id=user_id,
                tier=tier,
                name=data.name,
                max_participants=data.max_participants,
                is_private=data.is_private,
                allow_guests=data.allow_guests,
            )
        return _room(made)

    return answer_once(deps, request, work)


@get("", sync_to_thread=True)
def list_rooms(
    request: ApiRequest,
    deps: NamedDependency[Deps],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorParameter = None,
    is_active: Annotated[bool | None, QueryParameter(description="Only those that run, or only past ones.")] = None,
) -> Answer[Items[Room]]:
    """List the rooms that one hosts or has been in, newest first."""
    user_id, position = request.user.user_id, decode_time_cursor(cursor)
    with deps.database.transaction(request.user.identity) as tx:
        page = rooms.list_rooms(tx, user_id=user_id, limit=limit, cursor=position, is_active=is_active)
        items = [room_shape(row, your_role=rooms.role_in(tx, room=row, user_id=user_id)) for row in page.items]
    return Answer(data=Items(items=items, next_cursor=page.next_cursor))


@get("/code/{code:str}", sync_to_thread=True)
def get_by_code(code: FromPath[str], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Room]:
    """Return the room with this code."""
    person = request.user.person
    with deps.database.transaction(SERVICE) as tx:
        row = _find_by_code(tx, deps, request, code, who=str(person.user_id))
        if person.room_id not in (None, row.id):
            raise rooms.no_such_room()
        return Answer(data=room_shape(row, your_role=rooms.role_in(tx, room=row, user_id=person.user_id)))


@post("/code/{code:str}/guest", sync_to_thread=True, status_code=201, opt={PUBLIC: True})
def join_as_guest(
    code: FromPath[str], data: JSONBody[GuestRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Answer[GuestView]:
    """Join without an account, if the room admits guests. The token is valid for this room only."""
    deps.limits.hit(rate_limit.GUEST, limit_key(address_of(request)))
    with deps.database.transaction(SERVICE) as tx:
        row = _find_by_code(tx, deps, request, code, who=limit_key(address_of(request)))
        person, me = membership.admit_guest(tx, room=row, display_name=data.display_name)
        room = rooms.get(tx, row.id)
    token = issue_guest_token(deps.settings.jwt_secret, person=person, now=deps.clock())
    return Answer(
        data=GuestView(
            token=token,
            participant=participant_shape(me, online=()),
            room=room_shape(room, your_role=me.role),
        )
    )


@get("/{room_id:uuid}", sync_to_thread=True)
def get_room(room_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Room]:
    """Show a room that one is in."""
    with deps.database.transaction(SERVICE) as tx:
        return Answer(data=_room(rooms.membership(tx, request.user.person, room_id)))


@delete("/{room_id:uuid}", sync_to_thread=True, status_code=200)
def end(room_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Room]:
    """End a room with its polls; only for the host. Its messages stay readable for everybody who was in it."""
    with deps.database.transaction(SERVICE) as tx:
        return Answer(data=_room(rooms.end(tx, request.user.person, room_id=room_id)))


@patch("/{room_id:uuid}/state", sync_to_thread=True)
def update_state(
    room_id: FromPath[UUID], data: JSONBody[StateRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Answer[Room]:
    """Change a room; host and co-hosts."""
    with deps.database.transaction(SERVICE) as tx:
        found = rooms.update_state(tx, request.user.person, room_id=room_id, changes=data.changes())
    return Answer(data=_room(found))


@post("/{room_id:uuid}/join", sync_to_thread=True, status_code=200)
def join(
    room_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps], data: JSONBody[JoinRequest | None] = None
) -> Answer[JoinedView]:
    """Join a room by its id; a private room needs its code too."""
    person, asked = request.user.person, data or JoinRequest()
    online = presence.online(deps.redis, room_id)
    with deps.database.transaction(SERVICE) as tx:
        has_code = False
        if asked.room_code is not None:
            has_code = _find_by_code(tx, deps, request, asked.room_code, who=str(person.user_id)).id == room_id
        joined = membership.join(tx, person, room_id=room_id, has_code=has_code, display_name=asked.display_name)
        view = joined_view(
            room_shape(joined.room, your_role=joined.me.role),
            participant_shape(joined.me, online=online),
            _participants(tx, room_id, online),
        )
    return Answer(data=view)


@delete("/{room_id:uuid}/leave", sync_to_thread=True, status_code=200)
def leave(room_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[LeftView]:
    """Leave a room. If the host leaves, the longest-serving co-host becomes host."""
    online = presence.online(deps.redis, room_id)
    with deps.database.transaction(SERVICE) as tx:
        found = rooms.membership(tx, request.user.person, room_id)
        membership.leave(tx, request.user.person, room_id=room_id, online=online or None)
    return Answer(data=left_view(room_id, found.room.created_at))


@get("/{room_id:uuid}/participants", sync_to_thread=True)
def list_participants(
    room_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]
) -> Answer[Items[Participant]]:
    """List the members of a room, in order of arrival."""
    online = presence.online(deps.redis, room_id)
    with deps.database.transaction(SERVICE) as tx:
        rooms.membership(tx, request.user.person, room_id)
        return Answer(data=Items(items=_participants(tx, room_id, online)))


@get("/{room_id:uuid}/messages", sync_to_thread=True)
def list_messages(  # noqa: PLR0913, PLR0917 - one per parameter of the request
    room_id: FromPath[UUID],
    request: ApiRequest,
    deps: NamedDependency[Deps],
    limit: Limit = DEFAULT_LIMIT,
    before: Seq = None,
    after: Seq = None,
) -> Answer[MessagesView]:
    """List messages, oldest first: the newest page, or the one before or after a message."""
    bounds = [None if bound is None else min(bound, MAX_SEQ) for bound in (before, after)]
    with deps.database.transaction(SERVICE) as tx:
        rooms.membership(tx, request.user.person, room_id)
        page = messages.page(tx, room_id=room_id, before=bounds[0], after=bounds[1], limit=limit)
    items = [message_shape(row) for row in page.messages]
    edge = (items[-1] if after is not None else items[0]).seq if page.has_more else None
    return Answer(
        data=MessagesView(items=items, has_more=page.has_more, next_cursor=None if edge is None else str(edge))
    )


@post("/{room_id:uuid}/participants/{user_id:uuid}/{action:str}", sync_to_thread=True, status_code=200)
def moderate(
    room_id: FromPath[UUID],
    user_id: FromPath[UUID],
    action: FromPath[str],
    request: ApiRequest,
    deps: NamedDependency[Deps],
) -> Answer[Participant]:
    """Kick, ban, unban, mute, unmute, promote, demote somebody, or transfer the room to them."""
    if action not in membership.ACTIONS:
        raise NotFoundError(f"There is no such action; there are {', '.join(membership.ACTIONS)}.")
    online = presence.online(deps.redis, room_id)
    with deps.database.transaction(SERVICE) as tx:
        row = membership.moderate(
            tx,
            request.user.person,
            room_id=room_id,
            user_id=user_id,
            action=action,  # type: ignore[arg-type]  # the keys of ACTIONS are these
        )
    return Answer(data=participant_shape(row, online=online))


@get("/{room_id:uuid}/engagement/leaderboard", sync_to_thread=True)
def leaderboard(
    room_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]
) -> Answer[Items[StandingView]]:
    """List the participants, most active first."""
    with deps.database.transaction(SERVICE) as tx:
        rooms.membership(tx, request.user.person, room_id)
        found = engagement.leaderboard(tx, room_id)
    items = [StandingView(**{name: getattr(row, name) for name in row.__struct_fields__}) for row in found]
    return Answer(data=Items(items=items))


@get("/{room_id:uuid}/voice", sync_to_thread=True, opt={UNMETERED: True})
def get_voice(room_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[VoiceView]:
    """Return the servers that connect the people of a room, and how many of them can speak at once."""
    with deps.database.transaction(SERVICE) as tx:
        rooms.membership(tx, request.user.person, room_id)
    return Answer(data=VoiceView(ice_servers=list(deps.settings.ice_servers), max_speakers=MAX_SPEAKERS))


def _room(found: Membership) -> Room:
    return room_shape(found.room, your_role=found.me.role)


def _participants(tx: Transaction, room_id: UUID, online: Collection[UUID]) -> list[Participant]:
    return [participant_shape(row, online=online) for row in membership.participants(tx, room_id)]


def _find_by_code(tx: Transaction, deps: Deps, request: ApiRequest, code: str, *, who: str) -> RoomRow:
    """Return the room with a code; wrong codes are counted, by person and by address."""
    address = limit_key(address_of(request))
    deps.limits.check(rate_limit.ROOM_CODE, who)
    deps.limits.check(rate_limit.ROOM_CODE_ADDRESS, address)
    try:
        return rooms.find_by_code(tx, code)
    except NotFoundError:
        deps.limits.hit(rate_limit.ROOM_CODE, who)
        deps.limits.hit(rate_limit.ROOM_CODE_ADDRESS, address)
        raise


rooms_router = Router(
    "/api/rooms",
    route_handlers=[
        create,
        list_rooms,
        get_by_code,
        join_as_guest,
        get_room,
        end,
        update_state,
        join,
        leave,
        list_participants,
        list_messages,
        moderate,
        leaderboard,
        get_voice,
    ],
    tags=["Rooms"],
)
