"""Rooms over Socket.IO, as the real socket.io-client sees them."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from support.servers.fleet import wait_for
from support.sockets.house import GRACE, House

from db.connection import SERVICE
from services.accounts.token import Tokens
from services.rooms import membership
from services.rooms import service as rooms
from services.rooms.message import send as write
from services.rooms.person import Person


def test_three_lines_of_the_contract_join_a_room(house: House) -> None:
    host = house.member(tier="premium")
    room = house.room(host)
    socket = house.socket(host)
    socket.emit("room:join", {"roomCode": room.room.room_code})
    assert socket.hear("room:authenticated") == {"userId": str(host.id)}
    again = socket.hear("room:authenticated")
    assert (again["userId"], again["roomId"]) == (str(host.id), str(room.room.id))
    assert [person["userId"] for person in again["participants"]] == [str(host.id)]
    joined = socket.hear("room:joined")
    assert (joined["you"]["role"], joined["room"]["yourRole"], joined["lastSeq"]) == ("host", "host", 0)
    assert socket.hear("room:messages-history") == {"roomId": str(room.room.id), "messages": [], "hasMore": False}
    assert socket.hear("room:presence-updated")["isOnline"] is True
    socket.settle()
    assert sorted(socket.told()) == sorted(
        [
            *("connect", "room:authenticated", "room:authenticated", "room:joined", "room:messages-history"),
            "room:presence-updated",
        ]
    )


@pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]])
def test_every_transport_works(house: House, transports: list[str]) -> None:
    host = house.member(tier="premium")
    room = house.room(host)
    socket = house.inside(host, room, transports=transports)
    socket.call("room:message", {"messageType": "text", "content": "Hello"})
    socket.hear("room:message-received", content="Hello")
    wanted = transports[-1]
    wait_for(lambda: socket.transport() == wanted, what=f"the transport {wanted}")


def test_bad_token_is_refused_in_the_handshake(house: House) -> None:
    for token in ("no.such.token", None):
        socket = house.driver.connect(house.url, token, reconnection=False)
        assert socket.hear("connect_error")["message"] == "unauthorized"


def test_everybody_is_told_each_event_once_and_in_order(house: House) -> None:
    host, other = house.member(tier="premium"), house.member()
    room = house.room(host)
    first, second = house.inside(host, room), house.socket(other)
    answer = second.call("room:join", {"roomId": str(room.room.id), "displayName": "Bob"})
    assert set(answer) == {"room", "you", "participants", "lastSeq"}
    assert answer["you"]["displayName"] == "Bob"
    for socket in (first, second):
        arrived = socket.hear("room:participant-joined")
        assert (arrived["seq"], arrived["roomId"]) == (1, str(room.room.id))
        assert (arrived["participant"]["userId"], arrived["participant"]["isOnline"]) == (str(other.id), True)
    sent = second.call("room:message", {"messageType": "text", "content": "Hi", "clientMsgId": "m1"})["message"]
    assert sent == second.hear("room:message-received") == first.hear("room:message-received")
    assert (sent["seq"], sent["clientMsgId"], sent["userId"]) == (2, "m1", str(other.id))
    assert second.call("room:message", {"messageType": "text", "content": "Hi", "clientMsgId": "m1"})["message"] == sent
    edited = second.call("room:message-edit", {"id": sent["id"], "content": "Hi!"})["message"]
    assert (edited["seq"], edited["content"], edited["editedAt"] is not None) == (2, "Hi!", True)
    told = first.hear("room:message-updated")
    assert {key: told[key] for key in edited} == edited
    assert first.fail("room:message-edit", {"id": sent["id"], "content": "No"})["code"] == "forbidden"
    gone = second.call("room:message-delete", {"id": sent["id"]})["message"]
    assert (gone["content"], gone["deletedAt"] is not None) == ("", True)
    assert first.hear("room:message-updated")["deletedAt"] is not None
    state = first.call("room:state-update", {"updates": {"mode": "calm", "isLocked": True}})["room"]
    assert (state["mode"], state["isLocked"]) == ("calm", True)
    changed = second.hear("room:state-updated")
    assert (changed["seq"], sorted(changed["changed"])) == (5, ["isLocked", "mode"])
    assert changed["room"]["yourRole"] is None
    assert second.fail("room:state-update", {"updates": {"mode": "wild"}})["code"] == "forbidden"
    second.call("room:leave")
    for socket in (first, second):
        left = socket.hear("room:participant-left")
        assert (left["seq"], left["userId"], left["reason"]) == (6, str(other.id), "left")
    assert second.fail("room:message", {"messageType": "text", "content": "x"})["code"] == "not_in_room"
    first.settle()
    once = ["room:joined", "room:messages-history", "room:participant-joined", "room:message-received"]
    once += ["room:state-updated", "room:participant-left"]
    assert [len(first.told(event)) for event in once] == [1] * len(once)
    assert len(first.told("room:authenticated")) == 2


def test_what_may_be_lost_is_told_to_the_room(house: House) -> None:
    host, other = house.member(tier="premium"), house.member()
    room = house.room(host)
    first, second = house.inside(host, room), house.inside(other, room)
    about = {"roomId": str(room.room.id), "userId": str(other.id)}
    assert second.call("room:typing", {"isTyping": True}) == {}
    assert first.hear("room:typing") == {**about, "isTyping": True}
    second.call("room:typing", {"isTyping": False})
    assert first.hear("room:typing")["isTyping"] is False
    second.call("room:reaction", {"emoji": "🎉"})
    reaction = first.hear("room:reaction")
    assert {**about, "emoji": "🎉"}.items() <= reaction.items()
    assert "at" in reaction
    second.call("room:voice-start")
    assert first.hear("room:voice-started") == about
    second.call("room:voice-stop")
    assert first.hear("room:voice-stopped") == about
    second.call("room:presence-update")
    assert first.hear("room:presence-updated", userId=str(other.id)) == {**about, "isOnline": True}
    offer = {"type": "offer", "sdp": "v=0", "snake_case": 1}
    first.call("room:signal", {"to": str(other.id), "description": offer})
    signal = {"roomId": str(room.room.id), "from": str(host.id), "description": offer}
    assert second.hear("room:signal") == signal
    assert first.told("room:signal") == []
    assert first.fail("room:signal", {"to": str(uuid4()), "candidate": {}})["code"] == "not_found"


def test_client_that_lost_its_transport_reads_on_where_it_was(house: House) -> None:
    host, other = house.member(tier="premium"), house.member()
    room = house.room(host)
    first, second = house.inside(host, room), house.inside(other, room)
    last = first.call("room:message", {"messageType": "text", "content": "one"})["message"]["seq"]
    for socket in (first, second):
        socket.hear("room:message-received", content="one")
    first.cut()
    first.hear("disconnect")
    for content in ("two", "three"):
        second.call("room:message", {"messageType": "text", "content": content})
    first.hear("connect")
    answer = first.call("room:join", {"roomCode": room.room.room_code, "lastSeq": last})
    history = first.told("room:messages-history")[-1]
    assert [message["content"] for message in history["messages"]] == ["two", "three"]
    quiet = first.call("room:join", {"roomCode": room.room.room_code, "lastSeq": answer["lastSeq"]})
    assert first.told("room:messages-history")[-1]["messages"] == []
    assert quiet["lastSeq"] == answer["lastSeq"]
    second.call("room:message", {"messageType": "text", "content": "four"})
    first.hear("room:message-received", content="four")
    assert [data["content"] for data in first.told("room:message-received")] == ["one", "four"]


def test_message_that_is_written_while_a_client_joins_again_comes_once(house: House) -> None:
    host, other = house.member(tier="premium"), house.member()
    room = house.room(host)
    socket = house.inside(host, room)
    with house.database.transaction(SERVICE) as tx:
        write(tx, Person(user_id=host.id), room_id=room.room.id, content="before")
    last = socket.hear("room:message-received")["seq"]
    asked = {"roomCode": room.room.room_code, "lastSeq": last, "displayName": "Renamed"}
    with house.database.transaction(SERVICE) as held:
        # Its row cannot be renamed yet, so the client joins for as long as it takes to tell what was written before.
        held.execute("SELECT FROM room_participants WHERE room_id = %s FOR UPDATE", (room.room.id,))
        with house.database.transaction(SERVICE) as tx:
            membership.join(tx, Person(user_id=other.id), room_id=room.room.id, has_code=True)
            write(tx, Person(user_id=other.id), room_id=room.room.id, content="meanwhile")
            number = socket.begin("room:join", asked)
            time.sleep(0.5)  # it waits for the room
        time.sleep(0.5)
    assert socket.wait(number)["success"]
    with house.database.transaction(SERVICE) as tx:
        write(tx, Person(user_id=other.id), room_id=room.room.id, content="after")
    socket.hear("room:message-received", content="after")
    history = socket.told("room:messages-history")[-1]["messages"]
    assert [message["content"] for message in history] == ["meanwhile"]
    assert [data["content"] for data in socket.told("room:message-received")] == ["before", "after"]


def test_client_that_may_not_join_another_room_stays_in_its_own(house: House) -> None:
    host, other = house.member(tier="premium"), house.member()
    room = house.room(host)
    first, second = house.inside(host, room), house.inside(other, room)
    second.fail("room:join", {"roomId": str(uuid4())})
    first.call("room:message", {"messageType": "text", "content": "still here"})
    second.hear("room:message-received", content="still here")


def test_client_whose_session_ends_while_it_joins_does_not_stay(house: House) -> None:
    host, other = house.member(tier="premium"), house.member()
    room = house.room(host)
    first = house.inside(host, room)
    ends = datetime.now(UTC) + timedelta(seconds=2)
    second = house.socket(Tokens(house.settings.jwt_secret).issue(other.id, expires_at=ends).token)
    second.hear("connect")
    with house.database.transaction(SERVICE) as tx:
        rooms.lock_any(tx, room.room.id)
        second.emit("room:join", {"roomCode": room.room.room_code})
        second.hear("disconnect")
    left = first.hear("room:participant-left")
    assert (left["userId"], left["reason"]) == (str(other.id), "disconnected")


def test_reload_does_not_flicker_and_somebody_who_is_gone_loses_the_place(house: House) -> None:
    host, other = house.member(tier="premium"), house.member()
    room = house.room(host)
    first, second = house.inside(host, room), house.inside(other, room)
    second.close()
    back = house.inside(other, room)
    time.sleep(GRACE.leave_grace_s + 0.3)
    first.settle()
    assert first.told("room:participant-left") == []
    offline = [data for data in first.told("room:presence-updated") if data["isOnline"] is False]
    assert offline == []
    back.close()
    assert first.hear("room:presence-updated", isOnline=False)["userId"] == str(other.id)
    left = first.hear("room:participant-left")
    assert (left["userId"], left["reason"]) == (str(other.id), "disconnected")


def test_co_host_takes_over_when_the_host_stays_away(house: House) -> None:
    host, second, third = house.member(tier="premium"), house.member(), house.member()
    room = house.room(host)
    sockets = [house.inside(member, room) for member in (host, second, third)]
    path = f"/api/rooms/{room.room.id}/participants/"
    for member in (third, second):
        assert house.http(host, "POST", f"{path}{member.id}/promote").is_success
    sockets[0].close()
    changed = sockets[2].hear("room:state-updated")
    assert (changed["changed"], changed["room"]["hostUserId"]) == (["hostUserId"], str(second.id))
    assert sockets[2].hear("room:participant-left")["userId"] == str(host.id)


def test_host_without_co_host_keeps_the_room(house: House) -> None:
    host, other = house.member(tier="premium"), house.member()
    room = house.room(host)
    first, second = house.inside(host, room), house.inside(other, room)
    first.close()
    second.hear("room:presence-updated", userId=str(host.id), isOnline=False)
    time.sleep(GRACE.host_grace_s + 0.5)
    back = house.inside(host, room)
    assert back.hear("room:joined")["you"]["role"] == "host"
    assert second.told("room:participant-left") == []


def test_kicked_and_banned_people_are_put_out_of_every_tab(house: House) -> None:
    host, other = house.member(tier="premium"), house.member()
    room = house.room(host)
    first, tabs = house.inside(host, room), [house.inside(other, room) for _ in range(2)]
    path = f"/api/rooms/{room.room.id}/participants/{other.id}"
    house.http(host, "POST", f"{path}/mute")
    assert first.hear("room:participant-updated")["participant"]["isMuted"] is True
    assert tabs[0].fail("room:message", {"messageType": "text", "content": "x"})["code"] == "muted"
    assert tabs[0].fail("room:voice-start")["code"] == "muted"
    house.http(host, "POST", f"{path}/unmute")
    house.http(host, "POST", f"{path}/kick")
    for tab in tabs:
        assert tab.hear("room:kicked") == {"roomId": str(room.room.id), "reason": "kicked"}
        assert tab.fail("room:typing", {"isTyping": True})["code"] == "not_in_room"
    tabs[0].call("room:join", {"roomCode": room.room.room_code})
    house.http(host, "POST", f"{path}/ban")
    assert tabs[0].hear("room:kicked")["reason"] == "banned"
    again = house.socket(other)
    assert again.fail("room:join", {"roomCode": room.room.room_code})["code"] == "banned"
    assert [data["reason"] for data in first.told("room:participant-left")] == ["kicked", "banned"]


def test_ended_room_tells_everybody_and_takes_nobody(house: House) -> None:
    host, other = house.member(tier="premium"), house.member()
    room = house.room(host)
    sockets = [house.inside(member, room) for member in (host, other)]
    assert house.http(host, "DELETE", f"/api/rooms/{room.room.id}").is_success
    for socket in sockets:
        ended = socket.hear("room:ended")
        assert (ended["reason"], ended["recordingId"]) == ("ended_by_host", None)
    assert sockets[1].fail("room:join", {"roomCode": room.room.room_code})["code"] == "room_ended"


def test_guest_talks_and_votes_in_one_room(house: House) -> None:
    host = house.member(tier="premium")
    room, other = house.room(host), house.room(host)
    answer = house.http(host, "POST", f"/api/rooms/code/{room.room.room_code}/guest", {"display_name": "Gast"})
    token = answer.json()["data"]["token"]
    guest = house.socket(token)
    assert guest.fail("room:join", {"roomCode": other.room.room_code})["code"] == "not_found"
    assert guest.call("room:join", {"roomCode": room.room.room_code})["you"]["isGuest"] is True
    guest.call("room:message", {"messageType": "text", "content": "Hallo"})
    poll = {"pollType": "topic", "question": "?", "options": ["a", "b"], "durationSeconds": 60}
    assert guest.fail("poll:create", poll)["code"] == "forbidden"


@pytest.mark.parametrize(
    ("event", "data", "code"),
    [
        ("room:join", {}, "invalid_field"),
        ("room:join", "a string", "invalid_field"),
        ("room:join", {"roomCode": 5}, "invalid_field"),
        ("room:join", {"roomCode": "ZZZZZZ"}, "not_found"),
        ("room:join", {"roomId": "no-id"}, "invalid_field"),
        ("room:join", {"roomId": "00000000-0000-0000-0000-000000000000"}, "not_found"),
        ("room:message", {"messageType": "text", "content": ""}, "invalid_field"),
        ("room:message", {"messageType": "text", "content": " \u200b"}, "invalid_field"),
        ("room:message", {"messageType": "text", "content": "x" * 2001}, "invalid_field"),
        ("room:message", {"messageType": "text", "content": "nul \0"}, "invalid_field"),
        ("room:message", {"messageType": "text", "content": "lone \ud800"}, "invalid_field"),
        ("room:message", {"messageType": "system", "content": "x"}, "invalid_field"),
        ("room:message", None, "invalid_field"),
        ("room:message", [1], "invalid_field"),
        ("room:reaction", {"emoji": ""}, "invalid_field"),
        ("room:reaction", {"emoji": "\u200b"}, "invalid_field"),
        ("room:message-edit", {"id": "00000000-0000-0000-0000-000000000000", "content": "x"}, "not_found"),
        ("room:signal", {"to": "00000000-0000-0000-0000-000000000000"}, "invalid_field"),
        ("poll:vote", {"pollId": "00000000-0000-0000-0000-000000000000", "optionId": "1"}, "not_found"),
        ("poll:vote", {"pollId": "x", "optionId": "1"}, "invalid_field"),
        ("poll:create", {"pollType": "topic"}, "invalid_field"),
        ("constructor", {}, "not_found"),
        ("room:fly", {}, "not_found"),
    ],
)
def test_bad_input_is_answered_and_harms_nobody(house: House, lobby: Any, event: str, data: Any, code: str) -> None:
    assert house
    assert lobby.fail(event, data)["code"] == code


@pytest.fixture(scope="module")
def lobby(house: House) -> Any:
    host = house.member(tier="premium")
    return house.inside(host, house.room(host))


def test_without_acknowledgement_an_error_is_an_event(house: House) -> None:
    host = house.member(tier="premium")
    socket = house.inside(host, house.room(host))
    socket.emit("room:message", {"messageType": "text", "content": ""})
    told = socket.hear("room:error")
    assert (told["event"], told["code"]) == ("room:message", "invalid_field")
    assert set(told) == {"event", "code", "message", "retryable", "details"}
    socket.emit("poll:vote", {"pollId": str(uuid4()), "optionId": "1"})
    assert socket.hear("poll:error")["code"] == "not_found"
    socket.emit("room:message", {"messageType": "text", "content": "fine"})
    socket.hear("room:message-received")
    assert len(socket.told("room:error")) == 1


def test_flood_is_refused_and_then_cut_off_while_the_room_talks_on(house: House) -> None:
    host, other = house.member(tier="premium"), house.member()
    room = house.room(host)
    first, flooder = house.inside(host, room), house.inside(other, room, reconnection=False)
    numbers = [flooder.begin("room:typing", {"isTyping": True}) for _ in range(300)]
    answers = [flooder.wait(number) for number in numbers]
    codes = {answer["error"]["code"] for answer in answers if not answer["success"]}
    assert codes == {"rate_limited"}
    assert first.call("room:message", {"messageType": "text", "content": "calm"})["message"]["content"] == "calm"
    for _ in range(700):
        flooder.emit("room:typing", {"isTyping": True})
    flooder.hear("disconnect")
    first.call("room:message", {"messageType": "text", "content": "still calm"})


def test_wrong_codes_are_throttled_by_failures(house: House) -> None:
    guesser = house.socket(house.member())
    codes = [guesser.fail("room:join", {"roomCode": f"AAAAA{letter}"})["code"] for letter in "ABCDEFGHJKLM"]
    assert codes == ["not_found"] * 10 + ["rate_limited"] * 2


def test_script_and_bidirectional_text_comes_as_it_was_written(house: House) -> None:
    host = house.member(tier="premium")
    socket = house.inside(host, house.room(host))
    for text in ("<script>alert(1)</script>", "\u202egnp.exe", "line\nbreak", "\u2028 separator"):
        assert socket.call("room:message", {"messageType": "text", "content": text})["message"]["content"] == text
        assert socket.hear("room:message-received")["content"] == text


def test_reactions_and_voice_count_for_the_leaderboard(house: House) -> None:
    host = house.member(tier="premium")
    room = house.room(host)
    socket = house.inside(host, room)
    for _ in range(3):
        socket.call("room:reaction", {"emoji": "👏"})
    socket.call("room:voice-start")
    socket.call("room:voice-stop")

    def counted() -> bool:
        board = house.http(host, "GET", f"/api/rooms/{room.room.id}/engagement/leaderboard").json()["data"]["items"]
        return bool(board[0]["reactions"] == 3)

    wait_for(counted, what="the reactions to be counted")


def test_six_people_talk_at_once_and_the_seventh_waits(house: House) -> None:
    host = house.member(tier="premium")
    room = house.room(host)
    sockets = [house.inside(person, room) for person in (host, *(house.member() for _ in range(6)))]
    for socket in sockets[:6]:
        socket.call("room:voice-start")
    assert sockets[6].fail("room:voice-start")["code"] == "room_full"
    sockets[2].call("room:voice-stop")
    sockets[6].hear("room:voice-stopped")

    def talks() -> bool:
        return bool(sockets[6].wait(sockets[6].begin("room:voice-start"))["success"])

    wait_for(talks, what="a place to talk")
