"""The whole way in the browser: a conversation is recorded while every process is killed, and ends as a clip."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from support.api.browser import visiting
from support.api.capture import conversation, launch_talking
from support.api.server import PASSWORD
from support.servers.fleet import Fleet, rows, wait_for
from support.sockets.house import serves

from db.connection import Database
from services.process.settings import Settings

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

EMAIL = "fern@example.org"
ALLOW_ROOMS = """
UPDATE subscriptions SET tier = 'premium', status = 'active'
WHERE user_id = (SELECT id FROM users WHERE email = %(email)s)
RETURNING tier
"""
RECORDED = """
SELECT (SELECT count(*) FROM recording_parts WHERE stored_at IS NULL) AS lost,
    r.duration_s > %(least_s)s AS is_whole,
    EXISTS (SELECT FROM highlights h WHERE h.recording_id = r.id AND h.peak_s > %(outage_s)s) AS has_heard_on
FROM recordings r
"""
CONVERSATIONS = """
SELECT used, reserved FROM usage_quotas WHERE feature = 'conversations_per_month'
AND user_id = (SELECT id FROM users WHERE email = %(email)s)
"""
# What Chromium writes down while nothing answers.
AWAY = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_EMPTY_RESPONSE", "WebSocket connection")
BEFORE_S, BETWEEN_S, AFTER_S = 8, 10, 10
MOMENTS_S = (4, 24)
WORK_MS = 120_000


def test_conversation_becomes_a_downloaded_clip_whatever_dies(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    with Fleet(settings, tmp_path) as fleet, sync_playwright() as playwright:
        sound = conversation(40, *MOMENTS_S)
        browser = launch_talking(playwright, tmp_path / "talk.wav", sound)
        api = fleet.api(port=settings.port, options=["--with-sockets"])
        dispatcher, worker = fleet.dispatcher(), fleet.worker(threads=1)
        wait_for(lambda: serves(settings.public_url), what="the API")
        with visiting(browser, settings.public_url) as visit:
            page = visit.page
            sign_up(page)
            rows(database, ALLOW_ROOMS, email=EMAIL)
            open_room(page)
            page.get_by_role("button", name="Start recording").click()
            page.wait_for_timeout(BEFORE_S * 1000)
            worker.kill()
            # Socket.IO is in this process: the room loses its connection, too.
            api.kill()
            expect(page.get_by_text(re.compile(r"[1-9]\d* waiting"))).to_be_visible()
            page.wait_for_timeout(BETWEEN_S * 1000)
            fleet.api(port=settings.port, options=["--with-sockets"])
            dispatcher.kill()
            fleet.dispatcher()
            fleet.worker(threads=1)
            wait_for(lambda: serves(settings.public_url), what="the API again")
            page.wait_for_timeout(AFTER_S * 1000)
            page.get_by_role("button", name="Stop recording").click()
            page.get_by_role("link", name="Open the recording").wait_for(timeout=WORK_MS)
            make_clips(page)
            clip = download(page)
            visit.complaints[:] = [each for each in visit.complaints if not any(text in each for text in AWAY)]
        browser.close()
    assert clip[4:8] == b"ftyp"
    whole = {"least_s": BEFORE_S + BETWEEN_S + AFTER_S, "outage_s": BEFORE_S + BETWEEN_S}
    assert rows(database, RECORDED, **whole) == [{"lost": 0, "is_whole": True, "has_heard_on": True}]
    assert rows(database, CONVERSATIONS, email=EMAIL) == [{"used": 1, "reserved": 0}]


def sign_up(page: Page) -> None:
    page.goto("/signup")
    page.get_by_label("Email address").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Your name").fill("Fern")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Recordings", exact=True)).to_be_visible()


def open_room(page: Page) -> None:
    page.goto("/spaces")
    page.get_by_role("button", name="Create Room").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Thursday table")
    dialog.get_by_role("button", name="Create Room").click()
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()


def make_clips(page: Page) -> None:
    """Go to the clips, and let the product choose: there is one recording to choose from."""
    page.goto("/clips")
    button = page.get_by_role("button", name="Auto-Detect Highlights").first

    def is_offered() -> bool:
        button.click()
        dialog = page.get_by_role("dialog")
        offered = dialog.get_by_role("button", name="Make clips")
        if offered.is_visible():
            offered.click()
            return True
        dialog.get_by_role("button", name="Cancel").click()
        page.reload()
        return False

    wait_for(is_offered, what="the recording to be ready")


def download(page: Page) -> bytes:
    """Download the first clip that is ready, and return what came."""
    card = page.locator('.ccard[data-status="completed"]').first
    expect(card).to_be_visible(timeout=WORK_MS)
    card.get_by_role("button", name="Actions for").click()
    with page.expect_download() as started:
        page.get_by_role("menuitem", name="Download").first.click()
    return Path(started.value.path()).read_bytes()
