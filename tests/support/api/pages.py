"""What holds for every page: it fits the window, axe finds nothing, and a picture of it is kept to be looked at."""

from pathlib import Path

from playwright.sync_api import Page

AXE = Path(__file__).parents[3] / "web" / "node_modules" / "axe-core" / "axe.min.js"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
TOO_WIDE = "() => document.documentElement.scrollWidth - window.innerWidth"
SETTLE_MS = 600
"""Longer than any movement of the pages."""


def check(page: Page, name: str, pictures: Path, *, width: int, scheme: str) -> None:
    """Keep a picture of a page; it fits the screen, and axe finds nothing."""
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=pictures / f"{name}-{width}-{scheme}.png", full_page=True)
    assert page.evaluate(TOO_WIDE) <= 0, name
    page.evaluate(AXE.read_text())
    found = page.evaluate("rules => axe.run(document, rules)", RULES)
    problems = [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        for node in each["nodes"][:3]
    ]
    assert problems == [], name
