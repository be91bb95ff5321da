"""Chromium for tests of the pages: what it asks other hosts for and what it complains of is written down."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, Route, expect
from support.servers.requirement import unavailable

from api.routes.pages.web import BUILT

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",  # it does not start as root otherwise
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A microphone that beeps once a second, and nobody has to be asked for it.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
DESKTOP, PHONE = 1280, 390
SIZES = [(DESKTOP, "light"), (PHONE, "dark")]  # each width and each theme once: CI has half an hour
AXE = Path(__file__).parents[3] / "web" / "node_modules" / "axe-core" / "axe.min.js"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
TOO_WIDE = "() => document.documentElement.scrollWidth - window.innerWidth"
# Says nothing about the page: a busy machine draws late.
PATIENCE_MS = 30_000
expect.set_options(timeout=PATIENCE_MS)
# Chromium writes down every answer that is a failure: here of somebody not signed in, and of a service that is away.
EXPECTED = ("status of 401", "status of 502")


def launch(playwright: Playwright) -> Browser:
    """Start the machine's Chromium for the pages of this project."""
    if not (BUILT / "ops.html").exists():
        unavailable("The pages are not built: make web")
    return launch_chromium(playwright)


def launch_chromium(playwright: Playwright, *arguments: str) -> Browser:
    """Start the machine's Chromium, without a window, in a profile of its own."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        unavailable("Chromium is missing; on Debian: sudo apt-get install chromium")
    return playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS, *arguments], headless=True)


class Watched:
    """A page, and what went wrong in it without being shown."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self._url = url
        page.on("console", self._note_message)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.context.route(lambda address: not address.startswith(url), self._refuse)

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not any(each in message.text for each in EXPECTED):
            self.complaints.append(message.text)

    def _refuse(self, route: Route) -> None:
        self.complaints.append(f"asked for {route.request.url}")
        route.abort()


@contextmanager
def visiting(
    browser: Browser,
    url: str,
    *,
    width: int = DESKTOP,
    scheme: Literal["light", "dark"] = "light",
    locale: str = "en-GB",
    **options: Any,
) -> Iterator[Watched]:
    """Open a page as a new visitor; the block fails when the page complained or asked another host for something."""
    is_phone = width < DESKTOP
    context: BrowserContext = browser.new_context(
        base_url=url,
        viewport={"width": width, "height": 844},
        color_scheme=scheme,
        is_mobile=is_phone,
        has_touch=is_phone,
        locale=locale,
        timezone_id="UTC",
        **options,
    )
    context.set_default_timeout(PATIENCE_MS)
    try:
        watched = Watched(context.new_page(), url)
        yield watched
        assert watched.complaints == [], watched.complaints
    finally:
        context.close()


def check(page: Page, name: str, pictures: Path, *, width: int, scheme: str) -> None:
    """Keep a picture of a page; it fits the screen, and axe finds nothing."""
    page.wait_for_timeout(600)
    page.screenshot(path=pictures / f"{name}-{width}-{scheme}.png")
    assert page.evaluate(TOO_WIDE) <= 0, name
    page.evaluate(AXE.read_text())
    found = page.evaluate("rules => axe.run(document, rules)", RULES)
    problems = [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"][:3]
    ]
    assert problems == [], name
