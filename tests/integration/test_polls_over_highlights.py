"""Polls whose options are highlights: the votes move their scores, and the winner may become a clip."""

from typing import Any

import pytest
from support.api.server import Person, Service, refused

from db.connection import SERVICE
from services.recordings import highlights


@pytest.fixture
def host(service: Service) -> Person:
    return service.person(tier="premium")


@pytest.fixture
def room(service: Service, host: Person) -> dict[str, Any]:
    """A room with a finished recording of three highlights."""
    made = dict(host.post("/api/rooms/create", {"name": "Room"}).json()["data"])
    recording_id = service.ready_recording(host, scores=(0.9, 0.8, 0.75))
    service.execute(
        "UPDATE recordings SET room_id = %(room_id)s, live_started_at = now(), live_ended_at = now(),"
        " live_closes_at = now() WHERE id = %(id)s",
        id=recording_id,
        room_id=made["id"],
    )
    return made | {"recording_id": recording_id}


def listed(host: Person, room: dict[str, Any]) -> list[dict[str, Any]]:
    path = f"/api/recordings/{room['recording_id']}/highlights?sensitivity=0.5"
    return list(host.get(path).json()["data"]["items"])


def ask(person: Person, room: dict[str, Any], ids: list[str], **asked: Any) -> Any:
    body = {"poll_type": "reaction", "question": "Which was best?", "duration_seconds": 60, "highlight_ids": ids}
    return person.post(f"/api/rooms/{room['id']}/polls/create", body | asked)


def test_votes_move_a_highlight_to_the_top_and_make_its_clip(
    service: Service, host: Person, room: dict[str, Any]
) -> None:
    before = listed(host, room)
    voter = service.person()
    voter.post(f"/api/rooms/{room['id']}/join")
    answer = ask(host, room, [each["id"] for each in before], makes_clips=True)
    assert answer.status_code == 201, answer.text
    poll = answer.json()["data"]
    assert [option["id"] for option in poll["options"]] == ["1", "2", "3"]
    assert poll["options"][0]["text"].endswith(before[0]["kind"])
    for person in (host, voter):
        assert person.post(f"/api/polls/{poll['id']}/vote", {"option_id": "3"}).is_success
    assert [each["id"] for each in listed(host, room)] == [each["id"] for each in before], "nothing before the end"
    assert host.post(f"/api/polls/{poll['id']}/close").is_success
    after = listed(host, room)
    assert [each["id"] for each in after] == [before[2]["id"], before[0]["id"], before[1]["id"]]
    assert after[0]["score"] == pytest.approx(1.0)
    assert after[0]["reasons"][-1] == {"signal": "audience", "weight": 0.3, "contribution": pytest.approx(0.25)}
    assert after[1]["score"] == pytest.approx(0.9)
    [clip] = host.get(f"/api/clips?recording_id={room['recording_id']}").json()["data"]["items"]
    assert (clip["start_s"], clip["status"]) == (pytest.approx(before[2]["start_s"]), "queued")


def test_votes_count_once_however_often_the_poll_ends_or_the_recording_is_scored(
    service: Service, host: Person, room: dict[str, Any]
) -> None:
    before = listed(host, room)
    poll = ask(host, room, [before[1]["id"], before[2]["id"]]).json()["data"]
    host.post(f"/api/polls/{poll['id']}/vote", {"option_id": "1"})
    for _ in range(2):
        assert host.post(f"/api/polls/{poll['id']}/close").is_success
        assert listed(host, room)[0]["score"] == pytest.approx(1.0)
        assert host.post(f"/api/polls/{poll['id']}/reopen").is_success
    host.post(f"/api/polls/{poll['id']}/close")
    items = service.rows("SELECT * FROM highlights WHERE recording_id = %(id)s", id=room["recording_id"])
    fresh = [row | {"score": 0.6, "reasons": []} for row in items]
    with service.deps.database.transaction(SERVICE) as tx:
        owner = items[0]["user_id"]
        highlights.replace(tx, recording_id=items[0]["recording_id"], user_id=owner, items=fresh)
    assert [each["score"] for each in listed(host, room)] == pytest.approx([0.9, 0.6, 0.6])
    assert host.get(f"/api/clips?recording_id={room['recording_id']}").json()["data"]["items"] == []


def test_polls_that_are_not_about_highlights_of_the_room_are_refused(
    service: Service, host: Person, room: dict[str, Any]
) -> None:
    ids = [each["id"] for each in listed(host, room)]
    voter = service.person()
    voter.post(f"/api/rooms/{room['id']}/join")
    refused(ask(voter, room, ids), 403)
    refused(ask(host, room, ids, poll_type="topic"), 422, "highlight_ids")
    refused(ask(host, room, ids, options=["a", "b"]), 422, "highlight_ids")
    refused(ask(host, room, [ids[0], ids[0]]), 422, "highlight_ids")
    refused(ask(host, room, [ids[0], room["id"]]), 422, "highlight_ids")
    refused(ask(host, room, ids[:1]), 422, "options")
    empty = host.post("/api/rooms/create", {"name": "Empty"}).json()["data"]
    refused(ask(host, empty, ids), 422, "highlight_ids")
