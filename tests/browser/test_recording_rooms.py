"""A room is recorded in the browser, offline too, and becomes a recording that is ready."""

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from support.api.browser import visiting
from support.api.product import Person, Product, running_product
from support.api.server import PASSWORD

from cli.embedded import postgres, valkey

SPOKEN_MS = 12_000
OFFLINE_MS = 4_000


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
