"""The web app's types of events are those of the structs, and the structs those of what is told."""

from pathlib import Path
from typing import Any

import msgspec
from support.sockets.house import House

from api.describe import describe
from api.realtime.events import SERVER_EVENTS
from services.rooms.wire import camel

TYPES = Path(__file__).parents[2] / "web/src/api/room_events.ts"
OPTIONAL = {"room:authenticated", "room:signal"}
"""Events whose data has fields that are left out."""


def test_types_of_events_are_up_to_date(tmp_path: Path) -> None:
    describe(tmp_path / "openapi.json", tmp_path / "events.ts")
    assert TYPES.read_text() == (tmp_path / "events.ts").read_text(), (
        "run: python -m api.describe web/openapi.json web/src/api/room_events.ts"
    )


def keys_of(kind: type[Any]) -> set[str]:
    return {camel(field.encode_name) for field in msgspec.structs.fields(kind)}


def test_events_carry_what_their_structs_say(house: House) -> None:
    host, other = house.member(tier="premium"), house.member()
    room = house.room(host)
    first, second = house.inside(host, room), house.inside(other, room)
    message = second.call("room:message", {"content": "Hi"})["message"]
    second.call("room:message-edit", {"id": message["id"], "content": "Ho"})
    second.call("room:typing")
    second.call("room:reaction", {"emoji": "🎉"})
    second.call("room:voice-start")
    second.call("room:presence-update")
    second.emit("room:message", {"content": ""})
    first.call("room:signal", {"to": str(other.id), "candidate": {}})
    first.call("room:state-update", {"updates": {"name": "Another"}})
    poll = {"pollType": "topic", "question": "?", "options": ["a", "b"], "durationSeconds": 60}
    poll_id = first.call("poll:create", poll)["poll"]["id"]
    second.call("poll:vote", {"pollId": poll_id, "optionId": "1"})
    first.hear("poll:results-update")
    first.call("poll:close", {"pollId": poll_id})
    house.http(host, "POST", f"/api/rooms/{room.room.id}/participants/{other.id}/kick")
    second.hear("room:kicked")
    house.http(host, "DELETE", f"/api/rooms/{room.room.id}")
    first.hear("room:ended")
    seen = set()
    for socket in (first, second):
        for event in SERVER_EVENTS:
            for data in socket.told(event):
                seen.add(event)
                keys = keys_of(SERVER_EVENTS[event])
                assert set(data) <= keys if event in OPTIONAL else set(data) == keys, event
    assert len(seen) >= 18
