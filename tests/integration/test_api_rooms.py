"""Rooms over HTTP: opening, finding, joining, moderating and ending them."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from support.api.server import Person, Service, refused

from db.connection import SERVICE
from services.rooms import membership
from services.rooms import message as messages
from services.rooms import service as rooms
from services.rooms.errors import RoomFullError
from services.rooms.person import Person as Member


def open_room(host: Person, **asked: Any) -> dict[str, Any]:
    answer = host.post("/api/rooms/create", {"name": "Friday listening", **asked})
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["data"])


def join(person: Person, room: dict[str, Any], **asked: Any) -> httpx.Response:
    return person.post(f"/api/rooms/{room['id']}/join", asked or None)


def guest_of(service: Service, room: dict[str, Any], name: str = "Gast") -> tuple[dict[str, str], dict[str, Any]]:
    answer = service.client.post(f"/api/rooms/code/{room['room_code']}/guest", json={"display_name": name})
    assert answer.status_code == 201, answer.text
    data = answer.json()["data"]
    return {"Authorization": f"Bearer {data['token']}"}, dict(data["participant"])


def events_of(service: Service, room: dict[str, Any]) -> list[tuple[int, str]]:
    found = service.rows("SELECT seq, type FROM room_events WHERE room_id = %(id)s ORDER BY seq", id=UUID(room["id"]))
    return [(row["seq"], row["type"]) for row in found]


def test_room_has_the_shape_of_the_contract(service: Service) -> None:
    host = service.person(tier="premium")
    room = open_room(host, max_participants=4, is_private=True, allow_guests=True)
    assert set(room) >= {
        *("id", "status", "created_at", "room_code", "name", "host_user_id", "max_participants", "is_active"),
        *("is_locked", "is_private", "allow_guests", "mode", "participant_count", "your_role", "recording", "last_seq"),
        "ended_at",
    }
    assert re.fullmatch("[ABCDEFGHJKLMNPQRSTUVWXYZ23456789]{6}", room["room_code"])
    assert (room["status"], room["your_role"], room["participant_count"]) == ("active", "host", 1)
    assert (room["host_user_id"], room["recording"], room["ended_at"]) == (str(host.id), None, None)
    assert host.get(f"/api/rooms/{room['id']}").json()["data"] == room
    assert host.get(f"/api/rooms/code/{room['room_code'].lower()}").json()["data"] == room
    assert host.get("/api/rooms").json()["data"]["items"] == [room]


def test_free_tier_opens_no_room_and_fields_are_checked(service: Service) -> None:
    assert refused(service.person().post("/api/rooms/create", {"name": "Room"}), 403)["code"] == "tier_required"
    host = service.person(tier="premium")
    refused(host.post("/api/rooms/create", {"name": "  "}), 422, "name")
    refused(host.post("/api/rooms/create", {"name": "\u202e\u200b"}), 422, "name")
    refused(host.post("/api/rooms/create", {"name": "Room", "max_participants": 51}), 422, "max_participants")
    refused(host.post("/api/rooms/create", {"name": "Room", "colour": "red"}), 422, "colour")


def test_repeated_creation_with_a_key_opens_one_room(service: Service) -> None:
    host = service.person(tier="premium")
    answers = [
        host.post("/api/rooms/create", {"name": "Room"}, headers={"Idempotency-Key": "room-1"}).json() for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert service.rows("SELECT count(*) AS rooms FROM rooms") == [{"rooms": 1}]


def test_public_room_is_joined_by_id_and_a_private_one_with_its_code(service: Service) -> None:
    host, other = service.person(tier="premium"), service.person()
    public, private = open_room(host), open_room(host, is_private=True)
    refused(other.get(f"/api/rooms/{public['id']}"), 404)
    joined = join(other, public, display_name="Bob").json()["data"]
    assert (joined["you"]["display_name"], joined["you"]["role"]) == ("Bob", "participant")
    assert [person["user_id"] for person in joined["participants"]] == [str(host.id), str(other.id)]
    assert refused(join(other, private), 404)["code"] == "not_found"
    assert refused(join(other, private, room_code=public["room_code"]), 404)["code"] == "not_found"
    assert join(other, private, room_code=private["room_code"]).is_success
    assert other.get(f"/api/rooms/{private['id']}").json()["data"]["your_role"] == "participant"
    assert refused(join(other, {"id": str(uuid4())}), 404)["code"] == "not_found"


def test_joining_again_changes_the_name_and_takes_no_second_place(service: Service) -> None:
    host, other = service.person(tier="premium"), service.person()
    room = open_room(host)
    join(other, room, display_name="Bob")
    assert join(other, room, display_name="Robert").json()["data"]["room"]["participant_count"] == 2
    assert join(other, room).json()["data"]["you"]["display_name"] == "Robert"
    assert [kind for _, kind in events_of(service, room)] == ["room:participant-joined", "room:participant-updated"]


def test_wrong_codes_are_throttled_and_right_ones_are_not(service: Service) -> None:
    host, other = service.person(tier="premium"), service.person()
    room = open_room(host)
    for _ in range(12):
        assert other.get(f"/api/rooms/code/{room['room_code']}").is_success
    for _ in range(10):
        refused(other.get("/api/rooms/code/AAAAAA"), 404)
    assert refused(other.get("/api/rooms/code/AAAAAB"), 429)["code"] == "rate_limited"
    assert refused(other.get(f"/api/rooms/code/{room['room_code']}"), 429)["retryable"]
    assert host.get(f"/api/rooms/code/{room['room_code']}").is_success


def test_of_100_who_join_at_once_10_get_in(service: Service) -> None:
    host = service.person(tier="premium")
    room = open_room(host, max_participants=11)
    ids = [uuid4() for _ in range(100)]
    service.execute(
        "INSERT INTO users (id, email) SELECT id, id || '@example.org' FROM unnest(%(ids)s::uuid[]) AS t(id)", ids=ids
    )

    def attempt(user_id: UUID) -> bool:
        try:
            with service.deps.database.transaction(SERVICE) as tx:
                membership.join(tx, Member(user_id=user_id), room_id=UUID(room["id"]), has_code=True)
        except RoomFullError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        admitted = list(pool.map(attempt, ids))
    assert admitted.count(True) == 10
    inside = service.rows("SELECT count(*) AS people FROM room_participants WHERE left_at IS NULL")
    assert inside == [{"people": 11}]
    told = events_of(service, room)
    assert [seq for seq, _ in told] == list(range(1, 11))
    late = service.person()
    assert refused(join(late, room), 409)["code"] == "room_full"


def test_locked_room_takes_only_those_in_who_were_cut_off(service: Service) -> None:
    host, other, stranger = service.person(tier="premium"), service.person(), service.person()
    room = open_room(host)
    join(other, room)
    state = host.patch(f"/api/rooms/{room['id']}/state", {"is_locked": True, "mode": "quiet"}).json()["data"]
    assert (state["is_locked"], state["mode"]) == (True, "quiet")
    assert refused(join(stranger, room), 409)["code"] == "room_locked"
    with service.deps.database.transaction(SERVICE) as tx:
        assert membership.leave(tx, Member(user_id=other.id), room_id=UUID(room["id"]), reason="disconnected")
    assert join(other, room).is_success
    assert other.delete(f"/api/rooms/{room['id']}/leave").json()["data"]["status"] == "left"
    assert refused(join(other, room), 409)["code"] == "room_locked"


def test_state_is_changed_by_host_and_co_host_alone(service: Service) -> None:
    host, other, third = service.person(tier="premium"), service.person(), service.person()
    room = open_room(host)
    for person in (other, third):
        join(person, room)
    path = f"/api/rooms/{room['id']}/state"
    assert refused(other.patch(path, {"name": "Mine"}), 403)["code"] == "forbidden"
    act(host, room, other, "promote")
    assert other.patch(path, {"name": "Ours", "max_participants": 5}).json()["data"]["name"] == "Ours"
    refused(other.patch(path, {"max_participants": 2}), 422, "max_participants")
    assert host.get(f"/api/rooms/{room['id']}").json()["data"]["max_participants"] == 5
    before = events_of(service, room)
    host.patch(path, {"name": "Ours"})
    assert events_of(service, room) == before


def act(actor: Person, room: dict[str, Any], target: Person, action: str) -> httpx.Response:
    return actor.post(f"/api/rooms/{room['id']}/participants/{target.id}/{action}")


def test_kicked_person_may_come_back_and_a_banned_one_may_not(service: Service) -> None:
    host, other = service.person(tier="premium"), service.person()
    room = open_room(host)
    join(other, room)
    assert act(host, room, other, "kick").is_success
    refused(other.get(f"/api/rooms/{room['id']}/participants"), 404)
    assert join(other, room).is_success
    assert act(host, room, other, "ban").is_success
    assert refused(join(other, room, room_code=room["room_code"]), 403)["code"] == "banned"
    assert refused(other.get(f"/api/rooms/{room['id']}/messages"), 403)["code"] == "banned"
    assert act(host, room, other, "unban").is_success
    assert join(other, room).is_success


def test_moderation_follows_rank(service: Service) -> None:
    host, second, third = service.person(tier="premium"), service.person(), service.person()
    room = open_room(host)
    for person in (second, third):
        join(person, room)
    assert refused(act(second, room, third, "mute"), 403)["code"] == "forbidden"
    assert act(host, room, second, "promote").json()["data"]["role"] == "co_host"
    assert act(second, room, third, "mute").json()["data"]["is_muted"] is True
    assert act(second, room, third, "unmute").json()["data"]["is_muted"] is False
    for action in ("kick", "ban", "mute"):
        refused(act(second, room, host, action), 403)
    refused(act(second, room, third, "promote"), 403)
    refused(act(host, room, host, "kick"), 403)
    refused(act(host, room, service.person(), "kick"), 404)
    refused(act(host, room, third, "fire"), 404)
    assert act(host, room, third, "transfer").json()["data"]["role"] == "host"
    after = host.get(f"/api/rooms/{room['id']}").json()["data"]
    assert (after["host_user_id"], after["your_role"]) == (str(third.id), "co_host")


def test_longest_serving_co_host_takes_over_from_a_host_who_leaves(service: Service) -> None:
    host, second, third = service.person(tier="premium"), service.person(), service.person()
    room = open_room(host)
    for person in (second, third):
        join(person, room)
        act(host, room, person, "promote")
    assert host.delete(f"/api/rooms/{room['id']}/leave").is_success
    after = second.get(f"/api/rooms/{room['id']}").json()["data"]
    assert (after["host_user_id"], after["your_role"]) == (str(second.id), "host")


def test_ended_room_takes_nobody_and_stays_readable_for_those_who_were_in_it(service: Service) -> None:
    host, other, late = service.person(tier="premium"), service.person(), service.person()
    room = open_room(host)
    join(other, room)
    say(service, other, room, "Good night")
    assert refused(other.delete(f"/api/rooms/{room['id']}"), 403)["code"] == "forbidden"
    ended = host.delete(f"/api/rooms/{room['id']}").json()["data"]
    assert (ended["status"], ended["is_active"]) == ("ended", False)
    assert ended["ended_at"] is not None
    assert host.delete(f"/api/rooms/{room['id']}").json()["data"]["last_seq"] == ended["last_seq"]
    assert refused(join(late, room), 409)["code"] == "room_ended"
    assert refused(host.patch(f"/api/rooms/{room['id']}/state", {"name": "x"}), 409)["code"] == "room_ended"
    assert [item["content"] for item in history(other, room)["items"]] == ["Good night"]
    assert service.rows("SELECT COUNT(*) FROM rooms WHERE is_active = true") == [{"count": 0}]


def say(service: Service, person: Person, room: dict[str, Any], content: str, **asked: Any) -> Any:
    with service.deps.database.transaction(SERVICE) as tx:
        return messages.send(tx, Member(user_id=person.id), room_id=UUID(room["id"]), content=content, **asked).message


def history(person: Person, room: dict[str, Any], **where: Any) -> dict[str, Any]:
    return dict(person.get(f"/api/rooms/{room['id']}/messages", params=where).json()["data"])


def test_history_is_read_in_pages_both_ways(service: Service) -> None:
    host = service.person(tier="premium")
    room = open_room(host)
    for number in range(5):
        say(service, host, room, f"{number}")
    newest = history(host, room, limit=2)
    assert [item["content"] for item in newest["items"]] == ["3", "4"]
    older = history(host, room, limit=2, before=newest["next_cursor"])
    assert [item["content"] for item in older["items"]] == ["1", "2"]
    assert older["has_more"]
    newer = history(host, room, limit=2, after=older["items"][-1]["seq"])
    assert [item["content"] for item in newer["items"]] == ["3", "4"]
    assert not newer["has_more"]
    assert newer["next_cursor"] is None
    refused(host.get(f"/api/rooms/{room['id']}/messages", params={"before": 1, "after": 1}), 422, "before")


def test_message_with_the_same_client_id_is_kept_once(service: Service) -> None:
    host = service.person(tier="premium")
    room = open_room(host)
    first = say(service, host, room, "Hello", client_msg_id="m-1")
    again = say(service, host, room, "Hello", client_msg_id="m-1")
    assert first == again
    assert len(history(host, room)["items"]) == 1


def test_what_was_edited_or_deleted_is_in_the_replay(service: Service) -> None:
    host = service.person(tier="premium")
    room = open_room(host)
    first, second = say(service, host, room, "one"), say(service, host, room, "two")
    member, room_id = Member(user_id=host.id), UUID(room["id"])
    with service.deps.database.transaction(SERVICE) as tx:
        messages.edit(tx, member, room_id=room_id, message_id=first.id, content="ONE")
        messages.delete(tx, member, room_id=room_id, message_id=second.id)
        replay = messages.history(tx, room_id=room_id, last_seq=second.seq)
        assert [(row.seq, row.content) for row in replay.messages] == [(first.seq, "ONE"), (second.seq, "")]
        assert messages.history(tx, room_id=room_id, last_seq=rooms.get(tx, room_id).last_seq).messages == []


def test_guest_sees_one_room_and_owns_nothing(service: Service) -> None:
    host = service.person(tier="premium")
    room, other = open_room(host, allow_guests=True), open_room(host)
    headers, me = guest_of(service, room)
    assert (me["is_guest"], me["display_name"], me["role"]) == (True, "Gast", "participant")
    assert service.client.get(f"/api/rooms/{room['id']}", headers=headers).json()["data"]["your_role"] == "participant"
    assert service.client.get(f"/api/rooms/{room['id']}/messages", headers=headers).is_success
    for path in (f"/api/rooms/{other['id']}", f"/api/rooms/code/{other['room_code']}"):
        refused(service.client.get(path, headers=headers), 404)
    for path in ("/api/me", "/api/rooms", "/api/clips", "/api/recordings", "/api/jobs"):
        assert service.client.get(path, headers=headers).status_code in (401, 403)
    refused(service.client.post("/api/rooms/create", json={"name": "Mine"}, headers=headers), 403)
    refused(service.client.post(f"/api/rooms/code/{other['room_code']}/guest", json={"display_name": "x"}), 403)
    promoted = host.post(f"/api/rooms/{room['id']}/participants/{me['user_id']}/promote")
    assert refused(promoted, 409)["code"] == "conflict"
    assert host.post(f"/api/rooms/{room['id']}/participants/{me['user_id']}/kick").is_success
    refused(service.client.get(f"/api/rooms/{room['id']}/messages", headers=headers), 404)
    bad = {"Authorization": headers["Authorization"][:-4] + "AAAA"}
    refused(service.client.get(f"/api/rooms/{room['id']}", headers=bad), 401)


def test_account_that_is_deleted_takes_its_words_and_its_place_along(service: Service) -> None:
    host, other = service.person(tier="premium"), service.person()
    room = open_room(host)
    join(other, room)
    say(service, other, room, "I was here")
    service.execute("DELETE FROM users WHERE id = %(id)s", id=other.id)
    assert history(host, room)["items"] == []
    assert host.get(f"/api/rooms/{room['id']}").json()["data"]["participant_count"] == 1


def test_row_level_security_shows_members_only_their_rooms(service: Service) -> None:
    host, other, stranger = service.person(tier="premium"), service.person(), service.person()
    room = open_room(host)
    join(other, room)
    say(service, host, room, "Hello")

    def seen(person: Person, table: str) -> int:
        with service.deps.database.transaction(member_identity(person)) as tx:
            return len(tx.execute(f"SELECT room_id FROM {table}").fetchall())  # noqa: S608 - a table of ours

    assert [seen(person, "room_messages") for person in (host, other, stranger)] == [1, 1, 0]
    assert [seen(person, "room_participants") for person in (host, other, stranger)] == [2, 2, 0]


def member_identity(person: Person) -> Any:
    from db.connection import user_identity

    return user_identity(person.id)


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\u202egnp.exe", "Ünï 🎧"])
def test_names_are_kept_as_they_were_written(service: Service, name: str) -> None:
    room = open_room(service.person(tier="premium"), name=name)
    assert room["name"] == name


def test_people_of_a_room_learn_how_their_voices_reach_each_other(service: Service) -> None:
    host, stranger = service.person(tier="premium"), service.person()
    room = open_room(host)
    answer = host.get(f"/api/rooms/{room['id']}/voice")
    assert answer.json()["data"] == {"ice_servers": [], "max_speakers": 6}
    refused(stranger.get(f"/api/rooms/{room['id']}/voice"), 404)
