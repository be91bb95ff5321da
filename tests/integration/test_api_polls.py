"""Polls over HTTP: asking, voting, ending, and who sees the results when."""

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from support.api.poll import ask, vote
from support.api.server import Person, Service, refused

from db.connection import SERVICE
from services.lifecycle import maintenance
from services.polls import service as polls
from services.polls.errors import PollClosedError
from services.rooms import membership
from services.rooms import service as rooms
from services.rooms.person import Person as Member
from services.rooms.person import issue_guest_token


@pytest.fixture
def host(service: Service) -> Person:
    return service.person(tier="premium")


@pytest.fixture
def room(host: Person) -> dict[str, Any]:
    return dict(host.post("/api/rooms/create", {"name": "Room", "max_participants": 50}).json()["data"])


@pytest.fixture
def voter(service: Service, room: dict[str, Any]) -> Person:
    person = service.person()
    assert person.post(f"/api/rooms/{room['id']}/join").is_success
    return person


def results(person: Person, poll: dict[str, Any]) -> dict[str, Any]:
    return dict(person.get(f"/api/polls/{poll['id']}/results").json()["data"])


def told(service: Service, room: dict[str, Any]) -> list[str]:
    found = service.rows("SELECT type FROM room_events WHERE room_id = %(id)s ORDER BY seq", id=UUID(room["id"]))
    return [row["type"] for row in found]


def crowd(service: Service, room: dict[str, Any], size: int) -> list[Member]:
    people = [Member(user_id=uuid4()) for _ in range(size)]
    ids = [person.user_id for person in people]
    service.execute(
        "INSERT INTO users (id, email) SELECT id, id || '@example.org' FROM unnest(%(ids)s::uuid[]) AS t(id)", ids=ids
    )
    with service.deps.database.transaction(SERVICE) as tx:
        for person in people:
            membership.join(tx, person, room_id=UUID(room["id"]), has_code=True)
    return people


def test_poll_and_results_have_the_shapes_of_the_contract(host: Person, voter: Person, room: dict[str, Any]) -> None:
    poll = ask(host, room)
    assert set(poll) >= {
        *("id", "room_id", "created_by", "created_at", "poll_type", "question", "status", "options", "ends_at"),
        *("duration_seconds", "server_now", "closed_at", "is_anonymous", "results_visibility", "your_option_id"),
        "results",
    }
    assert poll["options"] == [{"id": "1", "text": "Trains", "upvotes": 0}, {"id": "2", "text": "Ships", "upvotes": 0}]
    voted = vote(voter, poll, "2")
    assert (voted["poll_id"], voted["option_id"], voted["your_option_id"]) == (poll["id"], "2", "2")
    assert voted["results"] == {
        "poll_id": poll["id"],
        "version": voted["version"],
        "status": "active",
        "total_votes": 1,
        "is_hidden": False,
        "is_final": False,
        "options": [
            {"id": "1", "text": "Trains", "votes": 0, "share": 0.0},
            {"id": "2", "text": "Ships", "votes": 1, "share": 1.0},
        ],
        "winner_ids": ["2"],
    }
    active = voter.get(f"/api/rooms/{room['id']}/polls/active").json()["data"]["items"]
    assert [(item["id"], item["your_option_id"]) for item in active] == [(poll["id"], "2")]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"options": ["one"]}, "options"),
        ({"options": list("1234567")}, "options"),
        ({"options": ["same", "SAME"]}, "options"),
        ({"options": ["", "b"]}, "options"),
        ({"options": ["\u202e", "b"]}, "options"),
        ({"duration_seconds": 29}, "duration_seconds"),
        ({"duration_seconds": 1801}, "duration_seconds"),
        ({"poll_type": "opinion"}, "poll_type"),
        ({"question": " "}, "question"),
    ],
)
def test_poll_that_cannot_be_is_refused(host: Person, room: dict[str, Any], asked: dict[str, Any], field: str) -> None:
    body = {"poll_type": "topic", "question": "What next?", "options": ["a", "b"], "duration_seconds": 60, **asked}
    refused(host.post(f"/api/rooms/{room['id']}/polls/create", body), 422, field)


def test_vote_can_be_changed_until_the_close_and_counts_once(
    service: Service, host: Person, voter: Person, room: dict[str, Any]
) -> None:
    poll = ask(host, room)
    first, second = vote(voter, poll, "1"), vote(voter, poll, "2")
    assert second["version"] > first["version"]
    assert results(host, poll)["total_votes"] == 1
    refused(voter.post(f"/api/polls/{poll['id']}/vote", {"option_id": "3"}), 422, "option_id")
    refused(service.person().post(f"/api/polls/{poll['id']}/vote", {"option_id": "1"}), 404)
    assert refused(voter.post(f"/api/polls/{poll['id']}/close"), 403)["code"] == "forbidden"
    closed = host.post(f"/api/polls/{poll['id']}/close").json()["data"]
    assert (closed["status"], closed["results"]["is_final"]) == ("closed", True)
    answer = voter.post(f"/api/polls/{poll['id']}/vote", {"option_id": "1"})
    assert refused(answer, 409)["code"] == "poll_closed"
    assert refused(host.post(f"/api/polls/{poll['id']}/close"), 409)["code"] == "poll_closed"
    history = voter.get(f"/api/rooms/{room['id']}/polls/history").json()["data"]["items"]
    assert [(item["id"], item["your_option_id"]) for item in history] == [(poll["id"], "2")]


def test_reopen_lets_people_vote_again_and_reset_empties_the_ballots(
    host: Person, voter: Person, room: dict[str, Any]
) -> None:
    poll = ask(host, room)
    version = vote(voter, poll)["version"]
    assert refused(host.post(f"/api/polls/{poll['id']}/reopen"), 409)["code"] == "conflict"
    host.post(f"/api/polls/{poll['id']}/close")
    reopened = host.post(f"/api/polls/{poll['id']}/reopen").json()["data"]
    assert (reopened["status"], reopened["closed_at"]) == ("active", None)
    assert reopened["results"]["version"] > version
    assert vote(voter, poll, "2")["results"]["total_votes"] == 1
    emptied = host.post(f"/api/polls/{poll['id']}/reset").json()["data"]
    assert emptied["results"]["total_votes"] == 0
    assert emptied["results"]["version"] > reopened["results"]["version"]


@pytest.mark.parametrize(
    ("visibility", "before", "after_vote", "after_close"),
    [
        ("live", True, True, True),
        ("after_vote", False, True, True),
        ("after_close", False, False, True),
        ("on_reveal", False, False, False),
    ],
)
def test_results_show_when_they_shall_and_nowhere_earlier(  # noqa: PLR0913 - fixtures and cases
    service: Service,
    host: Person,
    voter: Person,
    room: dict[str, Any],
    *,
    visibility: str,
    before: bool,
    after_vote: bool,
    after_close: bool,
) -> None:
    poll = ask(host, room, results_visibility=visibility, poll_type="question")
    vote(host, poll, "1")
    host.post(f"/api/polls/{poll['id']}/options/1/upvote")

    def check(*, shows: bool) -> None:
        seen = results(voter, poll)
        assert (seen["is_hidden"], seen["options"] is None, seen["total_votes"] > 0) == (not shows, not shows, True)
        assert shows or seen["winner_ids"] == []
        table = voter.get(f"/api/polls/{poll['id']}/results.csv")
        assert table.is_success == shows
        for path in (f"/api/rooms/{room['id']}/polls/active", f"/api/rooms/{room['id']}/polls/history"):
            for item in voter.get(path).json()["data"]["items"]:
                assert item["results"]["is_hidden"] == (not shows)
                assert item["options"][0]["upvotes"] == (1 if shows else 0)

    check(shows=before)
    vote(voter, poll, "2")
    check(shows=after_vote)
    host.post(f"/api/polls/{poll['id']}/close")
    check(shows=after_close)
    shared = service.rows("SELECT payload FROM room_events WHERE type LIKE 'poll:%%'")
    hidden = [row["payload"]["results"]["isHidden"] for row in shared if row["payload"].get("results")]
    assert hidden == [not after_close]
    assert all(row["payload"]["poll"]["yourOptionId"] is None for row in shared)
    if visibility == "on_reveal":
        refused(voter.post(f"/api/polls/{poll['id']}/reveal"), 403)
        assert host.post(f"/api/polls/{poll['id']}/reveal").json()["data"]["results"]["is_hidden"] is False
        check(shows=True)
    else:
        assert refused(host.post(f"/api/polls/{poll['id']}/reveal"), 409)["code"] == "conflict"


def test_table_of_results_runs_no_formula(host: Person, room: dict[str, Any]) -> None:
    poll = ask(host, room, options=["=1+1", 'say "hi", please'])
    vote(host, poll, "2")
    answer = host.get(f"/api/polls/{poll['id']}/results.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert list(csv.reader(io.StringIO(answer.text))) == [
        ["option_id", "option", "votes", "share"],
        ["1", "'=1+1", "0", "0.0"],
        ["2", 'say "hi", please', "1", "1.0"],
    ]


def test_open_question_collects_options_and_their_upvotes(host: Person, voter: Person, room: dict[str, Any]) -> None:
    poll = ask(host, room, poll_type="question", options=[])
    assert poll["options"] == []
    added = voter.post(f"/api/polls/{poll['id']}/options", {"text": "Trains"})
    assert added.status_code == 201
    assert added.json()["data"]["options"] == [{"id": "1", "text": "Trains", "upvotes": 0}]
    refused(voter.post(f"/api/polls/{poll['id']}/options", {"text": "trains"}), 409)
    for _ in range(2):
        liked = host.post(f"/api/polls/{poll['id']}/options/1/upvote").json()["data"]
    assert liked["options"][0]["upvotes"] == 1
    refused(host.post(f"/api/polls/{poll['id']}/options/9/upvote"), 422, "option_id")
    for number in range(5):
        voter.post(f"/api/polls/{poll['id']}/options", {"text": f"more {number}"})
    refused(voter.post(f"/api/polls/{poll['id']}/options", {"text": "too many"}), 409)
    topic = ask(host, room)
    refused(voter.post(f"/api/polls/{topic['id']}/options", {"text": "Planes"}), 409)


def test_anonymous_ballots_cannot_be_traced_once_the_poll_closed(
    service: Service, host: Person, voter: Person, room: dict[str, Any]
) -> None:
    poll = ask(host, room, is_anonymous=True)
    vote(voter, poll, "1")
    assert vote(voter, poll, "2")["results"]["total_votes"] == 1
    kept = service.rows("SELECT user_id, voter_hash, created_at, updated_at FROM poll_votes")
    created = service.rows("SELECT created_at FROM polls")[0]["created_at"]
    assert [(row["user_id"], len(row["voter_hash"])) for row in kept] == [(None, 32)]
    assert {kept[0]["created_at"], kept[0]["updated_at"]} == {created}
    assert service.rows("SELECT length(key) AS bytes FROM poll_keys") == [{"bytes": 32}]
    host.post(f"/api/polls/{poll['id']}/close")
    assert service.rows("SELECT poll_id FROM poll_keys") == []
    assert results(voter, poll)["total_votes"] == 1
    assert voter.get(f"/api/polls/{poll['id']}").json()["data"]["your_option_id"] is None
    refused(host.post(f"/api/polls/{poll['id']}/reopen"), 409)
    host.post(f"/api/polls/{poll['id']}/reset")
    assert host.post(f"/api/polls/{poll['id']}/reopen").is_success
    assert vote(voter, poll, "1")["results"]["total_votes"] == 1


def test_personality_poll_sets_the_mode_of_the_room(
    service: Service, host: Person, voter: Person, room: dict[str, Any]
) -> None:
    poll = ask(host, room, poll_type="personality", options=["calm", "wild"])
    vote(voter, poll, "2")
    host.post(f"/api/polls/{poll['id']}/close")
    assert host.get(f"/api/rooms/{room['id']}").json()["data"]["mode"] == "wild"
    assert told(service, room)[-2:] == ["poll:closed", "room:personality-changed"]
    tied = ask(host, room, poll_type="personality", options=["calm", "wild"])
    vote(voter, tied, "1")
    vote(host, tied, "2")
    host.post(f"/api/polls/{tied['id']}/close")
    assert host.get(f"/api/rooms/{room['id']}").json()["data"]["mode"] == "wild"


def test_200_votes_by_50_voters_are_50_ballots(service: Service, host: Person, room: dict[str, Any]) -> None:
    poll = ask(host, room)
    poll_id, voters = UUID(poll["id"]), crowd(service, room, 49)
    voters.append(Member(user_id=host.id))
    ballots = [(voter, str(1 + number % 2)) for number in range(4) for voter in voters]

    def cast(ballot: tuple[Member, str]) -> int:
        with service.deps.database.transaction(SERVICE) as tx:
            return polls.vote(tx, ballot[0], poll_id=poll_id, option_id=ballot[1]).results.version

    with ThreadPoolExecutor(16) as pool:
        versions = list(pool.map(cast, ballots))
    assert sorted(versions) == list(range(2, 202))
    counted = service.rows("SELECT count(*) AS ballots, count(DISTINCT user_id) AS voters FROM poll_votes")
    assert counted == [{"ballots": 50, "voters": 50}]
    assert results(host, poll)["total_votes"] == 50


def test_vote_against_close_is_counted_or_refused(service: Service, host: Person, room: dict[str, Any]) -> None:
    poll_id, voters = UUID(ask(host, room)["id"]), crowd(service, room, 30)

    def cast(voter: Member) -> bool:
        try:
            with service.deps.database.transaction(SERVICE) as tx:
                if voter.user_id == host.id:
                    polls.close(tx, voter, poll_id=poll_id)
                    return False
                polls.vote(tx, voter, poll_id=poll_id, option_id="1")
        except PollClosedError:
            return False
        return True

    order = [*voters[:15], Member(user_id=host.id), *voters[15:]]
    with ThreadPoolExecutor(12) as pool:
        accepted = list(pool.map(cast, order)).count(True)
    final = service.rows("SELECT payload FROM room_events WHERE type = 'poll:closed'")
    assert [row["payload"]["results"]["totalVotes"] for row in final] == [accepted]
    assert service.rows("SELECT count(*) AS ballots FROM poll_votes") == [{"ballots": accepted}]


def test_poll_whose_time_is_over_expires_once_whoever_looks(
    service: Service, host: Person, voter: Person, room: dict[str, Any]
) -> None:
    poll = ask(host, room, is_anonymous=True)
    vote(voter, poll)
    service.execute("UPDATE polls SET ends_at = now() - interval '1 second'")
    assert refused(voter.post(f"/api/polls/{poll['id']}/vote", {"option_id": "1"}), 409)["code"] == "poll_closed"

    def look(_: int) -> bool:
        with service.deps.database.transaction(SERVICE) as tx:
            return polls.expire(tx, poll_id=UUID(poll["id"]), room_id=UUID(room["id"]))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(look, range(8))).count(True) == 1
    assert told(service, room).count("poll:expired") == 1
    assert service.rows("SELECT poll_id FROM poll_keys") == []
    assert refused(host.post(f"/api/polls/{poll['id']}/reopen"), 409)["code"] == "conflict"
    with service.deps.database.transaction(SERVICE) as tx:
        assert maintenance.archive_polls(tx)["expired"] == 0


def test_guest_votes_and_does_not_ask(service: Service, host: Person) -> None:
    room = host.post("/api/rooms/create", {"name": "Room", "allow_guests": True}).json()["data"]
    poll = ask(host, room)
    joined = service.client.post(f"/api/rooms/code/{room['room_code']}/guest", json={"display_name": "Gast"})
    headers = {"Authorization": f"Bearer {joined.json()['data']['token']}"}
    path = f"/api/polls/{poll['id']}/vote"
    assert service.client.post(path, json={"option_id": "1"}, headers=headers).is_success
    body = {"poll_type": "topic", "question": "?", "options": ["a", "b"], "duration_seconds": 60}
    refused(service.client.post(f"/api/rooms/{room['id']}/polls/create", json=body, headers=headers), 403)
    forged = issue_guest_token(
        service.deps.settings.jwt_secret, person=Member(user_id=host.id, room_id=uuid4()), now=service.deps.clock()
    )
    refused(service.client.post(path, json={"option_id": "1"}, headers={"Authorization": f"Bearer {forged}"}), 404)


def test_muted_member_votes_and_does_not_ask(host: Person, voter: Person, room: dict[str, Any]) -> None:
    poll = ask(host, room)
    host.post(f"/api/rooms/{room['id']}/participants/{voter.id}/mute")
    vote(voter, poll)
    body = {"poll_type": "topic", "question": "?", "options": ["a", "b"], "duration_seconds": 60}
    assert refused(voter.post(f"/api/rooms/{room['id']}/polls/create", body), 403)["code"] == "muted"


def test_room_that_ends_closes_its_polls(service: Service, host: Person, voter: Person, room: dict[str, Any]) -> None:
    poll = ask(host, room, is_anonymous=True)
    vote(voter, poll)
    with service.deps.database.transaction(SERVICE) as tx:
        rooms.end(tx, Member(user_id=host.id), room_id=UUID(room["id"]))
    assert results(voter, poll)["status"] == "closed"
    assert service.rows("SELECT poll_id FROM poll_keys") == []
    assert refused(voter.post(f"/api/polls/{poll['id']}/vote", {"option_id": "1"}), 409)["code"] == "poll_closed"
