"""The public page of a clip in Chromium: its drawn player, by pointer and keys, and what it says without the clip."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect
from support.api.browser import PHONE, SIZES, check, visiting
from support.api.product import Person, Product
from support.servers.fleet import make_media

from db.connection import SERVICE

LENGTH_S = 12
REFUSED = re.compile("the server responded with a status of 40[34]")

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def person(product: Product) -> Person:
    return product.person()


@pytest.fixture(scope="module")
def recording_id(product: Product, person: Person) -> str:
    media = make_media(product.folder / "public.mp4", duration_s=20, size="640x360")
    made = person.upload(media.read_bytes())
    person.until(f"/api/recordings/{made}", "ready")
    return made


@pytest.fixture(scope="module")
def clip_id(person: Person, recording_id: str) -> str:
    return clip(person, recording_id, title="The keyboard was unplugged", formats=["mp4"])


@pytest.fixture
def link(person: Person, clip_id: str) -> Any:
    return share(person, clip_id)


@pytest.fixture(scope="module")
def sound_link(person: Person, recording_id: str) -> Any:
    return share(person, clip(person, recording_id, title="Only to be heard", formats=["mp3"]))


def clip(person: Person, recording_id: str, **asked: Any) -> str:
    made = person.clip(recording_id, start_s=2.0, end_s=2.0 + LENGTH_S, **asked)["clip"]["id"]
    person.until(f"/api/clips/{made}", "completed")
    return str(made)


def share(person: Person, clip_id: str) -> Any:
    return person.ask("POST", f"/api/clips/{clip_id}/share", {"platform": "direct_link"})


def media(page: Page) -> Locator:
    return page.locator("video, audio")


def position(page: Page) -> Locator:
    return page.get_by_role("slider", name="Position")


def at(page: Page) -> float:
    return float(media(page).evaluate("each => each.currentTime"))


def test_clip_is_played_moved_through_and_muted_by_pointer(browser: Browser, product: Product, link: Any) -> None:
    with visiting(browser, product.url) as watched:
        page = watched.page
        page.goto(link["url"])
        expect(media(page)).not_to_have_attribute("controls", re.compile(".*"))
        expect(page.locator(".time")).to_have_text("0:00 / 0:12")
        page.get_by_role("button", name="Play").click()
        expect(page.locator(".time")).to_have_text("0:01 / 0:12")
        media(page).click(position={"x": 40, "y": 40})
        expect(page.get_by_role("button", name="Play")).to_be_visible()
        box = position(page).bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + box["height"] / 2)
        assert at(page) == pytest.approx(0.75 * LENGTH_S, abs=0.3)
        expect(position(page)).to_have_attribute("aria-valuetext", re.compile("^0:0[89] of 0:12$"))
        page.get_by_role("button", name="Mute").click()
        expect(page.get_by_role("button", name="Unmute")).to_be_visible()
        assert media(page).evaluate("each => each.muted")
        page.locator(".big").click()
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        # The last pictures are played, and the button offers the clip again.
        expect(page.get_by_role("button", name="Play")).to_be_visible()
        assert at(page) == pytest.approx(LENGTH_S, abs=0.3)


def test_keys_play_move_mute_and_fill_the_screen(browser: Browser, product: Product, link: Any) -> None:
    with visiting(browser, product.url) as watched:
        page = watched.page
        page.goto(link["url"])
        expect(position(page)).to_be_visible()
        page.keyboard.press("m")
        assert not media(page).evaluate("each => each.muted"), "a letter works only in the player"
        page.keyboard.press("Space")
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        page.keyboard.press("Space")
        expect(page.get_by_role("button", name="Play")).to_be_visible()
        before = at(page)
        page.keyboard.press("ArrowRight")
        assert at(page) == pytest.approx(before + 5, abs=0.1)
        page.keyboard.press("ArrowLeft")
        assert at(page) == pytest.approx(before, abs=0.1)
        page.keyboard.press("m")
        expect(page.get_by_role("button", name="Unmute")).to_be_visible()
        page.keyboard.press("f")
        expect(page.get_by_role("button", name="Leave full screen")).to_be_visible()
        assert page.evaluate("document.fullscreenElement.className").startswith("screen player")
        page.keyboard.press("f")
        expect(page.get_by_role("button", name="Full screen", exact=True)).to_be_visible()
        position(page).focus()
        page.keyboard.press("Home")
        assert at(page) == pytest.approx(0, abs=0.1)
        page.keyboard.press("ArrowUp")
        assert at(page) == pytest.approx(5, abs=0.1)
        page.get_by_role("button", name="Unmute").focus()
        page.keyboard.press("Space")
        expect(page.get_by_role("button", name="Mute")).to_be_visible()
        assert media(page).evaluate("each => each.paused"), "Space presses the button it is on"
        page.get_by_role("link", name="Download").focus()
        page.keyboard.press("ArrowRight")
        assert at(page) == pytest.approx(5, abs=0.1), "keys elsewhere are not the player's"


def test_controls_leave_the_picture_while_it_plays(browser: Browser, product: Product, link: Any) -> None:
    with visiting(browser, product.url) as watched:
        page = watched.page
        page.goto(link["url"])
        page.locator(".big").click()
        expect(page.locator(".bar")).to_have_css("opacity", "0")
        page.mouse.move(300, 300)
        expect(page.locator(".bar")).to_have_css("opacity", "1")


def test_link_is_copied_and_shared(browser: Browser, product: Product, link: Any) -> None:
    with visiting(browser, product.url, permissions=["clipboard-read", "clipboard-write"]) as watched:
        page = watched.page
        page.add_init_script("navigator.share = async (data) => { window.shared = data; };")
        page.goto(link["url"])
        page.get_by_role("button", name="Copy link").click()
        expect(page.get_by_role("status")).to_have_text("Link copied")
        assert page.evaluate("navigator.clipboard.readText()") == link["url"]
        page.get_by_role("button", name="Share").click()
        assert page.evaluate("window.shared") == {"title": "The keyboard was unplugged", "url": link["url"]}
    with visiting(browser, product.url) as watched:
        page = watched.page
        page.add_init_script(
            "delete Navigator.prototype.share; navigator.clipboard.writeText = () => Promise.reject();"
        )
        page.goto(link["url"])
        page.get_by_role("button", name="Copy link").click()
        expect(page.get_by_role("status")).to_contain_text("address bar")
        expect(page.get_by_role("button", name="Share")).to_be_hidden()


def test_page_without_script_plays_by_the_browsers_controls(
    browser: Browser, product: Product, link: Any, pictures: Path
) -> None:
    with visiting(browser, product.url, java_script_enabled=False) as watched:
        watched.page.goto(link["url"])
        expect(media(watched.page)).to_have_attribute("controls", "")
        for hidden in (".bar", ".big", ".copy", ".share"):
            expect(watched.page.locator(hidden)).to_be_hidden()
        watched.page.screenshot(path=pictures / "clip-page-no-script.png")


def test_page_speaks_german_to_a_german_browser(browser: Browser, product: Product, link: Any, pictures: Path) -> None:
    with visiting(browser, product.url, width=PHONE, locale="de-DE") as watched:
        page = watched.page
        page.goto(link["url"])
        page.get_by_role("button", name="Abspielen").click()
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        expect(page.get_by_role("slider")).to_have_attribute("aria-valuetext", re.compile("^0:0. von 0:12$"))
        expect(page.get_by_role("button", name="Link kopieren")).to_be_visible()
        check(page, "clip-page-german", pictures, width=PHONE, scheme="light")


@contextmanager
def only_the_beginning(page: Page, link: Any, *, refusals: int) -> Iterator[list[str]]:
    """Give the media's first request half of the file; the next requests are refused as by an expired address."""
    content = httpx.get(f"{link['url']}/media/mp4", follow_redirects=True).content
    half = len(content) // 2
    asked: list[str] = []

    def answer(route: Route) -> None:
        if route.request.resource_type != "media":
            route.continue_()
            return
        asked.append(route.request.headers.get("range", ""))
        if len(asked) == 1:
            headers = {"Content-Range": f"bytes 0-{half - 1}/{len(content)}", "Accept-Ranges": "bytes"}
            route.fulfill(status=206, body=content[:half], content_type="video/mp4", headers=headers)
        elif len(asked) <= 1 + refusals:
            route.fulfill(status=403)
        else:
            route.continue_()

    page.route("**/media/mp4", answer)
    yield asked


def test_expired_media_address_is_fetched_again_and_the_clip_goes_on(
    browser: Browser, product: Product, link: Any
) -> None:
    with visiting(browser, product.url) as watched, only_the_beginning(watched.page, link, refusals=1) as asked:
        page = watched.page
        page.goto(link["url"])
        page.locator(".big").click()
        expect(page.locator(".time")).to_have_text(re.compile("^0:1"))
        assert len(asked) >= 3
        expect(page.get_by_role("alert")).to_be_hidden()
        assert any(map(REFUSED.search, watched.complaints))
        watched.complaints[:] = [each for each in watched.complaints if not REFUSED.search(each)]


def test_link_that_ends_while_the_page_is_open_says_so(
    browser: Browser, product: Product, link: Any, pictures: Path
) -> None:
    with visiting(browser, product.url) as watched, only_the_beginning(watched.page, link, refusals=0):
        page = watched.page
        page.goto(link["url"])
        expect(page.locator(".time")).to_have_text("0:00 / 0:12")
        with product.database.transaction(SERVICE) as tx:
            tx.execute("UPDATE clip_shares SET expires_at = now() WHERE slug = %s", (link["slug"],))
        page.locator(".big").click()
        expect(page.get_by_role("alert")).to_have_text("This link has ended: its time is up, or its owner closed it.")
        expect(page.get_by_role("button", name="Play")).to_be_disabled()
        check(page, "clip-page-ended", pictures, width=1280, scheme="light")
        watched.complaints[:] = [each for each in watched.complaints if not REFUSED.search(each)]


def test_clip_that_does_not_load_is_tried_again_by_play(browser: Browser, product: Product, link: Any) -> None:
    with visiting(browser, product.url) as watched:
        page = watched.page
        page.route("**/media/mp4", lambda route: route.abort("connectionreset"))
        page.goto(link["url"])
        expect(page.get_by_role("alert")).to_contain_text("did not load")
        page.unroute("**/media/mp4")
        page.get_by_role("button", name="Play").click()
        expect(page.get_by_role("alert")).to_be_hidden()
        expect(page.locator(".time")).to_have_text("0:01 / 0:12")
        assert all("ERR_CONNECTION_RESET" in each for each in watched.complaints)
        watched.complaints.clear()


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_pages_of_clips_fit_and_are_accessible(  # noqa: PLR0913, PLR0917 - fixtures
    browser: Browser, product: Product, link: Any, sound_link: Any, pictures: Path, width: int, scheme: Any
) -> None:
    shown = {
        "clip-page": link["url"],
        "clip-embed": link["embed_url"],
        "sound-page": sound_link["url"],
        "sound-embed": sound_link["embed_url"],
    }
    with visiting(browser, product.url, width=width, scheme=scheme) as watched:
        page = watched.page
        for name, address in shown.items():
            if name == "sound-embed":
                page.set_viewport_size({"width": width, "height": 120})
            page.goto(address)
            expect(position(page)).to_be_visible()
            check(page, name, pictures, width=width, scheme=scheme)
            page.get_by_role("button", name="Play").click()
            expect(page.get_by_role("button", name="Pause")).to_be_visible()
            check(page, f"{name}-playing", pictures, width=width, scheme=scheme)
