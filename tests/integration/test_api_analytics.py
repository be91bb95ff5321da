"""Figures about rooms and polls: the leaderboard, a host's analytics, and operators' SQL."""

import csv
import io
from typing import Any

import pytest
from support.api.poll import ask, vote
from support.api.server import Person, Service, refused


@pytest.fixture
def host(service: Service) -> Person:
    return service.person(tier="premium")


@pytest.fixture
def room(host: Person) -> dict[str, Any]:
    return dict(host.post("/api/rooms/create", {"name": "Room"}).json()["data"])


@pytest.fixture
def voter(service: Service, room: dict[str, Any]) -> Person:
    person = service.person()
    assert person.post(f"/api/rooms/{room['id']}/join").is_success
    return person


def test_leaderboard_ranks_those_who_took_part(host: Person, voter: Person, room: dict[str, Any]) -> None:
    vote(voter, ask(host, room))
    board = host.get(f"/api/rooms/{room['id']}/engagement/leaderboard").json()["data"]["items"]
    assert [(row["rank"], row["user_id"], row["votes"]) for row in board] == [
        (1, str(voter.id), 1),
        (2, str(host.id), 0),
    ]


def test_analytics_count_sessions_for_tiers_that_include_them(service: Service, host: Person) -> None:
    assert refused(host.get("/api/analytics"), 403)["code"] == "tier_required"
    pro, voter = service.person(tier="pro"), service.person()
    room = dict(pro.post("/api/rooms/create", {"name": "=Room"}).json()["data"])
    voter.post(f"/api/rooms/{room['id']}/join")
    vote(voter, ask(pro, room))
    found = pro.get("/api/analytics", params={"days": 7}).json()["data"]
    assert len(found["days"]) == 7
    today = found["days"][-1]
    assert {name: today[name] for name in ("sessions", "people", "polls", "votes", "messages")} == {
        "sessions": 1,
        "people": 2,
        "polls": 1,
        "votes": 1,
        "messages": 0,
    }
    lines = list(csv.DictReader(io.StringIO(pro.get("/api/analytics/sessions.csv", params={"days": 7}).text)))
    assert [line["sessions"] for line in lines] == ["0"] * 6 + ["1"]
    refused(pro.get("/api/analytics", params={"days": 0}), 422, "days")


def test_queries_of_operators_count_rooms_and_polls_as_they_stand(
    service: Service, host: Person, room: dict[str, Any], voter: Person
) -> None:
    active, of_week = (
        "SELECT COUNT(*) FROM rooms WHERE is_active = true",
        "SELECT COUNT(*) FROM polls WHERE created_at >= DATE_TRUNC('week', NOW())",
    )
    rooms_before, polls_before = (service.rows(statement)[0]["count"] for statement in (active, of_week))
    vote(voter, ask(host, room))
    old = ask(host, room)
    ended = host.post("/api/rooms/create", {"name": "Over", "max_participants": 5}).json()["data"]
    assert host.delete(f"/api/rooms/{ended['id']}").is_success
    service.execute("UPDATE polls SET created_at = NOW() - INTERVAL '8 days' WHERE id = %(id)s", id=old["id"])
    assert service.rows(active) == [{"count": rooms_before}]
    assert service.rows(of_week) == [{"count": polls_before + 1}]
    policies = service.rows("SELECT DISTINCT tablename FROM pg_policies WHERE schemaname = 'public'")
    assert {"rooms", "polls", "clips", "subscriptions"} <= {row["tablename"] for row in policies}
