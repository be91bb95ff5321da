"""From a conversation to a clip in the browser: a microphone plays known moments, and the room picks the best."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from support.api.browser import PHONE, visiting
from support.api.capture import conversation, launch_talking
from support.api.product import Person, Product
from support.api.server import PASSWORD
from support.servers.fleet import wait_for

SPOKEN_MS = 32_000


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium whose microphone plays somebody who speaks and is applauded twice."""
    path = tmp_path_factory.mktemp("journey") / "talk.wav"
    with sync_playwright() as playwright:
        running = launch_talking(playwright, path, conversation(40, 9, 22))
        yield running
        running.close()


def enter(page: Page, person: Person, path: str) -> None:
    body = {"email": person.email, "password": PASSWORD, "cookie": True}
    assert page.context.request.post("/api/auth/login", data=body).ok
    page.goto(path)
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()


def test_conversation_is_recorded_its_moments_are_found_and_the_room_picks_the_clip(
    browser: Browser, product: Product, pictures: Path
) -> None:
    host = product.person()
    room = host.ask("POST", "/api/rooms/create", {"name": "Thursday table"})
    with visiting(browser, product.url) as visit:
        page = visit.page
        enter(page, host, f"/spaces/{room['room_code']}")
        page.get_by_role("button", name="Start recording").click()
        page.wait_for_timeout(SPOKEN_MS)
        page.get_by_role("button", name="Stop recording").click()
        summary = page.get_by_role("region", name="What became of the recording")
        expect(summary).to_be_visible()
        ask = summary.get_by_role("button", name="Ask the room which is best")
        expect(ask).to_be_visible(timeout=90_000)
        captured = host.ask("GET", f"/api/rooms/{room['id']}/recording")
        recording_id = captured["recording"]["id"]
        found = host.ask("GET", f"/api/recordings/{recording_id}/highlights")["items"]
        peaks = sorted(each["peak_s"] for each in found)
        assert len(peaks) >= 2
        ask.click()
        expect(page.get_by_text("Which moment was the best?").first).to_be_visible()
        page.screenshot(path=pictures / "room-summary.png")
        page.set_viewport_size({"width": PHONE, "height": 844})
        page.screenshot(path=pictures / "room-summary-phone.png")
        page.set_viewport_size({"width": 1280, "height": 844})
        [poll] = host.ask("GET", f"/api/rooms/{room['id']}/polls/active")["items"]
        host.ask("POST", f"/api/polls/{poll['id']}/vote", {"option_id": "2"})
        host.ask("POST", f"/api/polls/{poll['id']}/close")
        expect(summary.get_by_text("1 clip, 1 poll")).to_be_visible()

    def clip() -> bool:
        [made] = host.ask("GET", f"/api/clips?recording_id={recording_id}")["items"]
        assert made["status"] not in {"failed", "cancelled"}, made
        return bool(made["status"] == "completed")

    wait_for(clip, what="the winner's clip")
    best = host.ask("GET", f"/api/recordings/{recording_id}/highlights")["items"][0]
    assert best["id"] == found[1]["id"], "the room's choice is first now"
    items = host.ask("GET", "/api/subscription/usage")["items"]
    assert [row["used"] for row in items if row["feature"] == "conversations_per_month"] == [1]


def test_host_records_a_camera_beside_the_microphone(browser: Browser, product: Product) -> None:
    host = product.person()
    room = host.ask("POST", "/api/rooms/create", {"name": "Camera"})
    with visiting(browser, product.url) as visit:
        page = visit.page
        enter(page, host, f"/spaces/{room['room_code']}")
        page.get_by_role("button", name="Start recording").click()
        page.get_by_role("button", name="Record a picture").click()
        page.get_by_role("menuitem", name="Camera").click()
        expect(page.get_by_role("button", name="Stop camera")).to_be_visible()
        page.wait_for_timeout(10_000)
        page.get_by_role("button", name="Stop recording").click()
        expect(page.get_by_role("region", name="What became of the recording")).to_be_visible()
    captured = host.ask("GET", f"/api/rooms/{room['id']}/recording")
    assert sorted(track["source"] for track in captured["tracks"]) == ["camera", "microphone"]
    recording = host.until(f"/api/recordings/{captured['recording']['id']}", "ready", "failed")
    assert (recording["status"], recording["has_video"], recording["has_audio"]) == ("ready", True, True), recording
