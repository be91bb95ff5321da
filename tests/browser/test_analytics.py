"""`/analytics` in Chromium: an account's spaces and clips over time, and what is shown without the plan for it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from playwright.sync_api import Browser, Page, expect
from support.api.browser import DESKTOP, PHONE, check, visiting
from support.api.server import PASSWORD, listening

from db.connection import SERVICE, Database, Transaction
from services.accounts import service as accounts
from services.accounts.password import hash_password
from services.process.settings import Settings

HOST, FREE = "ada@example.com", "bob@example.com"
SIZES = [(DESKTOP, "light"), (PHONE, "dark")]  # each width and each theme once: CI has half an hour
ROOMS = """
INSERT INTO rooms (room_code, name, host_user_id, is_active, created_at, ended_at, last_activity_at)
SELECT 'ABCD' || chr(65 + step / 5) || chr(65 + mod(step, 5)), 'Listening ' || step, %s, false,
    now() - make_interval(days => step),
    now() - make_interval(days => step) + make_interval(mins => 20 + mod(step * 7, 50)), now()
FROM generate_series(1, 14, 2) AS step
RETURNING id, created_at
"""
MESSAGE = """
INSERT INTO room_messages (room_id, seq, updated_seq, user_id, display_name, content, created_at)
SELECT %(room)s, step, step, %(user)s, 'Ada', 'Hello', %(at)s::timestamptz FROM generate_series(1, %(number)s) AS step
"""
CLIPS = """
INSERT INTO clips (user_id, recording_id, title, start_s, end_s, status, view_count, share_count)
SELECT %(user)s, %(recording)s, 'Moment ' || step, 0, 10, 'queued', 200 / step, 12 / step
FROM generate_series(1, 5) AS step
"""

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture
def url(settings: Settings, database: Database) -> Iterator[str]:
    with database.transaction(SERVICE) as tx:
        people = {
            email: accounts.signup(tx, email=email, password_hash=hash_password(PASSWORD), display_name="").id
            for email in (HOST, FREE)
        }
        tx.execute("UPDATE subscriptions SET tier = 'pro', status = 'active' WHERE user_id = %s", (people[HOST],))
        add_rooms(tx, people)
        add_clips(tx, people[HOST])
    with listening(settings) as (address, _):
        yield address


def add_rooms(tx: Transaction, people: dict[str, UUID]) -> None:
    for number, room in enumerate(tx.execute(ROOMS, (people[HOST],)).fetchall(), 1):
        for email, name, role in ((HOST, "Ada", "host"), (FREE, "Bob", "participant")):
            tx.execute(
                "INSERT INTO room_participants (room_id, user_id, display_name, role, reactions, voice_s) "
                "VALUES (%s, %s, %s, %s, 4, 90)",
                (room["id"], people[email], name, role),
            )
        tx.execute(MESSAGE, {"room": room["id"], "user": people[HOST], "at": room["created_at"], "number": number})


def add_clips(tx: Transaction, user_id: UUID) -> None:
    recording_id = uuid4()
    tx.execute(
        "INSERT INTO recordings (id, user_id, title, filename, content_type, status, source_key) "
        "VALUES (%s, %s, 'Talk', 't.mp4', 'video/mp4', 'processing', %s)",
        (recording_id, user_id, f"{user_id}/{recording_id}/source"),
    )
    tx.execute(CLIPS, {"user": user_id, "recording": recording_id})


def enter(page: Page, email: str) -> None:
    body = {"email": email, "password": PASSWORD, "cookie": True}
    assert page.context.request.post("/api/auth/login", data=body).ok


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_page_shows_sessions_hours_clips_and_the_leaderboard(
    browser: Browser, url: str, pictures: Path, width: int, scheme: Any
) -> None:
    with visiting(browser, url, width=width, scheme=scheme) as watched:
        page = watched.page
        enter(page, HOST)
        page.goto("/analytics")
        expect(page.get_by_role("img", name=re.compile("^7 spaces"))).to_be_visible()
        expect(page.get_by_role("img", name="When people write")).to_be_visible()
        expect(page.get_by_role("link", name="Moment 1")).to_be_visible()
        board = page.get_by_role("region", name="Leaderboard")
        expect(board.get_by_role("listitem")).to_have_count(2)
        expect(board.get_by_role("listitem").first).to_contain_text("Ada")
        check(page, "analytics", pictures, width=width, scheme=scheme)


def test_period_and_space_are_chosen_and_the_table_is_downloaded(browser: Browser, url: str) -> None:
    with visiting(browser, url) as watched:
        page = watched.page
        enter(page, HOST)
        page.goto("/analytics")
        page.get_by_role("button", name="7 days").click()
        expect(page).to_have_url(re.compile("days=7$"))
        expect(page.get_by_role("img", name=re.compile("^3 spaces"))).to_be_visible()
        page.get_by_label("Space", exact=True).select_option(label="Listening 13")
        expect(page.get_by_role("region", name="Leaderboard")).to_contain_text("7 messages")
        with page.expect_download() as started:
            page.get_by_role("link", name="Download CSV").click()
        lines = Path(started.value.path()).read_text().splitlines()
        assert lines[0].startswith("day,sessions,minutes")
        assert len(lines) == 8


def test_without_the_plan_allowances_and_leaderboard_are_shown(browser: Browser, url: str, pictures: Path) -> None:
    with visiting(browser, url) as watched:
        page = watched.page
        enter(page, FREE)
        page.goto("/analytics")
        expect(page.get_by_role("heading", name="Your spaces over time")).to_be_visible()
        expect(page.get_by_role("region", name="Leaderboard").get_by_role("listitem")).to_have_count(2)
        expect(page.get_by_role("region", name="Used and left")).to_contain_text("Clips")
        expect(page.get_by_role("link", name="Download CSV")).to_have_count(0)
        check(page, "analytics-free", pictures, width=DESKTOP, scheme="light")
