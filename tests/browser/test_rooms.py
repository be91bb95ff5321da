"""Two people in one room, each in a browser of their own: they chat, vote, see results live, and lose nothing."""

import re

import httpx
import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect
from support.api.browser import TOO_WIDE, visiting
from support.api.server import PASSWORD, Site


@pytest.fixture(scope="module")
def site(api: Site) -> str:
    """The address of the API, where a host may open rooms."""
    body = {"email": "host@example.org", "password": PASSWORD, "display_name": "Juniper"}
    httpx.post(f"{api.url}/api/auth/signup", json=body).raise_for_status()
    with psycopg.connect(api.owner_url) as owner:
        owner.execute("UPDATE subscriptions SET tier = 'premium', status = 'active'")
    return api.url


def log_in(page: Page, url: str) -> None:
    page.goto(f"{url}/login?next=/spaces")
    page.get_by_label("Email").fill("host@example.org")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def create_room(page: Page, name: str) -> str:
    """Open a room that takes guests; returns its code."""
    page.get_by_role("button", name="Create Room").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Guests without an account come in by link").check()
    dialog.get_by_role("button", name="Create Room").click()
    page.wait_for_url(re.compile(r"/spaces/\w{6}$"))
    return page.url.rsplit("/", 1)[1]


def come_in_as_guest(page: Page, url: str, code: str, name: str) -> None:
    page.goto(f"{url}/spaces/{code}")
    page.get_by_label("Your name").fill(name)
    page.get_by_role("button", name="Join as guest").click()


def say(page: Page, words: str) -> None:
    page.get_by_role("textbox", name="Message").fill(words)
    page.get_by_role("button", name="Send").click()


def test_two_people_chat_vote_and_see_results_live(browser: Browser, site: str) -> None:
    with visiting(browser, site) as first, visiting(browser, site) as second:
        host, guest = first.page, second.page
        log_in(host, site)
        code = create_room(host, "Thursday table")
        come_in_as_guest(guest, site, code, "Ash")
        expect(host.get_by_text("Ash").first).to_be_visible()
        say(host, "Hello <b>there</b>")
        expect(guest.get_by_role("log").get_by_text("Hello <b>there</b>")).to_be_visible()
        say(guest, "Hi Juniper")
        expect(host.get_by_role("log").get_by_text("Hi Juniper")).to_be_visible()

        host.get_by_role("button", name="New poll").click()
        dialog = host.get_by_role("dialog")
        dialog.get_by_label("Question", exact=True).fill("What should we build live?")
        for number, words in enumerate(["A doorbell that sings", "A very slow clock"], 1):
            dialog.get_by_label(f"Option {number}", exact=True).fill(words)
        dialog.get_by_role("button", name="Start the poll").click()
        poll = guest.get_by_role("article", name="Poll: What should we build live?")
        poll.get_by_role("button", name="A doorbell that sings").click()
        seen = host.get_by_role("article", name="Poll: What should we build live?").first
        expect(seen.get_by_text("100%")).to_be_visible()
        expect(seen.get_by_text("1 of 2 voted")).to_be_visible()
        seen.get_by_role("button", name="Close").click()
        guest.get_by_role("tab", name="Polls").click()
        closed = guest.get_by_role("tabpanel").get_by_role("article", name="Poll: What should we build live?")
        expect(closed.get_by_text("Closed")).to_be_visible()


def test_words_written_offline_are_sent_when_the_network_is_back(browser: Browser, site: str) -> None:
    with visiting(browser, site) as first, visiting(browser, site) as second:
        host, guest = first.page, second.page
        log_in(host, site)
        code = create_room(host, "Bad network")
        come_in_as_guest(guest, site, code, "Ash")
        say(guest, "before")
        expect(host.get_by_role("log").get_by_text("before")).to_be_visible()
        guest.context.set_offline(True)
        expect(guest.get_by_text("The connection is gone.", exact=False)).to_be_visible()
        say(guest, "while away")
        say(host, "meanwhile")
        guest.context.set_offline(False)
        expect(guest.get_by_role("log").get_by_text("meanwhile")).to_be_visible()
        expect(host.get_by_role("log").get_by_text("while away")).to_be_visible()
        assert host.get_by_role("log").get_by_text("while away").count() == 1
        second.complaints[:] = [each for each in second.complaints if "ERR_INTERNET_DISCONNECTED" not in each]


def test_removed_guest_is_told_and_the_phone_shows_one_part_at_a_time(browser: Browser, site: str) -> None:
    with visiting(browser, site) as first, visiting(browser, site, width=390, scheme="dark") as second:
        host, guest = first.page, second.page
        log_in(host, site)
        code = create_room(host, "Door")
        come_in_as_guest(guest, site, code, "Ash")
        guest.get_by_role("button", name="Chat").click()
        say(guest, "from my thumb")
        expect(host.get_by_role("log").get_by_text("from my thumb")).to_be_visible()
        expect(guest.get_by_role("region", name="Room", exact=True)).to_be_hidden()
        host.get_by_role("tab", name="People").click()
        host.get_by_role("button", name="What to do about Ash").click()
        host.get_by_role("menuitem", name="Remove", exact=True).click()
        expect(guest.get_by_role("heading", name="You were removed")).to_be_visible()


def test_german_room_fits_a_phone_and_its_dock_the_stage(browser: Browser, site: str) -> None:
    with visiting(browser, site, width=390, locale="de-DE", permissions=["microphone"]) as watched:
        page = watched.page
        login = {"email": "host@example.org", "password": PASSWORD, "cookie": True}
        assert page.context.request.post("/api/auth/login", data=login).ok
        page.goto("/spaces")
        page.get_by_role("button", name="Raum öffnen").click()
        page.get_by_role("dialog").get_by_label("Name").fill("Freitagsrunde über sehr lange Themen")
        page.get_by_role("dialog").get_by_role("button", name="Raum öffnen").click()
        dock = page.locator(".dock")
        expect(page.get_by_text("Die anderen fehlen noch")).to_be_visible()
        box = dock.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] == pytest.approx(844, abs=1)
        assert page.evaluate(TOO_WIDE) <= 0

        page.set_viewport_size({"width": 1280, "height": 844})
        page.get_by_role("button", name="Aufnahme beginnen").click()
        expect(page.get_by_role("button", name="Aufnahme beenden")).to_be_visible()
        assert dock.evaluate("it => it.scrollWidth - it.clientWidth") <= 0
