"""The calls a day that a tier includes: those with tokens that are not the app's own sessions."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from msgspec.structs import replace
from psycopg.types.json import Jsonb
from support.api.server import PASSWORD, Person, Service, serving

from cli.embedded.port import free_port
from services.process.settings import Settings

ALLOWANCE = 100


def scripted(service: Service, **traits: Any) -> Person:
    """Somebody whose client carries a token of `snuggles token`."""
    person = service.person(**traits)
    person.token = service.deps.tokens.issue(person.id).token
    return person


def used_up(service: Service, person: Person, calls: int, *, days_ago: int = 0) -> None:
    """As many counted calls, without making them one by one."""
    service.execute(
        "INSERT INTO usage_quotas (user_id, feature, period_start, used) VALUES (%(user)s, 'api_calls_per_day', "
        "date_trunc('day', now(), 'UTC') - make_interval(days => %(days)s), %(calls)s) "
        "ON CONFLICT (user_id, feature, period_start) DO UPDATE SET used = excluded.used",
        user=person.id,
        days=days_ago,
        calls=calls,
    )


def test_counted_answer_says_what_is_left_of_the_day(service: Service) -> None:
    person = scripted(service)
    answers = [person.get("/api/me") for _ in range(3)]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["99", "98", "97"]
    assert answers[0].headers["RateLimit-Limit"] == "100"
    midnight = (datetime.now(UTC) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    assert abs(int(answers[0].headers["RateLimit-Reset"]) - (midnight - datetime.now(UTC)).total_seconds()) < 5


def test_one_call_too_many_is_refused_until_midnight(service: Service) -> None:
    person = scripted(service)
    used_up(service, person, ALLOWANCE - 1)
    assert person.get("/api/clips").status_code == 200
    refused = person.get("/api/clips")
    assert refused.status_code == 429
    error = refused.json()["error"]
    assert (error["code"], error["retryable"]) == ("quota_exceeded", False)
    assert error["message"].startswith("All 100 API calls that Free Tier includes this day are used")
    details = error["details"]
    assert {key: details[key] for key in ("feature", "used", "limit", "upgrade_url")} == {
        "feature": "api_calls_per_day",
        "used": 100,
        "limit": 100,
        "upgrade_url": "/pricing",
    }
    midnight = datetime.fromisoformat(details["resets_at"])
    assert 0 < int(refused.headers["Retry-After"]) <= 24 * 3600 + 1
    assert refused.headers["RateLimit-Remaining"] == "0"
    assert abs(int(refused.headers["RateLimit-Reset"]) - (midnight - datetime.now(UTC)).total_seconds()) < 5
    assert person.post("/api/recordings", {}).status_code == 429
    assert scripted(service).get("/api/clips").status_code == 200
    metrics = service.metrics()
    assert 'snuggles_quota_refusals_total{feature="api_calls_per_day",tier="free"}' in metrics


def test_new_day_begins_at_nothing(service: Service) -> None:
    person = scripted(service)
    used_up(service, person, ALLOWANCE, days_ago=1)
    assert person.get("/api/me").headers["RateLimit-Remaining"] == "99"


def test_tier_without_calls_in_its_row_allows_none(service: Service) -> None:
    person = scripted(service)
    row = service.rows("SELECT features FROM tier_features WHERE tier = 'free'")[0]["features"]
    with psycopg.connect(service.owner_url, autocommit=True) as owner:
        owner.execute("UPDATE tier_features SET features = features - 'api_calls_per_day' WHERE tier = 'free'")
        try:
            assert person.get("/api/me").status_code == 429
        finally:
            owner.execute("UPDATE tier_features SET features = %s WHERE tier = 'free'", (Jsonb(row),))
    assert person.get("/api/me").status_code == 200


def test_many_calls_at_once_let_exactly_the_allowance_through(service: Service) -> None:
    person = scripted(service)
    used_up(service, person, ALLOWANCE - 10)
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: person.get("/api/me").status_code, range(20)))
    assert sorted(statuses) == [200] * 10 + [429] * 10


@pytest.mark.parametrize(("tier", "allowance"), [("premium", 1000), ("pro", 5000)])
def test_higher_tier_includes_more(service: Service, tier: str, allowance: int) -> None:
    person = scripted(service, tier=tier)
    used_up(service, person, ALLOWANCE)
    assert person.get("/api/me").headers["RateLimit-Remaining"] == str(allowance - ALLOWANCE - 1)


def test_key_counts_with_its_owner(service: Service) -> None:
    person = service.person(tier="pro")
    secret = person.post("/api/me/keys", {"name": "script"}).json()["data"]["key"]
    answer = service.client.get("/api/clips", headers={"Authorization": f"Bearer {secret}"})
    assert answer.headers["RateLimit-Remaining"] == "4999"


def test_waiting_and_leaving_are_not_counted(service: Service) -> None:
    person = scripted(service, tier="pro")
    recording_id = service.ready_recording(person)
    clip = person.post("/api/clips", {"recording_id": recording_id, "start_s": 10, "end_s": 20}).json()["data"]
    service.execute("UPDATE subscriptions SET status = 'canceled'")
    used_up(service, person, ALLOWANCE)
    assert person.get("/api/clips").status_code == 429
    for path in (
        f"/api/recordings/{recording_id}",
        f"/api/clips/{clip['clip']['id']}",
        f"/api/clips/{clip['clip']['id']}/status",
        f"/api/jobs/{clip['job']['id']}",
    ):
        answer = person.get(path)
        assert answer.status_code == 200, path
        assert "RateLimit-Limit" not in answer.headers
    assert person.post("/api/auth/logout").status_code == 200


def test_sessions_and_operators_are_not_counted(service: Service) -> None:
    person = scripted(service, is_admin=True)
    used_up(service, person, ALLOWANCE)
    assert person.get("/api/me").status_code == 429
    assert person.get("/api/ops/queues").status_code == 200
    headers = {"Authorization": f"Bearer {service.deps.settings.admin_token}"}
    assert service.client.get("/api/ops/queues", headers=headers).status_code == 200
    login = {"email": person.email, "password": PASSWORD}
    session = service.client.post("/api/auth/login", json=login).json()["data"]
    answer = service.client.get("/api/me", headers={"Authorization": f"Bearer {session['token']}"})
    assert answer.status_code == 200
    assert "RateLimit-Limit" not in answer.headers
    assert service.client.post("/api/auth/login", json={**login, "cookie": True}).status_code == 200
    assert service.client.get("/api/me").status_code == 200


def test_calls_are_counted_while_redis_is_away(settings: Settings) -> None:
    with serving(settings) as service:
        person = scripted(service)
    with serving(replace(settings, redis_url=f"redis://127.0.0.1:{free_port()}/0")) as without:
        used_up(without, person, ALLOWANCE - 2)
        headers = {"Authorization": f"Bearer {person.token}"}
        statuses = [without.client.get("/api/clips", headers=headers).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]
