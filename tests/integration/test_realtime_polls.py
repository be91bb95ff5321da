"""Polls over Socket.IO, as the real socket.io-client sees them."""

import time
from typing import Any
from uuid import UUID

import pytest
from support.servers.fleet import wait_for
from support.sockets.house import House
from support.sockets.node import Socket

from db.connection import SERVICE
from services.polls import service as polls

POLL = {"pollType": "topic", "question": "What next?", "options": ["Trains", "Ships"], "durationSeconds": 60}


class Hall:
    """A room with its host and one member in it."""

    def __init__(self, house: House) -> None:
        self.host, self.voter = house.member(tier="premium"), house.member()
        self.room = house.room(self.host)
        self.first, self.second = house.inside(self.host, self.room), house.inside(self.voter, self.room)
        self.id = str(self.room.room.id)

    def ask(self, **asked: Any) -> dict[str, Any]:
        return dict(self.first.call("poll:create", {**POLL, **asked})["poll"])


@pytest.fixture
def hall(house: House) -> Hall:
    return Hall(house)


def test_poll_is_asked_voted_in_and_closed_before_everybody(hall: Hall) -> None:
    poll = hall.ask()
    assert poll["options"] == [{"id": "1", "text": "Trains", "upvotes": 0}, {"id": "2", "text": "Ships", "upvotes": 0}]
    for socket in (hall.first, hall.second):
        created = socket.hear("poll:created")
        assert (created["roomId"], created["poll"]["id"]) == (hall.id, poll["id"])
        assert created["poll"]["yourOptionId"] is None
    cast = hall.second.call("poll:vote", {"pollId": poll["id"], "optionId": "2"})
    assert set(cast) == {"pollId", "optionId", "version", "results"}
    assert (cast["optionId"], cast["results"]["winnerIds"]) == ("2", ["2"])
    for socket in (hall.first, hall.second):
        told = socket.hear("poll:vote-received")
        assert told == {"roomId": hall.id, "pollId": poll["id"], "version": cast["version"], "totalVotes": 1}
        update = socket.hear("poll:results-update")
        assert (update["version"], update["results"]) == (cast["version"], cast["results"])
    assert hall.second.fail("poll:vote", {"pollId": poll["id"], "optionId": "7"})["code"] == "invalid_field"
    assert hall.second.fail("poll:close", {"pollId": poll["id"]})["code"] == "forbidden"
    closed = hall.first.call("poll:close", {"pollId": poll["id"]})
    assert (closed["poll"]["status"], closed["results"]["isFinal"]) == ("closed", True)
    for socket in (hall.first, hall.second):
        end = socket.hear("poll:closed")
        assert (end["poll"]["id"], end["results"]["totalVotes"]) == (poll["id"], 1)
    assert hall.second.fail("poll:vote", {"pollId": poll["id"], "optionId": "1"})["code"] == "poll_closed"
    assert [len(hall.first.told(event)) for event in ("poll:created", "poll:closed", "poll:vote-received")] == [1, 1, 1]


def test_hidden_results_reach_only_those_who_may_see_them(hall: Hall) -> None:
    poll = hall.ask(resultsVisibility="after_vote")
    cast = hall.second.call("poll:vote", {"pollId": poll["id"], "optionId": "2"})
    assert cast["results"]["isHidden"] is False
    hall.second.hear("poll:results-update")
    hall.first.hear("poll:vote-received")
    hall.first.settle()
    assert hall.first.told("poll:results-update") == []
    assert leaks(hall.first, poll["id"]) == []
    secret = hall.ask(resultsVisibility="on_reveal", isAnonymous=True)
    assert hall.second.call("poll:vote", {"pollId": secret["id"], "optionId": "1"})["results"]["options"] is None
    hall.first.call("poll:close", {"pollId": secret["id"]})
    for socket in (hall.first, hall.second):
        end = socket.hear("poll:closed")
        assert end["results"] == {
            "pollId": secret["id"],
            "version": end["results"]["version"],
            "status": "closed",
            "totalVotes": 1,
            "isHidden": True,
            "isFinal": True,
            "options": None,
            "winnerIds": [],
        }
        assert leaks(socket, secret["id"]) == []


def leaks(socket: Socket, poll_id: str) -> list[Any]:
    """Events about a poll from which votes for an option could be read."""
    told = [data for event in set(socket.told()) if event.startswith("poll:") for data in socket.told(event)]
    about = [data for data in told if poll_id in (data.get("pollId"), (data.get("poll") or {}).get("id"))]
    shown = [(data.get("poll") or data).get("results") or data.get("results") for data in about]
    return [results for results in shown if results and results["options"] is not None]


def test_reveal_shows_the_results_to_everybody(house: House, hall: Hall) -> None:
    poll = hall.ask(resultsVisibility="on_reveal")
    hall.second.call("poll:vote", {"pollId": poll["id"], "optionId": "1"})
    assert house.http(hall.host, "POST", f"/api/polls/{poll['id']}/reveal").is_success
    for socket in (hall.first, hall.second):
        assert socket.hear("poll:results-update")["results"]["options"][0]["votes"] == 1
        wait_for(lambda told=socket: told.told("poll:updated"), what="the revealed poll")
        assert socket.told("poll:updated")[-1]["results"]["isHidden"] is False


def test_poll_expires_once_for_everybody_and_sets_the_mode(house: House, hall: Hall) -> None:
    poll = hall.ask(pollType="personality", options=["calm", "wild"])
    hall.second.call("poll:vote", {"pollId": poll["id"], "optionId": "2"})
    house.rows("UPDATE polls SET ends_at = now() WHERE id = %(id)s RETURNING id", id=UUID(poll["id"]))
    for _ in range(2):
        with house.database.transaction(SERVICE) as tx:
            polls.expire(tx, poll_id=UUID(poll["id"]), room_id=UUID(hall.id))
    for socket in (hall.first, hall.second):
        end = socket.hear("poll:expired")
        assert (end["poll"]["status"], end["results"]["isFinal"]) == ("expired", True)
        changed = socket.hear("room:personality-changed")
        assert (changed["mode"], changed["pollId"]) == ("wild", poll["id"])
        assert changed["seq"] == end["seq"] + 1
        assert len(socket.told("poll:expired")) == 1


def test_many_votes_make_at_most_ten_updates_a_second_and_the_last_is_right(house: House, hall: Hall) -> None:
    voters = [house.inside(house.member(), hall.room) for _ in range(10)]
    poll = hall.ask()
    began = time.monotonic()
    numbers = [(voter, voter.begin("poll:vote", {"pollId": poll["id"], "optionId": "1"})) for voter in voters]
    numbers += [(voter, voter.begin("poll:vote", {"pollId": poll["id"], "optionId": "2"})) for voter in voters]
    versions = [voter.wait(number)["data"]["version"] for voter, number in numbers]
    assert len(set(versions)) == 20
    newest = hall.first.hear("poll:results-update", version=max(versions))
    took_s = time.monotonic() - began
    assert (newest["results"]["totalVotes"], newest["results"]["winnerIds"]) == (10, ["2"])
    updates = [data["version"] for data in hall.first.told("poll:results-update")]
    assert updates == sorted(updates)
    assert len(updates) <= 2 + took_s * 10
