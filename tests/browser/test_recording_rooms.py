"""A room is recorded in the browser, offline too, and becomes a recording that is ready."""

import os
import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from support.api.browser import visiting
from support.api.product import Person, Product, running_product
from support.api.server import PASSWORD

from cli.embedded import postgres, valkey
from db.connection import SERVICE
from services.rooms.recording import SILENT_S

OFFLINE_MS = 20_000 if os.environ.get("CHAOS") == "long" else 4_000
SPOKEN_MS = OFFLINE_MS + 8_000
# As if nothing had come for so long: the clock of the database decides.
SILENCE = """
UPDATE recording_parts SET created_at = created_at - make_interval(secs => %(s)s),
    stored_at = stored_at - make_interval(secs => %(s)s)
WHERE track_id IN (SELECT id FROM recording_tracks WHERE recording_id = %(recording)s)
"""
SILENT_TRACKS = """
UPDATE recording_tracks SET created_at = created_at - make_interval(secs => %(s)s) WHERE recording_id = %(recording)s
"""
SILENT_RECORDING = """
UPDATE recordings SET live_started_at = live_started_at - make_interval(secs => %(s)s) WHERE id = %(recording)s
"""


@pytest.fixture(scope="module")
def product(
    postgres_server: postgres.PostgresServer,
    valkey_server: valkey.ValkeyServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Product]:
    with running_product(
        postgres_server, valkey_server, tmp_path_factory.mktemp("recorded"), has_sockets=True
    ) as running:
        yield running


def log_in(page: Page, person: Person, path: str) -> None:
    body = {"email": person.email, "password": PASSWORD, "cookie": True}
    assert page.context.request.post("/api/auth/login", data=body).ok
    page.goto(path)


def test_host_records_through_an_outage_and_the_recording_becomes_ready(browser: Browser, product: Product) -> None:
    host, friend = product.person(), product.person()
    room = host.ask("POST", "/api/rooms/create", {"name": "Thursday table"})
    path = f"/spaces/{room['room_code']}"
    with visiting(browser, product.url) as first, visiting(browser, product.url) as second:
        page, other = first.page, second.page
        log_in(page, host, path)
        log_in(other, friend, path)
        expect(other.get_by_role("textbox", name="Message")).to_be_visible()
        page.get_by_role("button", name="Start recording").click()
        started_s = time.monotonic()
        other.get_by_role("dialog").get_by_role("button", name="Only listen").click()
        expect(other.get_by_text(re.compile(r"^Recording \d:\d\d$")).last).to_be_visible()
        expect(page.get_by_text(re.compile(r"[1-9]\d* stored"))).to_be_visible()
        page.get_by_role("button", name="Remember this").click()
        expect(page.get_by_text("This moment is saved")).to_be_visible()
        page.context.set_offline(True)
        page.wait_for_timeout(OFFLINE_MS)
        expect(page.get_by_text(re.compile(r"[1-9]\d* waiting"))).to_be_visible()
        page.context.set_offline(False)
        page.wait_for_timeout(SPOKEN_MS - OFFLINE_MS)
        captured = host.ask("GET", f"/api/rooms/{room['id']}/recording")
        assert [track["user_id"] for track in captured["tracks"]] == [host.id]
        page.get_by_role("button", name="Stop recording").click()
        spoken_s = time.monotonic() - started_s
        page.get_by_role("link", name="Open the recording").wait_for()
        first.complaints[:] = [each for each in first.complaints if "ERR_INTERNET_DISCONNECTED" not in each]
    captured = host.ask("GET", f"/api/rooms/{room['id']}/recording")
    (track,) = captured["tracks"]
    assert track["stored"] == [[1, track["next_number"] - 1]]
    recording = host.until(f"/api/recordings/{captured['recording']['id']}", "ready", "failed")
    assert recording["status"] == "ready", recording
    assert recording["duration_s"] == pytest.approx(spoken_s, abs=4)


def test_reload_sends_what_waited_and_goes_on_in_another_track(browser: Browser, product: Product) -> None:
    host = product.person()
    room = host.ask("POST", "/api/rooms/create", {"name": "Reloaded"})
    with visiting(browser, product.url) as visit:
        page = visit.page
        log_in(page, host, f"/spaces/{room['room_code']}")
        page.get_by_role("button", name="Start recording").click()
        expect(page.get_by_text(re.compile(r"[1-9]\d* stored"))).to_be_visible()
        page.context.set_offline(True)
        page.wait_for_timeout(OFFLINE_MS)
        expect(page.get_by_text(re.compile(r"[1-9]\d* waiting"))).to_be_visible()
        page.context.set_offline(False)
        page.reload()
        expect(page.get_by_text(re.compile(r"[1-9]\d* stored"))).to_be_visible()
        page.wait_for_timeout(OFFLINE_MS)
        page.get_by_role("button", name="Stop recording").click()
        page.get_by_role("link", name="Open the recording").wait_for()
        visit.complaints[:] = [each for each in visit.complaints if "ERR_INTERNET_DISCONNECTED" not in each]
    captured = host.ask("GET", f"/api/rooms/{room['id']}/recording")
    assert len(captured["tracks"]) == 2
    for track in captured["tracks"]:
        assert track["stored"] == [[1, track["next_number"] - 1]], "nothing is missing between the parts"
    assert captured["tracks"][0]["next_number"] > 2, "what waited while offline was sent after the reload"
    recording = host.until(f"/api/recordings/{captured['recording']['id']}", "ready", "failed")
    assert recording["status"] == "ready", recording


def test_recording_of_a_tab_that_was_closed_is_finished_by_the_scheduler(browser: Browser, product: Product) -> None:
    host = product.person()
    room = host.ask("POST", "/api/rooms/create", {"name": "Closed"})
    with visiting(browser, product.url) as visit:
        log_in(visit.page, host, f"/spaces/{room['room_code']}")
        visit.page.get_by_role("button", name="Start recording").click()
        expect(visit.page.get_by_text(re.compile(r"[1-9]\d* stored"))).to_be_visible()
        visit.page.close()
    captured = host.ask("GET", f"/api/rooms/{room['id']}/recording")
    recording_id = captured["recording"]["id"]
    assert captured["recording"]["status"] == "live", "nobody has said that it ends"
    with product.database.transaction(SERVICE) as tx:
        for statement in (SILENCE, SILENT_TRACKS, SILENT_RECORDING):
            tx.execute(statement, {"s": SILENT_S, "recording": recording_id})
    product.operator.ask("POST", "/api/ops/schedules/end-silent-recordings/run")
    ready = host.until(f"/api/recordings/{recording_id}", "ready", "failed")
    assert ready["status"] == "ready", ready
    assert ready["duration_s"] > 1
