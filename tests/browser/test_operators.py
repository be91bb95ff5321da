"""The operators' page as it looks: every part with something in it, at both widths and themes, in both languages."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from playwright.sync_api import Browser, Page, expect
from psycopg.types.json import Jsonb
from support.api.browser import DESKTOP, PHONE, check, visiting
from support.api.server import PASSWORD, listening

from db.connection import SERVICE, Database, Transaction
from services.accounts import service as accounts
from services.accounts.password import hash_password
from services.billing import tier as tiers
from services.jobs import schedule as schedules
from services.jobs import service as jobs
from services.process.settings import Settings
from services.rooms import membership
from services.rooms import service as rooms
from services.rooms.person import Person as Member

OPERATOR = "grace@example.com"
HOST = "a-very-long-mailbox-name.that-nobody-would-choose@subdomain.of-a-long-company-name.example.com"
SIZES = [(DESKTOP, "light"), (PHONE, "dark")]  # each width and each theme once: CI has half an hour
ERRORS = {
    "unavailable": ("Storage did not answer.", True),
    "not_media": ("This is not a media file that can be read.", False),
}
SERIES = """
INSERT INTO job_series (bucket, queue, kind, outcome, jobs, wait_s, run_s)
SELECT date_trunc('minute', now()) - make_interval(mins => 30 * step), queue, queue, outcome,
    1 + (step * 7 + length(queue)) % 40 / CASE outcome WHEN 'succeeded' THEN 1 ELSE 20 END, 10, 30
FROM generate_series(1, 47) AS step, unnest(ARRAY['ingest', 'detect', 'render']) AS queue,
    unnest(ARRAY['succeeded', 'failed']) AS outcome
WHERE outcome = 'succeeded' OR step % 9 = 0
"""
WORKER = """
INSERT INTO workers (id, host, pid, version, queues, slots, memory_bytes)
VALUES (gen_random_uuid(), %s, %s, '1', '{render,ingest,detect}', 6, 734003200)
"""

pytestmark = pytest.mark.xdist_group("browser")


class Seed:
    """What the database holds."""

    def __init__(self) -> None:
        self.host = UUID(int=0)
        self.room = UUID(int=0)
        self.job = UUID(int=0)


@pytest.fixture
def seed(database: Database) -> Seed:
    made = Seed()
    with database.transaction(SERVICE) as tx:
        schedules.install(tx)
        people = {}
        for email, name in ((OPERATOR, "Grace"), (HOST, "Ada Lovelace"), ("bob@example.com", "")):
            account = accounts.signup(tx, email=email, password_hash=hash_password(PASSWORD), display_name=name)
            people[email] = account.id
        tx.execute("UPDATE users SET is_admin = true WHERE email = %s", (OPERATOR,))
        made.host = people[HOST]
        tx.execute(
            "UPDATE subscriptions SET tier = 'pro', status = 'active', stripe_customer_id = 'cus_1', "
            "stripe_subscription_id = 'sub_1', current_period_end = now() + interval '12 days' WHERE user_id = %s",
            (made.host,),
        )
        add_jobs(tx, made)
        add_events(tx, made)
        made.room = add_room(tx, people)
    return made


def add_jobs(tx: Transaction, made: Seed) -> None:
    for code, (message, retryable) in ERRORS.items():
        for number in range(4 if retryable else 2):
            job = jobs.enqueue(tx, kind="render" if number % 2 else "ingest", user_id=made.host)
            error = {"code": code, "message": message, "retryable": retryable}
            tx.execute(
                "UPDATE jobs SET state = 'failed', error = %s, attempt = 3, charged = 3, started_at = now(), "
                "finished_at = now() + interval '9 s' WHERE id = %s",
                (Jsonb(error), job.id),
            )
            made.job = job.id
    for _ in range(3):
        jobs.enqueue(tx, kind="render", user_id=made.host)
    tx.execute(SERIES)
    for number in (1, 2):
        tx.execute(WORKER, (f"media-a{number}.worker-7f9c4d.eu-central-1.compute.internal", 7 + number))


def add_events(tx: Transaction, made: Seed) -> None:
    tx.execute(
        "INSERT INTO stripe_events (id, type, payload, customer_id, processed_at, ignored_because) VALUES "
        "('evt_1QpaidExample0001', 'invoice.paid', '{}', 'cus_1', now(), NULL), "
        "('evt_1QfailedExample02', 'invoice.payment_failed', '{}', 'cus_1', NULL, NULL), "
        "('evt_1QstrangeExample3', 'product.updated', '{}', NULL, now(), 'no_effect')"
    )
    tx.execute(
        "INSERT INTO payment_history (user_id, stripe_invoice_id, amount_cents, currency, status, payment_date) "
        "VALUES (%s, 'in_1', 1999, 'usd', 'succeeded', now())",
        (made.host,),
    )


def add_room(tx: Transaction, people: dict[str, UUID]) -> UUID:
    """A room in which a recording runs."""
    room = rooms.create(
        tx,
        user_id=people[HOST],
        tier=tiers.tier_of(tx, user_id=people[HOST]),
        name="Friday listening",
        max_participants=10,
        is_private=False,
        allow_guests=True,
    ).room
    membership.join(tx, Member(user_id=people["bob@example.com"]), room_id=room.id, has_code=True)
    recording = uuid4()
    tx.execute(
        "INSERT INTO recordings (id, user_id, title, filename, content_type, status, room_id, live_started_at, "
        "source_key) VALUES (%s, %s, 'Friday', 'live.webm', 'audio/webm', 'live', %s, now(), %s)",
        (recording, people[HOST], room.id, f"{people[HOST]}/{recording}/live"),
    )
    tx.execute(
        "UPDATE rooms SET recording_id = %s, recording_started_at = now() WHERE id = %s",
        (recording, room.id),
    )
    return room.id


@pytest.fixture
def url(settings: Settings, seed: Seed) -> Iterator[str]:
    assert seed.job
    with listening(settings) as (address, _):
        yield address


def enter(page: Page) -> None:
    body = {"email": OPERATOR, "password": PASSWORD, "cookie": True}
    assert page.context.request.post("/api/auth/login", data=body).ok


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_every_part_fits_and_is_accessible(  # noqa: PLR0913, PLR0917 - fixtures
    browser: Browser, url: str, seed: Seed, pictures: Path, width: int, scheme: Any
) -> None:
    parts = {
        "overview": ("", "Storage did not answer."),
        "jobs": ("/jobs", "not_media"),
        "job": (f"/jobs/{seed.job}", "This is not a media file that can be read."),
        "workers": ("/workers", "media-a1"),
        "tenants": ("/tenants", HOST),
        "users": ("/users", "Ada Lovelace"),
        "user": (f"/users/{seed.host}", "cus_1"),
        "rooms": ("/rooms", "Friday listening"),
        "room": (f"/rooms/{seed.room}", "bob@example.com"),
        "stripe": ("/stripe", "evt_1QfailedExample02"),
        "figures": ("/figures", "$19.99"),
        "schedules": ("/schedules", "prune-jobs"),
        "deliveries": ("/deliveries", "Nothing has been sent to a webhook yet"),
        "audit": ("/audit", "No operator has changed anything yet"),
        "nothing": ("/nothing", "Nothing here"),
    }
    with visiting(browser, url, width=width, scheme=scheme) as watched:
        page = watched.page
        enter(page)
        for name, (path, shown) in parts.items():
            page.goto(f"/ops{path}")
            expect(page.get_by_role("main").get_by_text(shown).first).to_be_visible()
            check(page, f"ops-{name}", pictures, width=width, scheme=scheme)


def test_page_speaks_german(browser: Browser, url: str, seed: Seed, pictures: Path) -> None:
    with visiting(browser, url) as watched:
        page = watched.page
        enter(page)
        page.add_init_script("localStorage.setItem('snuggles.language', 'de')")
        for name, heading in (("rooms", "Räume"), ("users", "Konten"), ("figures", "Zahlen")):
            page.goto(f"/ops/{name}")
            expect(page.get_by_role("navigation", name="Betrieb")).to_be_visible()
            expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        page.goto(f"/ops/rooms/{seed.room}")
        expect(page.get_by_role("columnheader", name="Mit Aufnahme einverstanden")).to_be_visible()
        check(page, "ops-room-de", pictures, width=DESKTOP, scheme="light")
