"""Chromium, and a service that serves the pages with everything behind them."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright
from support.api.browser import launch


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        yield chromium
        chromium.close()
