"""Tiers, allowances and what is left of them, over HTTP."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from support.api.server import Service, refused
from support.stripe.till import Till

from db.connection import SERVICE
from services.billing import quota as quotas
from services.errors import QuotaExceededError


def test_everybody_has_a_free_subscription(service: Service) -> None:
    person = service.person()
    current = person.get("/api/subscription/current").json()["data"]
    assert {key: current[key] for key in ("status", "tier", "source", "is_test_mode", "banner")} == {
        "status": "active",
        "tier": "free",
        "source": "free",
        "is_test_mode": False,
        "banner": None,
    }
    tiers = person.get("/api/subscription/tiers").json()["data"]["items"]
    assert [(each["tier"], each["display_name"], each["price_monthly_cents"]) for each in tiers] == [
        ("free", "Free Tier", 0),
        ("premium", "Premium", 999),
        ("pro", "Pro", 1999),
    ]
    assert [each["is_current"] for each in tiers] == [True, False, False]


def test_usage_and_check_quota_say_what_is_left(service: Service) -> None:
    person = service.person()
    recording = service.ready_recording(person)
    assert person.post("/api/clips", {"recording_id": recording, "start_s": 10, "end_s": 20}).status_code == 202
    usage = person.get("/api/subscription/usage").json()["data"]
    (clips,) = [each for each in usage["items"] if each["feature"] == "clips_per_month"]
    assert (clips["used"], clips["reserved"], clips["limit"], clips["remaining"]) == (0, 1, 5, 4)
    assert {each["feature"] for each in usage["items"]} == {
        "conversations_per_month",
        "clips_per_month",
        "memory_entries",
        "api_calls_per_day",
        "storage_bytes",
    }

    def check(**body: Any) -> dict[str, Any]:
        return dict(person.post("/api/subscription/check-quota", body).json()["data"])

    assert check(feature="clips_per_month", amount=4)["allowed"] is True
    assert check(feature="clips_per_month", amount=5)["allowed"] is False
    assert check(feature="room_creation") == {
        "allowed": False,
        "feature": "room_creation",
        "used": 0,
        "limit": 0,
        "remaining": 0,
        "resets_at": None,
        "upgrade_url": "/pricing",
    }
    refused(person.post("/api/subscription/check-quota", {"feature": "unicorns"}), 422, "feature")


def test_quota_is_counted_by_the_subscriptions_own_period(till: Till) -> None:
    person = till.service.person()
    current = till.buy(person)
    usage = person.get("/api/subscription/usage").json()["data"]
    (clips,) = [each for each in usage["items"] if each["feature"] == "clips_per_month"]
    assert (clips["limit"], clips["period_start"], clips["resets_at"]) == (
        50,
        current["current_period_start"],
        current["current_period_end"],
    )


def test_limit_holds_for_two_hundred_at_once(till: Till) -> None:
    person = till.service.person()
    database = till.service.deps.database

    def take(number: int) -> bool:
        try:
            with database.transaction(SERVICE) as tx:
                quotas.reserve(
                    tx, user_id=person.id, feature="conversations_per_month", subject_id=UUID(int=number + 1)
                )
        except QuotaExceededError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take, range(200)))
    assert sum(taken) == 50
    with database.transaction(SERVICE) as tx:
        for number in [each for each, is_taken in enumerate(taken) if is_taken][:20]:
            for _ in range(2):
                quotas.release(tx, subject_id=UUID(int=number + 1))
                quotas.commit(tx, subject_id=UUID(int=number + 1))
        _, usage = quotas.usage(tx, user_id=person.id, now=datetime.now(UTC))
    (found,) = [each for each in usage if each.feature == "conversations_per_month"]
    assert (found.used, found.reserved, found.remaining) == (0, 30, 20)


SEED = """INSERT INTO tier_features (tier, features, display_name, price_monthly) VALUES
('free', '{"conversations_per_month": 50, "clips_per_month": 5, "memory_entries": 1000, "api_calls_per_day":
100, "room_creation": false, "priority_support": false, "analytics": false}', 'Free Tier', 0), ('premium',
'{"conversations_per_month": 500, "clips_per_month": 50, "memory_entries": 5000, "api_calls_per_day": 1000,
"room_creation": true, "priority_support": true, "analytics": false}', 'Premium', 999), ('pro',
'{"conversations_per_month": -1, "clips_per_month": 100, "memory_entries": 10000, "api_calls_per_day": 5000,
"room_creation": true, "priority_support": true, "analytics": true, "api_access": true}', 'Pro', 1999) ON
CONFLICT (tier) DO UPDATE SET features = EXCLUDED.features, display_name = EXCLUDED.display_name, price_monthly =
EXCLUDED.price_monthly;"""


def test_operators_seed_runs_and_the_product_follows_a_row_at_once(till: Till) -> None:
    person = till.service.person()
    with psycopg.connect(till.service.owner_url, autocommit=True) as owner:
        owner.execute("UPDATE tier_features SET limits = '{\"clip_length_s\": 60}' WHERE tier = 'free'")
        owner.execute("UPDATE tier_features SET display_name = 'x'")
        owner.execute(SEED)
        try:
            usage = person.get("/api/subscription/usage").json()["data"]
            assert usage["limits"]["clip_length_s"] == 60
            assert usage["abilities"]["api_access"] is False
            free = person.get("/api/subscription/tiers").json()["data"]["items"][0]
            assert (free["display_name"], free["is_current"]) == ("Free Tier", True)
        finally:
            owner.execute("UPDATE tier_features SET limits = '{}'")


def test_queries_of_operators_run_as_they_stand(till: Till) -> None:
    till.service.person()
    for statement in (
        "SELECT tier, COUNT(*) FROM subscriptions WHERE status = 'active' GROUP BY tier",
        "SELECT COUNT(*) FROM payment_history WHERE status = 'failed' AND payment_date > NOW() - INTERVAL '24 hours'",
        "SELECT * FROM tier_features WHERE tier = 'premium'",
    ):
        assert len(till.service.rows(statement)) == 1


def test_clips_are_kept_for_as_long_as_the_tier_says(till: Till) -> None:
    person = till.service.person()
    with psycopg.connect(till.service.owner_url, autocommit=True) as owner:
        owner.execute("UPDATE tier_features SET limits = '{\"retention_days\": 3}' WHERE tier = 'free'")
        try:
            clip_id = till.service.ready_clip(person)
        finally:
            owner.execute("UPDATE tier_features SET limits = '{}'")
    (row,) = till.service.rows("SELECT expires_at - completed_at AS kept FROM clips WHERE id = %(id)s", id=clip_id)
    assert row["kept"] == timedelta(days=3)
