"""People in a room hear each other: two pages, a microphone that plays a known tone, and what arrives of it."""

import re
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from support.api.browser import launch_chromium, visiting
from support.api.product import Person, Product
from support.api.server import PASSWORD

RATE = 48_000
# Every connection that a page opens, so that what it receives can be measured.
WATCH = """
window.connections = [];
const Native = window.RTCPeerConnection;
window.RTCPeerConnection = class extends Native {
  constructor(...options) { super(...options); window.connections.push(this); }
};
"""
ENERGY = """async () => {
  let energy = 0;
  for (const each of window.connections) {
    if (each.connectionState === 'closed') continue;
    for (const report of (await each.getStats()).values())
      if (report.type === 'inbound-rtp' && report.kind === 'audio') energy += report.totalAudioEnergy ?? 0;
  }
  return energy;
}"""
HEARD_MS = 2000
# A tone of half the full scale has a mean square of 1/8; automatic gain moves it, silence is far below.
LEAST_POWER = 1e-3


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium whose microphone plays a tone that swells and fades."""
    path = tmp_path_factory.mktemp("voice") / "tone.wav"
    write_tone(path)
    with sync_playwright() as playwright:
        running = launch_chromium(playwright, f"--use-file-for-fake-audio-capture={path}")
        yield running
        running.close()


def write_tone(path: Path) -> None:
    times = np.arange(10 * RATE) / RATE
    sound = 0.5 * np.sin(2 * np.pi * 330 * times) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * times))
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((sound * 32767).astype("<i2").tobytes())


def enter(page: Page, person: Person, path: str) -> None:
    page.add_init_script(WATCH)
    body = {"email": person.email, "password": PASSWORD, "cookie": True}
    assert page.context.request.post("/api/auth/login", data=body).ok
    page.goto(path)
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()


def power(page: Page) -> float:
    """Return the mean square of what arrives within some seconds."""
    before = page.evaluate(ENERGY)
    page.wait_for_timeout(HEARD_MS)
    return float(page.evaluate(ENERGY) - before) / (HEARD_MS / 1000)


def until_heard(page: Page) -> float:
    for _ in range(10):
        if (found := power(page)) > LEAST_POWER:
            return found
    return 0.0


def test_two_people_hear_each_other_until_one_mutes_or_stops(
    browser: Browser, product: Product, pictures: Path
) -> None:
    host, friend = product.person(), product.person()
    room = host.ask("POST", "/api/rooms/create", {"name": "Voices"})
    path = f"/spaces/{room['room_code']}"
    with visiting(browser, product.url) as first, visiting(browser, product.url) as second:
        page, other = first.page, second.page
        enter(page, host, path)
        enter(other, friend, path)
        page.get_by_role("button", name="Talk").click()
        assert until_heard(other) > LEAST_POWER, "a listener hears who talks"
        assert page.evaluate(ENERGY) == 0
        other.get_by_role("button", name="Talk").click()
        assert until_heard(page) > LEAST_POWER
        levels = {page.locator(".meter").get_attribute("data-level")}
        for _ in range(10):
            page.wait_for_timeout(150)
            levels.add(page.locator(".meter").get_attribute("data-level"))
        assert len(levels) > 2, "the meter moves"
        expect(page.locator(".seat.talks")).to_have_count(2)
        page.screenshot(path=pictures / "room-voice.png")
        other.get_by_role("button", name="Microphone is on").click()
        other.get_by_role("button", name="Microphone is off").wait_for()
        page.wait_for_timeout(500)
        assert power(page) < LEAST_POWER / 10, "who is muted is not heard"
        other.get_by_role("button", name="Microphone is off").click()
        other.reload()
        expect(other.get_by_role("textbox", name="Message")).to_be_visible()
        assert until_heard(other) > LEAST_POWER, "a page that was loaded again hears the others again"
        page.get_by_role("button", name="Microphones").click()
        page.get_by_role("menuitem", name="Stop talking").click()
        expect(page.get_by_role("button", name=re.compile("Microphone is"))).to_have_count(0)
        page.wait_for_timeout(500)
        assert power(other) < LEAST_POWER / 10
