"""The operators' page in Chromium, on the real API, a real worker and rows that jobs leave behind."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from psycopg.types.json import Jsonb
from support.api.browser import Watched, launch, visiting
from support.api.server import PASSWORD, listening
from support.servers.fleet import Fleet, add_user, rows, wait_for

from db.connection import SERVICE, Database
from services.accounts import service as accounts
from services.accounts.password import hash_password
from services.jobs import schedule as schedules
from services.jobs import service as jobs
from services.process.settings import Settings

OPERATOR, PERSON = "grace@example.com", "ada@example.com"
DAMAGED = {
    "code": "decode_failed",
    "message": "The stream could not be decoded. The file is damaged here; send a better copy.",
    "remedy": "The file is damaged here; send a better copy.",
    "retryable": False,
    "stream": 0,
    "time_s": 61.4,
}

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = launch(playwright)
        yield running
        running.close()


@pytest.fixture
def url(settings: Settings, database: Database) -> Iterator[str]:
    with listening(settings) as (address, _):
        with database.transaction(SERVICE) as tx:
            schedules.install(tx)
            for email in (OPERATOR, PERSON):
                account = accounts.signup(tx, email=email, password_hash=hash_password(PASSWORD), display_name="")
                tx.execute("UPDATE users SET is_admin = %s WHERE id = %s", (email == OPERATOR, account.id))
        yield address


@pytest.fixture
def operator(browser: Browser, url: str) -> Iterator[Page]:
    """The page of somebody who has signed in."""
    with visiting(browser, url) as watched:
        enter(watched)
        yield watched.page


def enter(watched: Watched, email: str = OPERATOR) -> None:
    """Sign in as the form does, without the form."""
    body = {"email": email, "password": PASSWORD, "cookie": True}
    assert watched.page.context.request.post("/api/auth/login", data=body).ok


def add_failed(database: Database, number: int, *, kind: str = "render", user_id: UUID | None = None) -> list[UUID]:
    """Jobs that have failed for good; without `user_id`, those of PERSON."""
    with database.transaction(SERVICE) as tx:
        if user_id is None:
            user_id = tx.execute("SELECT id FROM users WHERE email = %s", (PERSON,)).fetchone()["id"]  # type: ignore[index]
        made = [jobs.enqueue(tx, kind=kind, user_id=user_id).id for _ in range(number)]
        tx.execute(
            "UPDATE jobs SET state = 'failed', error = %s, attempt = 3, charged = 3, started_at = now(), "
            "finished_at = now() WHERE id = ANY(%s)",
            (Jsonb(DAMAGED), made),
        )
    return made


def test_operator_signs_in_by_keyboard_and_sees_the_queues(browser: Browser, url: str, database: Database) -> None:
    with database.transaction(SERVICE) as tx:
        jobs.enqueue(tx, kind="render", user_id=None)
        tx.execute(
            "INSERT INTO job_series VALUES (now() - interval '1 minute', 'render', 'render', 'failed', 2, 10, 30)"
        )
    with visiting(browser, url) as watched:
        page = watched.page
        page.goto("/ops")
        page.get_by_label("Email address").fill(OPERATOR)
        page.keyboard.press("Tab")
        page.keyboard.type("not the password")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        render = page.get_by_role("row", name="render")
        expect(render.get_by_role("cell").nth(1)).to_have_text("1")
        expect(render.get_by_role("link", name="100 %")).to_be_visible()
        expect(page.get_by_role("img", name=re.compile("2 failed"))).to_be_visible()
        expect(page.get_by_role("link", name="no worker is running")).to_be_visible()
        render.get_by_role("button", name="Pause").click()
        expect(render).to_contain_text("paused")
        assert rows(database, "SELECT queue FROM queue_controls WHERE is_paused") == [{"queue": "render"}]
        render.get_by_role("button", name="Resume").click()
        expect(render).not_to_contain_text("paused")


def test_somebody_else_is_told_that_the_page_is_for_operators(browser: Browser, url: str) -> None:
    with visiting(browser, url) as watched:
        enter(watched, PERSON)
        asked: list[str] = []
        watched.page.on("request", lambda request: asked.append(request.url))
        watched.page.goto("/ops/jobs")
        expect(watched.page.get_by_role("heading")).to_have_text("This page is for operators")
        expect(watched.page.get_by_role("main")).to_contain_text(f"You are signed in as {PERSON}")
        assert not any("/api/ops/" in address for address in asked)
        watched.page.get_by_role("button", name="Sign in with another account").click()
        expect(watched.page.get_by_label("Email address")).to_be_visible()


def test_jobs_are_filtered_by_an_address_that_can_be_shared(operator: Page, database: Database) -> None:
    owner = add_user(database)
    add_failed(database, 2, user_id=owner)
    [other] = add_failed(database, 1, kind="detect")
    operator.goto("/ops/jobs")
    table = operator.get_by_role("table", name="Jobs, newest first").locator("tbody")
    expect(table.get_by_role("row")).to_have_count(3)
    operator.get_by_text("More conditions").click()
    operator.get_by_label("Kind").fill("detect")
    operator.keyboard.press("Enter")
    expect(table.get_by_role("row")).to_have_count(1)
    expect(operator).to_have_url(re.compile(r"/ops/jobs\?kind=detect$"))
    operator.reload()
    expect(table.get_by_role("row")).to_have_count(1)
    table.get_by_role("link", name="detect").first.click()
    expect(operator).to_have_url(re.compile(f"/ops/jobs/{other}$"))
    expect(operator.get_by_role("main")).to_contain_text("The stream could not be decoded.")
    expect(operator.get_by_role("main")).to_contain_text("What to do: The file is damaged here; send a better copy.")
    operator.get_by_role("link", name="← Jobs").click()
    expect(operator).to_have_url(re.compile(r"/ops/jobs\?kind=detect$"))
    [email] = rows(database, "SELECT email FROM users WHERE id = %(owner)s", owner=owner)
    operator.goto(f"/ops/jobs?owner={email['email']}&q=damaged")
    expect(table.get_by_role("row")).to_have_count(2)
    operator.get_by_role("searchbox").fill(str(other))
    operator.keyboard.press("Enter")
    expect(operator.get_by_text("No job matches")).to_be_visible()
    operator.get_by_label(re.compile("Recording.s id")).fill("no id")
    operator.keyboard.press("Enter")
    expect(operator.get_by_text("id has 32 hexadecimal digits.")).to_be_visible()


def test_all_that_match_are_counted_and_then_retried(operator: Page, database: Database) -> None:
    failed, other = add_failed(database, 3), add_failed(database, 1, kind="detect")
    operator.goto("/ops/jobs")
    expect(operator.get_by_role("button", name="Retry")).to_be_disabled()
    operator.goto("/ops/jobs?kind=render")
    operator.get_by_role("button", name="Retry").click()
    dialog = operator.get_by_role("dialog")
    expect(dialog).to_contain_text("3 failed jobs match")
    operator.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(operator.get_by_role("button", name="Retry")).to_be_focused()
    assert rows(database, "SELECT 1 FROM jobs WHERE state = 'queued'") == []
    operator.get_by_role("button", name="Retry").click()
    dialog.get_by_role("button", name="Retry 3 jobs").click()
    expect(dialog).to_contain_text("3 jobs queued again.")
    dialog.get_by_role("button", name="Close").click()
    queued = {row["id"] for row in rows(database, "SELECT id FROM jobs WHERE state = 'queued'")}
    assert queued == set(failed)
    assert rows(database, "SELECT state FROM jobs WHERE id = %(id)s", id=other[0]) == [{"state": "failed"}]
    table = operator.get_by_role("table", name="Jobs, newest first").locator("tbody")
    expect(table.get_by_text("to be retried")).to_have_count(3)
    table.get_by_role("checkbox").first.check()
    operator.get_by_role("button", name="Cancel").click()
    dialog.get_by_role("button", name="Cancel 1 job").click()
    expect(dialog).to_contain_text("1 job cancelled.")
    dialog.get_by_role("button", name="Close").click()
    operator.goto("/ops/audit")
    expect(operator.get_by_role("row", name="jobs.retry")).to_contain_text("changed: 3")


def test_jobs_of_the_system_show_only_when_asked_for(operator: Page, database: Database) -> None:
    add_failed(database, 2)
    with database.transaction(SERVICE) as tx:
        jobs.enqueue(tx, kind="prune_jobs", user_id=None)
    operator.goto("/ops/jobs")
    table = operator.get_by_role("table", name="Jobs, newest first").locator("tbody")
    expect(table.get_by_role("row")).to_have_count(2)
    counts = operator.get_by_role("group", name="Jobs by state")
    expect(counts.get_by_role("link", name="failed")).to_have_text(re.compile("failed 2"))
    operator.goto("/ops/jobs?kind=prune_jobs")
    operator.get_by_role("link", name=re.compile("Search the system.s jobs too")).click()
    expect(table.get_by_role("row")).to_have_count(1)


def test_failures_of_one_cause_are_retried_from_the_overview(operator: Page, database: Database) -> None:
    add_failed(database, 2)
    away = {"code": "unavailable", "message": "Storage did not answer.", "retryable": True}
    stuck = add_failed(database, 3)
    with database.transaction(SERVICE) as tx:
        tx.execute("UPDATE jobs SET error = %s WHERE id = ANY(%s)", (Jsonb(away), stuck))
    operator.goto("/ops")
    expect(operator.get_by_role("link", name="3 jobs failed with unavailable")).to_be_visible()
    causes = operator.get_by_role("region", name="What failed, by cause")
    expect(causes.get_by_role("link", name=re.compile("Look.*decode_failed"))).to_be_visible()
    causes.get_by_role("button", name="Retry 3").click()
    dialog = operator.get_by_role("dialog")
    expect(dialog).to_contain_text("3 failed jobs match")
    dialog.get_by_role("button", name="Retry 3 jobs").click()
    expect(dialog).to_contain_text("3 jobs queued again.")
    queued = {row["id"] for row in rows(database, "SELECT id FROM jobs WHERE state = 'queued'")}
    assert queued == set(stuck)


def test_tier_is_granted_and_taken_back(operator: Page, database: Database) -> None:
    operator.goto("/ops/users")
    operator.get_by_role("searchbox").fill("ada@")
    operator.keyboard.press("Enter")
    operator.get_by_role("link", name=PERSON).click()
    operator.get_by_role("button", name="Grant a tier").click()
    dialog = operator.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("Speaker of the conference")
    dialog.get_by_role("button", name="Grant Pro").click()
    expect(operator.get_by_role("status")).to_contain_text("Pro is granted.")
    expect(operator.get_by_text("Pro, without end")).to_be_visible()
    operator.get_by_role("button", name="Take the grant back").click()
    dialog.get_by_label("Reason").fill("The conference is over")
    dialog.get_by_role("button", name="Take it back").click()
    expect(operator.get_by_text("Pro, without end")).to_have_count(0)
    assert rows(database, "SELECT details ->> 'tier' AS tier FROM audit_log ORDER BY id") == [
        {"tier": "pro"},
        {"tier": "free"},
    ]


def test_failed_event_of_stripe_is_replayed(operator: Page, database: Database) -> None:
    with database.transaction(SERVICE) as tx:
        tx.execute(
            "UPDATE subscriptions SET stripe_customer_id = 'cus_1' "
            "WHERE user_id = (SELECT id FROM users WHERE email = %s)",
            (PERSON,),
        )
        tx.execute(
            "INSERT INTO stripe_events (id, type, payload, customer_id) VALUES ('evt_1', 'invoice.paid', '{}', 'cus_1')"
        )
    operator.goto("/ops")
    operator.get_by_role("link", name="1 event of Stripe failed").click()
    row = operator.get_by_role("row").filter(has_text="evt_1")
    expect(row).to_contain_text("failed")
    row.get_by_role("button", name="Replay evt_1").click()
    expect(operator.get_by_text("No event is failed")).to_be_visible()
    assert rows(database, "SELECT kind FROM jobs") == [{"kind": "sync_subscription"}]


def test_list_goes_on_from_page_to_page(operator: Page, database: Database) -> None:
    add_failed(database, 60)
    operator.goto("/ops/jobs?status=failed")
    table = operator.get_by_role("table", name="Jobs, newest first").locator("tbody")
    expect(table.get_by_role("row")).to_have_count(50)
    operator.get_by_role("link", name="Older").click()
    expect(table.get_by_role("row")).to_have_count(10)
    expect(operator.get_by_text("These are the oldest.")).to_be_visible()
    operator.go_back()
    expect(table.get_by_role("row")).to_have_count(50)


def test_worker_is_drained(operator: Page, settings: Settings, tmp_path: Path, database: Database) -> None:
    folder = tmp_path / "fleet"
    folder.mkdir()
    with Fleet(settings, folder) as fleet:
        process = fleet.worker(threads=2)
        operator.goto("/ops/workers")
        card = operator.get_by_role("article", name=re.compile(rf"Worker {process.pid} on "))
        expect(card).to_contain_text("0 of 2 busy")
        expect(card).to_contain_text("idle")
        card.get_by_role("button", name="Drain").click()
        operator.get_by_role("dialog").get_by_role("button", name="Drain").click()
        expect(card).to_contain_text("drained")
        expect(card.get_by_role("button", name="Drain", exact=True)).to_have_count(0)
        wait_for(lambda: rows(database, "SELECT 1 FROM workers WHERE is_draining"), what="the worker to heed it")
        assert process.poll() is None


def test_schedule_is_paused_and_run(operator: Page, database: Database) -> None:
    operator.goto("/ops/schedules")
    row = operator.get_by_role("row", name=re.compile("^prune-jobs"))
    row.get_by_role("button", name="Pause").click()
    expect(row).to_contain_text("paused")
    assert rows(database, "SELECT name FROM schedules WHERE is_paused") == [{"name": "prune-jobs"}]
    row.get_by_role("button", name="Run now").click()
    expect(operator.get_by_role("status")).to_contain_text("prune-jobs is queued to run now.")
    assert rows(database, "SELECT kind FROM jobs") == [{"kind": "prune_jobs"}]
    expect(row).to_contain_text("queued")


def test_delivery_shows_what_came_back_as_text_and_is_sent_again(operator: Page, database: Database) -> None:
    owner = add_user(database)
    answer = "<img src=x onerror=\"document.title='hacked'\">"
    with database.transaction(SERVICE) as tx:
        hook = tx.execute(
            "INSERT INTO webhooks (user_id, url, events, secret) VALUES (%s, 'https://app.example.com/hook', "
            "'{clip.completed}', repeat('x', 40)) RETURNING id",
            (owner,),
        ).fetchone()
        event = tx.execute(
            "INSERT INTO events (user_id, type, data) VALUES (%s, 'clip.completed', '{}') RETURNING id", (owner,)
        ).fetchone()
        assert hook
        assert event
        tx.execute(
            "INSERT INTO webhook_deliveries (webhook_id, user_id, event_id, lane, status, attempts, response_status, "
            "response_excerpt, error, finished_at) VALUES (%s, %s, %s, %s, 'failed', 9, 500, %s, %s, now())",
            (
                hook["id"],
                owner,
                event["id"],
                event["id"],
                answer,
                json.dumps({"code": "refused", "message": "It said 500."}),
            ),
        )
    operator.goto("/ops/deliveries?status=failed")
    operator.get_by_text("https://app.example.com/hook").click()
    expect(operator.get_by_text(answer)).to_be_visible()
    operator.get_by_role("button", name="Send it again").click()
    expect(operator.get_by_role("status")).to_contain_text("sent again")
    operator.get_by_text("pending", exact=True).click()
    expect(operator.get_by_text("https://app.example.com/hook")).to_have_count(1)
    assert rows(database, "SELECT count(*) AS n FROM webhook_deliveries") == [{"n": 2}]


def test_page_keeps_what_it_has_while_the_service_is_away(operator: Page, database: Database) -> None:
    add_failed(database, 1)
    operator.goto("/ops/jobs")
    table = operator.get_by_role("table", name="Jobs, newest first").locator("tbody")
    expect(table.get_by_role("row")).to_have_count(1)
    operator.context.route("**/api/ops/jobs*", lambda route: route.fulfill(status=502, body="<html>Bad gateway"))
    expect(operator.get_by_role("alert")).to_contain_text("an answer that is not its own")
    expect(table.get_by_role("row")).to_have_count(1)
    operator.context.unroute("**/api/ops/jobs*")
    add_failed(database, 1)
    operator.get_by_role("button", name="Try again now").click()
    expect(table.get_by_role("row")).to_have_count(2)
    expect(operator.get_by_role("alert")).to_have_count(0)


def test_session_that_ends_leads_back_to_the_same_place(operator: Page, database: Database) -> None:
    operator.goto("/ops/schedules")
    expect(operator.get_by_role("row", name=re.compile("^prune-jobs"))).to_be_visible()
    with database.transaction(SERVICE) as tx:
        tx.execute("DELETE FROM sessions")
    expect(operator.get_by_text("Your session has ended.")).to_be_visible()
    operator.get_by_label("Email address").fill(OPERATOR)
    operator.get_by_label("Password").fill(PASSWORD)
    operator.get_by_role("button", name="Sign in").click()
    expect(operator.get_by_role("row", name=re.compile("^prune-jobs"))).to_be_visible()
