"""Mail from the row to the mail server: whole, retried while it was not taken, and never twice."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from structlog.testing import capture_logs
from support.api.server import PASSWORD, Service, refused, serving
from support.api.webhook_worker import Worker
from support.servers.mail_server import MailServer, mail_server

from cli.embedded.port import free_port
from db.connection import SERVICE, Database
from services.language import LANGUAGES, Language
from services.mail import outbox
from services.mail.example import EXAMPLES, TOKEN
from services.mail.message import KINDS, SubscriptionEnded, from_payload, to_payload
from services.mail.render import render
from services.mail.transport import Envelope, MailError, SmtpMailer, open_mailer
from services.process.settings import Settings

SENDER = "Big Snuggles <no-reply@example.com>"
URL = "https://clips.example.com"


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


@pytest.fixture
def mailing(worker: Worker, server: MailServer) -> Worker:
    """A worker that sends to the mail server."""
    worker.send_to(SmtpMailer(server.url, SENDER), public_url=URL)
    return worker


def ask(database: Database, *, key: str = "k") -> UUID | None:
    with database.transaction(SERVICE) as tx:
        return outbox.enqueue(tx, SubscriptionEnded(tier="Pro"), recipient="ada@example.org", unique_key=key)


def states(database: Database) -> list[str]:
    with database.transaction(SERVICE) as tx:
        return [row["status"] for row in tx.execute("SELECT status FROM mails ORDER BY created_at")]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_has_an_example_and_both_forms(language: Language) -> None:
    assert EXAMPLES.keys() == KINDS.keys()
    for name, mail in EXAMPLES.items():
        assert from_payload(to_payload(mail)) == mail
        rendered = render(mail, public_url=URL, token=TOKEN, language=language)
        assert f'<html lang="{language}">' in rendered.html
        assert rendered.subject, name
        for text in (rendered.text, rendered.html):
            assert rendered.subject.replace("'", "&#39;") in text or rendered.subject in text, name
            assert not re.search(r"\bNone\b|\{\{|\{%", text), name
            assert rendered.link is None or rendered.link in text, name
        assert "style=" in rendered.html
        assert "<style" not in rendered.html


def test_german_mails_write_dates_and_amounts_as_germans_do() -> None:
    text = render(EXAMPLES["trial_ending"], public_url=URL, language="de").text
    assert "am 3. Februar 2026, 12:00 Uhr UTC" in text
    assert "9,99 $ im Monat" in text


def test_names_in_mails_are_text_and_nothing_else() -> None:
    hostile = "<img src=x onerror=alert(1)>\r\nBcc: all@example.org\u202e"
    rendered = render(SubscriptionEnded(tier=hostile), public_url=URL)
    assert "<img" not in rendered.html
    assert "\u202e" not in rendered.text
    assert "\nBcc" not in rendered.text


def test_mail_arrives_whole_and_once(mailing: Worker, database: Database, server: MailServer) -> None:
    assert ask(database) is not None
    assert ask(database) is None
    mailing.run()
    (arrived,) = server.mails
    assert (arrived["From"], arrived["To"]) == (SENDER, "ada@example.org")
    assert arrived["Subject"] == "Your subscription has ended"
    parts = {part.get_content_type(): part.get_content() for part in arrived.iter_parts()}
    assert "Your subscription to Pro has ended" in parts["text/plain"]
    assert "Your subscription to Pro has ended" in parts["text/html"]
    assert f"{URL}/pricing" in parts["text/html"]
    assert arrived["Message-ID"].endswith("@example.com>")
    assert server.logins == 1
    assert states(database) == ["sent"]


def test_mail_that_was_not_taken_is_tried_again_later(mailing: Worker, database: Database, server: MailServer) -> None:
    server.answer_to_recipient = "451 come back later"
    ask(database)
    mailing.run()
    assert (states(database), server.mails) == (["queued"], [])
    with database.transaction(SERVICE) as tx:
        (row,) = tx.execute("SELECT run_at - now() AS wait FROM jobs WHERE state = 'queued'").fetchall()
        assert timedelta(seconds=30) < row["wait"] <= timedelta(minutes=1)
        tx.execute("UPDATE jobs SET run_at = now() WHERE state = 'queued'")
    server.answer_to_recipient = "250 ok"
    mailing.run()
    assert (states(database), len(server.mails)) == (["sent"], 1)


def test_mail_that_is_refused_for_good_is_given_up(mailing: Worker, database: Database, server: MailServer) -> None:
    server.answer_to_text = "554 spam"
    ask(database)
    mailing.run()
    mailing.run()
    assert (states(database), server.mails) == (["failed"], [])


def test_mail_whose_fate_nobody_knows_is_not_sent_again(
    mailing: Worker, database: Database, server: MailServer
) -> None:
    server.answer_to_text = ""
    ask(database)
    mailing.run()
    server.answer_to_text = "250 taken"
    mailing.run()
    assert (states(database), server.mails) == (["uncertain"], [])


def test_mail_of_a_worker_that_died_while_sending_is_not_sent_again(
    mailing: Worker, database: Database, server: MailServer
) -> None:
    mail_id = ask(database)
    assert mail_id is not None
    with database.transaction(SERVICE) as tx:
        assert outbox.claim(tx, mail_id=mail_id)
        assert outbox.mark_sending(tx, mail_id=mail_id)
    mailing.run()
    assert (states(database), server.mails) == (["uncertain"], [])


def test_mail_server_that_is_not_there_is_an_error_in_words() -> None:
    mail = Envelope(to="ada@example.org", rendered=render(SubscriptionEnded(tier="Pro"), public_url=URL))
    with pytest.raises(MailError, match="cannot be reached"):
        SmtpMailer(f"smtp://127.0.0.1:{free_port()}", SENDER).send(mail)


def test_without_a_mail_server_the_link_is_logged() -> None:
    mail = Envelope(to="ada@example.org", rendered=render(EXAMPLES["verification"], public_url=URL, token="t0"))
    with capture_logs() as logs:
        open_mailer(None, SENDER).send(mail)
    assert logs[0]["link"] == f"{URL}/verify/t0"
    assert isinstance(open_mailer("smtp://localhost", SENDER), SmtpMailer)


class Site:
    """A service that sends mail, with its worker."""

    def __init__(self, service: Service, worker: Worker, server: MailServer) -> None:
        self.service, self.worker, self.server = service, worker, server

    def post(self, path: str, body: dict[str, Any], **options: Any) -> Any:
        return self.service.client.post(path, json=body, **options)

    def mailed(self) -> list[tuple[str, str, str]]:
        """Recipient, subject and last part of the link of what has been sent since the last look."""
        self.worker.run()
        found = []
        for mail in self.server.mails:
            text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr] # every mail has one
            link = re.search(r"https?://\S+/(\S+)\n", text)
            found.append((str(mail["To"]), str(mail["Subject"]), link[1] if link else ""))
        self.server.raw.clear()
        return found


@pytest.fixture
def site(settings: Settings, mailing: Worker, server: MailServer) -> Iterator[Site]:
    from msgspec.structs import replace

    with serving(replace(settings, smtp_url=server.url)) as service:
        yield Site(service, mailing, server)


SIGNUP = {"email": "ada@example.org", "password": PASSWORD, "display_name": "Ada"}
LOGIN = {"email": "ada@example.org", "password": PASSWORD}


def test_account_begins_when_its_address_answers(site: Site) -> None:
    answer = site.post("/api/auth/signup", SIGNUP)
    assert (answer.status_code, answer.json()["data"]) == (202, {"status": "check_mail"})
    assert "set-cookie" not in answer.headers
    assert site.post("/api/auth/login", LOGIN).status_code == 401
    ((to, subject, token),) = site.mailed()
    assert (to, subject) == ("ada@example.org", "Confirm your address")
    verified = site.post("/api/auth/verify", {"token": token}).json()["data"]
    assert (verified["email"], verified["status"], verified["display_name"]) == ("ada@example.org", "active", "Ada")
    assert site.post("/api/auth/login", LOGIN).status_code == 200
    assert refused(site.post("/api/auth/verify", {"token": token}), 422, "token")


def test_account_is_written_to_in_its_language(site: Site) -> None:
    site.post("/api/auth/signup", SIGNUP, headers={"Accept-Language": "de-AT, en;q=0.5"})
    ((_, subject, token),) = site.mailed()
    assert subject == "Bestätige deine Adresse"
    account = site.post("/api/auth/verify", {"token": token}).json()["data"]
    assert account["language"] == "de"
    site.post("/api/auth/forgot", {"email": "ada@example.org"}, headers={"Accept-Language": "en"})
    assert [mail[1] for mail in site.mailed()] == ["Wähle ein neues Passwort"]
    headers = {"Authorization": f"Bearer {site.post('/api/auth/login', LOGIN).json()['data']['token']}"}
    client = site.service.client
    assert client.patch("/api/me", json={"language": "en"}, headers=headers).json()["data"]["language"] == "en"
    refused(client.patch("/api/me", json={"language": "fr"}, headers=headers), 422, "language")
    site.post("/api/auth/forgot", {"email": "ada@example.org"}, headers={"Accept-Language": "de"})
    assert [mail[1] for mail in site.mailed()] == ["Choose a new password"]


def test_known_address_is_answered_like_a_new_one_and_its_owner_is_told(site: Site) -> None:
    site.post("/api/auth/signup", SIGNUP)
    ((_, _, token),) = site.mailed()
    site.post("/api/auth/verify", {"token": token})
    again = site.post("/api/auth/signup", {**SIGNUP, "password": "somebody else's password"})
    assert (again.status_code, again.json()["data"]) == (202, {"status": "check_mail"})
    assert [mail[:2] for mail in site.mailed()] == [("ada@example.org", "You already have an account")]
    assert site.post("/api/auth/login", LOGIN).status_code == 200


def test_password_that_a_stranger_signed_up_with_is_worth_nothing(site: Site) -> None:
    site.post("/api/auth/signup", {**SIGNUP, "password": "the stranger's password"})
    site.mailed()
    site.post("/api/auth/signup", SIGNUP)
    ((_, _, token),) = site.mailed()
    site.post("/api/auth/verify", {"token": token})
    stranger = {**LOGIN, "password": "the stranger's password"}
    assert site.post("/api/auth/login", stranger).status_code == 401
    assert site.post("/api/auth/login", LOGIN).status_code == 200


def test_requests_do_the_same_work_for_known_and_unknown_addresses(site: Site) -> None:
    site.post("/api/auth/signup", SIGNUP)
    ((_, _, token),) = site.mailed()
    site.post("/api/auth/verify", {"token": token})
    for path, body in (("/api/auth/forgot", {}), ("/api/auth/signup", {"password": PASSWORD})):
        known = statements(site, path, {**body, "email": "ada@example.org"})
        assert known == statements(site, path, {**body, "email": "nobody@example.org"})
        assert known
    assert {to for to, _, _ in site.mailed()} == {"ada@example.org", "nobody@example.org"}


def statements(site: Site, path: str, body: dict[str, str]) -> list[str]:
    """What a request asks of the database."""
    seen: list[str] = []
    execute = psycopg.Connection.execute

    def listening(connection: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        seen.append(str(query))
        return execute(connection, query, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Connection, "execute", listening)
        assert site.post(path, body).status_code == 202
    return seen


def test_forgotten_password_is_mailed_to_known_addresses_only(site: Site) -> None:
    site.post("/api/auth/signup", SIGNUP)
    ((_, _, token),) = site.mailed()
    site.post("/api/auth/verify", {"token": token})
    site.post("/api/auth/forgot", {"email": "nobody@example.org"})
    site.post("/api/auth/forgot", {"email": "ada@example.org"})
    ((to, subject, token),) = site.mailed()
    assert (to, subject) == ("ada@example.org", "Choose a new password")
    assert site.post("/api/auth/reset", {"token": token, "password": "a new password"}).status_code == 200
    assert [mail[:2] for mail in site.mailed()] == [("ada@example.org", "Your password was changed")]


def test_links_are_not_logged_where_mail_is_sent(site: Site) -> None:
    with capture_logs() as logs:
        site.post("/api/auth/signup", SIGNUP)
        ((_, _, token),) = site.mailed()
    assert token
    assert token not in repr(logs)


def test_new_address_counts_when_it_answers_and_the_old_one_is_told(site: Site) -> None:
    site.post("/api/auth/signup", SIGNUP)
    ((_, _, token),) = site.mailed()
    site.post("/api/auth/verify", {"token": token})
    headers = {"Authorization": f"Bearer {site.post('/api/auth/login', LOGIN).json()['data']['token']}"}
    body = {"email": "New@Example.org"}
    client = site.service.client
    refused(client.patch("/api/me", json=body, headers=headers), 422, "current_password")
    assert client.patch("/api/me", json={**body, "current_password": "wrong"}, headers=headers).status_code == 403
    changed = client.patch("/api/me", json={**body, "current_password": PASSWORD}, headers=headers).json()["data"]
    assert (changed["email"], changed["pending_email"]) == ("ada@example.org", "new@example.org")
    ((to, subject, token),) = site.mailed()
    assert (to, subject) == ("new@example.org", "Confirm your new address")
    assert site.post("/api/auth/verify", {"token": token}).json()["data"]["email"] == "new@example.org"
    assert [mail[:2] for mail in site.mailed()] == [("ada@example.org", "Your address was changed")]
    assert site.post("/api/auth/login", {**LOGIN, "email": "new@example.org"}).status_code == 200
    assert client.get("/api/me", headers=headers).status_code == 200


def test_address_of_another_account_is_asked_for_in_vain(site: Site) -> None:
    for email in ("ada@example.org", "grace@example.org"):
        site.post("/api/auth/signup", {**SIGNUP, "email": email})
        ((_, _, token),) = site.mailed()
        site.post("/api/auth/verify", {"token": token})
    headers = {"Authorization": f"Bearer {site.post('/api/auth/login', LOGIN).json()['data']['token']}"}
    body = {"email": "grace@example.org", "current_password": PASSWORD}
    answer = site.service.client.patch("/api/me", json=body, headers=headers)
    assert (answer.status_code, answer.json()["data"]["pending_email"]) == (200, "grace@example.org")
    assert site.mailed() == []


def test_mails_are_forgotten_after_months(database: Database) -> None:
    ask(database)
    with database.transaction(SERVICE) as tx:
        tx.execute("UPDATE mails SET created_at = %s", (datetime.now(UTC) - timedelta(days=91),))
        assert outbox.prune(tx, limit=10) == 1
