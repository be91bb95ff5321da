"""The lists of recordings and clips in Chromium: what failed says what to do, and picked clips are shared together."""

import re

import pytest
from playwright.sync_api import Browser, expect
from support.api.browser import visiting
from support.api.product import Person, Product
from support.api.server import PASSWORD
from support.servers.fleet import make_media

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture
def person(product: Product) -> Person:
    return product.person()


def test_failed_recording_says_why_and_what_to_do(browser: Browser, product: Product, person: Person) -> None:
    recording_id = person.upload(b"this is no video at all, " * 100)
    failed = person.until(f"/api/recordings/{recording_id}", "failed")
    with visiting(browser, product.url) as watched:
        assert watched.page.context.request.post("/api/auth/login", data=login(person)).ok
        watched.page.goto("/recordings")
        row = watched.page.get_by_role("article")
        expect(row).to_contain_text(failed["error"]["message"])
        expect(row).to_contain_text(failed["error"]["remedy"])


def test_picked_clips_are_shared_together(browser: Browser, product: Product, person: Person) -> None:
    media = make_media(product.folder / "shared.mp4", duration_s=20)
    recording_id = person.upload(media.read_bytes())
    person.until(f"/api/recordings/{recording_id}", "ready")
    for start_s in (2.0, 9.0):
        made = person.clip(recording_id, start_s=start_s, end_s=start_s + 6, title=f"From {start_s:g}")
        person.until(f"/api/clips/{made['clip']['id']}", "completed")
    with visiting(browser, product.url, permissions=["clipboard-read", "clipboard-write"]) as watched:
        page = watched.page
        assert page.context.request.post("/api/auth/login", data=login(person)).ok
        page.goto("/clips")
        for title in ("From 2", "From 9"):
            page.get_by_role("checkbox", name=re.compile(title)).check(force=True)
        page.get_by_role("toolbar", name="Picked clips").get_by_role("button", name="Share").click()
        expect(page.get_by_role("status")).to_contain_text("2 links copied")
        copied = str(page.evaluate("navigator.clipboard.readText()")).splitlines()
        assert sorted(line.split(": ")[0] for line in copied) == ["From 2", "From 9"]
        for line in copied:
            page.goto(line.split(": ", 1)[1])
            expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^From"))


def login(person: Person) -> dict[str, object]:
    return {"email": person.email, "password": PASSWORD, "cookie": True}


def test_recordings_are_sorted_and_picked_ones_are_searched_and_deleted(
    browser: Browser, product: Product, person: Person
) -> None:
    talk_id = person.upload(make_media(product.folder / "talk.mp4", duration_s=6).read_bytes())
    for name in ("Apple", "banana"):
        person.ask("POST", "/api/recordings", {"filename": name, "size_bytes": 9, "content_type": "video/mp4"})
    person.until(f"/api/recordings/{talk_id}", "ready")
    with visiting(browser, product.url) as watched:
        page = watched.page
        assert page.context.request.post("/api/auth/login", data=login(person)).ok
        page.goto("/recordings")
        titles = page.get_by_role("article").get_by_role("link")
        expect(titles).to_have_text(["banana", "Apple", "talk"])
        page.get_by_role("button", name="Order: Newest first").click()
        page.get_by_role("menuitemradio", name="Longest first").click()
        expect(titles.first).to_have_text("talk")
        page.goto("/recordings?sort=name")
        expect(titles).to_have_text(["Apple", "banana", "talk"])

        page.get_by_role("checkbox", name="Pick talk").check()
        bar = page.get_by_role("toolbar", name="Picked recordings")
        bar.get_by_role("button", name="Find highlights").click()
        expect(page.get_by_role("status")).to_contain_text("Searching 1 recording for highlights")
        for name in ("Apple", "banana"):
            page.get_by_role("checkbox", name=f"Pick {name}").check()
        bar.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete 2 recordings").click()
        expect(titles).to_have_text(["talk"])
        expect(page.get_by_role("status")).to_contain_text("2 recordings deleted")
        assert len(person.ask("GET", "/api/recordings")["items"]) == 1
