"""Kills every process that a room needs in the middle of a poll: no word and no ballot is lost, and it ends once."""

from pathlib import Path
from uuid import UUID

import pytest
from support.servers.fleet import Fleet, wait_for
from support.sockets.house import House, serves
from support.sockets.node import Socket, driver

from cli.embedded.port import free_port
from db.connection import Database
from services.process.settings import Settings

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]

SOON = "UPDATE polls SET ends_at = now() + interval '2 seconds' WHERE id = %(id)s RETURNING id"
POLL = {"pollType": "topic", "question": "What next?", "options": ["Trains", "Ships"], "durationSeconds": 60}


def rejoin(socket: Socket, code: str, last_seq: int) -> list[str]:
    """Join again once the client has reconnected by itself; returns what was said meanwhile."""
    socket.hear("connect", timeout_s=60)
    socket.call("room:join", {"roomCode": code, "lastSeq": last_seq})
    return [message["content"] for message in socket.told("room:messages-history")[-1]["messages"]]


def test_room_survives_the_death_of_every_process(settings: Settings, database: Database, tmp_path: Path) -> None:
    api_port, realtime_port = free_port(), free_port()
    api_url, realtime_url = (f"http://127.0.0.1:{port}" for port in (api_port, realtime_port))
    with Fleet(settings, tmp_path) as fleet, driver() as node:
        api, realtime, dispatcher = fleet.api(port=api_port), fleet.realtime(port=realtime_port), fleet.dispatcher()
        for url in (api_url, realtime_url):
            wait_for(lambda url=url: serves(url), what=url)
        house = House(url=api_url, settings=settings, database=database, driver=node)
        host, voter = house.member(tier="premium"), house.member()
        room = house.room(host)
        code = room.room.room_code
        first, second = (house.inside(member, room, realtime_url) for member in (host, voter))
        poll = first.call("poll:create", POLL)["poll"]
        second.call("poll:vote", {"pollId": poll["id"], "optionId": "1"})
        last = second.call("room:message", {"messageType": "text", "content": "before"})["message"]["seq"]

        realtime.kill()
        for socket in (first, second):
            socket.hear("disconnect")
        vote = house.http(voter, "POST", f"/api/polls/{poll['id']}/vote", {"option_id": "2"})
        assert vote.is_success, "the API goes on without Socket.IO"
        fleet.realtime(port=realtime_port)
        assert [rejoin(socket, code, last) for socket in (first, second)] == [[], []]
        second.call("room:message", {"messageType": "text", "content": "after"})
        first.hear("room:message-received", content="after")

        api.kill()
        first.call("poll:vote", {"pollId": poll["id"], "optionId": "2"})
        second.hear("poll:results-update", version=4)
        fleet.api(port=api_port)

        dispatcher.kill()
        house.rows(SOON, id=UUID(poll["id"]))
        fleet.dispatcher()
        for socket in (first, second):
            end = socket.hear("poll:expired", timeout_s=60)
            assert (end["results"]["totalVotes"], end["results"]["winnerIds"]) == (2, ["2"])
        wait_for(lambda: serves(api_url), what="the API")
        kept = house.http(host, "GET", f"/api/rooms/{room.room.id}/messages").json()["data"]["items"]
        assert [message["content"] for message in kept] == ["before", "after"]
        assert len(house.rows("SELECT seq FROM room_events WHERE type = 'poll:expired'")) == 1
        assert house.rows("SELECT count(*) AS ballots FROM poll_votes") == [{"ballots": 2}]
