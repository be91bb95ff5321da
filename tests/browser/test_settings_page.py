"""The settings in Chromium, on a real installation: every part of them does what it says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyotp
import pytest
from playwright.sync_api import Browser, Page, expect
from support.api.browser import SIZES, Watched, check, visiting
from support.api.product import Product, running_product
from support.api.server import PASSWORD

from cli.embedded import postgres, valkey
from db.connection import SERVICE

NEW_PASSWORD = "another long password"
PARTS = {
    "account": "/settings",
    "security": "/settings/security",
    "developer": "/settings/developer",
    "data": "/settings/data",
}

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def product(
    postgres_server: postgres.PostgresServer,
    valkey_server: valkey.ValkeyServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Product]:
    """An installation whose address is a name: browsers make no passkeys for numbers."""
    folder = tmp_path_factory.mktemp("product")
    with running_product(postgres_server, valkey_server, folder, has_sockets=True, host="localhost") as running:
        yield running


def begin(watched: Watched, product: Product, email: str) -> Page:
    """Make an account that may use everything, and be logged in."""
    body = {"email": email, "password": PASSWORD, "display_name": "Heron", "cookie": True}
    assert watched.page.context.request.post("/api/auth/signup", data=body).ok
    with product.database.transaction(SERVICE) as tx:
        tx.execute(
            "UPDATE subscriptions SET tier = 'pro', status = 'active' "
            "WHERE user_id = (SELECT id FROM users WHERE email = %s)",
            (email,),
        )
    return watched.page


def forget_the_login(product: Product) -> None:
    """Let every login have been a while ago."""
    with product.database.transaction(SERVICE) as tx:
        tx.execute("UPDATE sessions SET created_at = created_at - interval '1 hour'")


def forgive(watched: Watched, *statuses: int) -> None:
    """Chromium writes down every answer that is a failure; these were meant to be."""
    expected = tuple(f"status of {status}" for status in statuses)
    watched.complaints[:] = [each for each in watched.complaints if not any(part in each for part in expected)]


def test_account_is_renamed_and_told_about_clips(browser: Browser, product: Product) -> None:
    with visiting(browser, product.url) as watched:
        page = begin(watched, product, "wren@example.org")
        page.goto("/settings")
        page.get_by_label("Your name").fill("Wren the Second")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_role("status")).to_contain_text("Saved")
        expect(page.get_by_role("button", name=re.compile("Wren the Second"))).to_be_visible()
        page.get_by_role("switch", name="Mail me when my clips are ready").check()
        page.get_by_role("button", name="Dark", exact=True).click()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        page.get_by_role("button", name="Deutsch").click()
        expect(page.get_by_role("heading", name="Einstellungen", exact=True)).to_be_visible()
        expect(page.get_by_role("switch", name="Mail, wenn meine Clips fertig sind")).to_be_checked()
        account = page.context.request.get("/api/me").json()["data"]
        assert (account["language"], account["mail_clips_ready"]) == ("de", True)
        page.get_by_role("button", name="Adresse ändern").click()
        page.get_by_role("textbox", name="Neue Adresse").fill("wren2@example.org")
        page.get_by_label("Bisheriges Passwort", exact=True).fill(PASSWORD)
        page.get_by_role("dialog").get_by_role("button", name="Adresse ändern").click()
        expect(page.get_by_text("Ein Link ist an wren2@example.org unterwegs")).to_be_visible()


def test_second_factor_is_set_up_asked_for_and_turned_off(browser: Browser, product: Product) -> None:
    with visiting(browser, product.url) as watched:
        page = begin(watched, product, "owl@example.org")
        forget_the_login(product)
        page.goto("/settings/security")
        page.get_by_role("button", name="Set up").click()
        page.get_by_role("dialog").get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_role("img", name="QR code for the authenticator app")).to_be_visible()
        code = pyotp.TOTP(page.locator("code.secret").inner_text())
        page.get_by_label("Code", exact=True).fill(code.now())
        page.get_by_role("button", name="Turn on").click()
        expect(page.get_by_role("heading", name="Keep these codes")).to_be_visible()
        recovery = page.locator("code.secret").inner_text().split()
        assert len(recovery) == 10
        page.get_by_role("button", name="I have kept them").click()
        expect(page.get_by_text("10 recovery codes are left.")).to_be_visible()
        forgive(watched, 403)
    with visiting(browser, product.url) as watched:
        page = watched.page
        page.goto("/login?next=/settings/security")
        page.get_by_label("Email address").fill("owl@example.org")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_label("One-time code").fill(recovery[0])
        page.keyboard.press("Enter")
        expect(page.get_by_text("9 recovery codes are left.")).to_be_visible()
        page.get_by_role("button", name="Turn off").click()
        page.get_by_role("dialog").get_by_role("button", name="Turn off").click()
        expect(page.get_by_role("button", name="Set up")).to_be_visible()


def test_passkey_is_made_used_and_deleted(browser: Browser, product: Product) -> None:
    with visiting(browser, product.url) as watched:
        page = begin(watched, product, "robin@example.org")
        with_authenticator(page)
        page.goto("/settings/security")
        page.get_by_role("button", name="Add a passkey").click()
        page.get_by_label("Name of this device").fill("Nest")
        page.get_by_role("button", name="Save", exact=True).click()
        row = page.get_by_role("listitem").filter(has_text="Nest")
        expect(row).to_contain_text("Never used")
        page.context.clear_cookies()
        page.goto("/login?next=/settings/security")
        page.get_by_role("button", name="Log in with a passkey").click()
        expect(row).to_contain_text("Last used")
        row.get_by_role("button", name="Delete Nest").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete Nest").click()
        expect(row).to_have_count(0)


def with_authenticator(page: Page) -> None:
    """Give the browser a key of its own that says yes to everything."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send(
        "WebAuthn.addVirtualAuthenticator",
        {
            "options": {
                "protocol": "ctap2",
                "transport": "internal",
                "hasResidentKey": True,
                "hasUserVerification": True,
                "isUserVerified": True,
                "automaticPresenceSimulation": True,
            }
        },
    )


def test_password_changes_and_other_sessions_end(browser: Browser, product: Product) -> None:
    with visiting(browser, product.url) as watched:
        page = begin(watched, product, "crane@example.org")
        login = {"email": "crane@example.org", "password": PASSWORD}
        other = httpx.post(f"{product.url}/api/auth/login", json=login).json()["data"]["token"]
        page.goto("/settings/security")
        elsewhere = page.get_by_role("listitem").filter(has_text="python-httpx")
        elsewhere.get_by_role("button", name="End the session of python-httpx").click()
        expect(elsewhere).to_have_count(0)
        asked = httpx.get(f"{product.url}/api/me", headers={"Authorization": f"Bearer {other}"})
        assert asked.status_code == 401
        page.get_by_label("Current password", exact=True).fill("not the password")
        page.get_by_label("New password", exact=True).fill(NEW_PASSWORD)
        page.get_by_role("button", name="Change password").click()
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Current password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Change password").click()
        expect(page.get_by_role("status")).to_contain_text("The new password is set")
        page.goto("/settings")
        expect(page.get_by_text("Your address is crane@example.org.")).to_be_visible()
        assert httpx.post(f"{product.url}/api/auth/login", json=login).status_code == 401
        forgive(watched, 403)


def test_key_and_webhook_are_made_shown_once_and_deleted(browser: Browser, product: Product) -> None:
    with visiting(browser, product.url) as watched:
        page = begin(watched, product, "egret@example.org")
        page.goto("/settings/developer")
        page.get_by_role("button", name="New key").click()
        page.get_by_label("Name", exact=True).fill("uploader")
        page.get_by_label("Access").select_option("read")
        page.get_by_role("button", name="Make key").click()
        key = page.locator("code.secret").inner_text()
        page.get_by_role("button", name="I have copied it").click()
        headers = {"Authorization": f"Bearer {key}"}
        assert httpx.get(f"{product.url}/api/me", headers=headers).json()["data"]["email"] == "egret@example.org"
        row = page.get_by_role("listitem").filter(has_text="uploader")
        expect(row).to_contain_text("Read only")
        row.get_by_role("button", name="Delete uploader").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete uploader").click()
        expect(row).to_have_count(0)
        assert httpx.get(f"{product.url}/api/me", headers=headers).status_code == 401

        page.get_by_role("button", name="New webhook").click()
        page.get_by_label("Address", exact=True).fill(product.source.address("hook"))
        page.get_by_label("A clip has expired").check()
        page.get_by_role("button", name="Make webhook").click()
        assert page.locator("code.secret").inner_text().startswith("whsec_")
        page.get_by_role("button", name="I have copied it").click()
        hook = page.get_by_role("listitem").filter(has_text="/hook").first
        expect(hook).to_contain_text("A clip has expired")
        hook.get_by_role("button", name="Send a test").click()
        hook.get_by_role("button", name="Deliveries").click()
        expect(hook).to_contain_text("webhook.test")
        hook.get_by_role("button", name=re.compile("^Delete the webhook for ")).click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.get_by_text("No webhooks yet.")).to_be_visible()


def test_archive_is_made_and_the_account_deleted(browser: Browser, product: Product) -> None:
    with visiting(browser, product.url) as watched:
        page = begin(watched, product, "stork@example.org")
        page.goto("/settings/data")
        page.get_by_role("button", name="Make the archive").click()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download").click()
        assert Path(download.value.path()).read_bytes().startswith(b"PK")
        forget_the_login(product)
        page.get_by_role("button", name="Delete the account").click()
        go = page.get_by_role("button", name="Delete account and data")
        expect(go).to_be_disabled()
        page.get_by_label("Your address").fill("stork@example.org")
        go.click()
        page.get_by_role("dialog").get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_role("status")).to_contain_text("are deleted")
        expect(page).to_have_url(re.compile("/$"))
        login = {"email": "stork@example.org", "password": PASSWORD}
        assert httpx.post(f"{product.url}/api/auth/login", json=login).status_code == 401
        forgive(watched, 403, 404)


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_settings_fit_and_are_accessible(
    browser: Browser, product: Product, pictures: Path, width: int, scheme: Any
) -> None:
    with visiting(browser, product.url, width=width, scheme=scheme) as watched:
        page = begin(watched, product, f"{scheme}{width}@example.org")
        hook = {"url": product.source.address("hook"), "events": ["clip.completed", "clip.failed"]}
        csrf = {"X-CSRF-Token": next(c["value"] for c in page.context.cookies() if c["name"] == "snuggles_csrf")}
        for path, body in (("/api/webhooks", hook), ("/api/me/keys", {"name": "uploader"})):
            assert page.context.request.post(path, data=body, headers=csrf).ok
        for name, path in PARTS.items():
            page.goto(path)
            expect(page.get_by_role("heading", level=2).first).to_be_visible()
            check(page, f"settings-{name}", pictures, width=width, scheme=scheme)
        forgive(watched, 404)
