import socketserver
import threading
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default

import pytest
from structlog.testing import capture_logs

from cli.embedded.port import free_port
from services.accounts import mail
from services.accounts.mail import MailError, SmtpMailer, deliver, open_mailer, password_reset, verification

SENDER = "Big Snuggles <no-reply@example.com>"


class MailServer(socketserver.ThreadingTCPServer):
    """As much of a mail server as a client needs (RFC 5321), keeping what it is given."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Talk)
        self.mails: list[bytes] = []
        self.recipients: list[str] = []
        self.logins = 0
        self.refuses = False

    @property
    def url(self) -> str:
        return f"smtp://user:p%40ss@127.0.0.1:{self.server_address[1]}"


class Talk(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.say("220 ready")
        while line := self.rfile.readline():
            verb = line.split()[0].upper() if line.split() else b""
            if verb == b"EHLO":
                self.say("250-here", "250 AUTH PLAIN")
            elif verb == b"AUTH":
                self.server.logins += 1
                self.say("235 welcome")
            elif verb == b"RCPT":
                self.server.recipients.append(line.decode().strip())
                self.say("550 nobody here" if self.server.refuses else "250 ok")
            elif verb == b"DATA":
                self.say("354 go on")
                self.server.mails.append(self.read_mail())
                self.say("250 taken")
            elif verb == b"QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 ok")

    def read_mail(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line)
        return b"".join(lines)

    def say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_mail_arrives_whole(server: MailServer) -> None:
    SmtpMailer(server.url, SENDER).send(verification("https://clips.example.com", to="ada@example.org", token="t0"))
    (raw,) = server.mails
    arrived = message_from_bytes(raw, policy=default)
    assert (arrived["From"], arrived["To"], arrived["Subject"]) == (SENDER, "ada@example.org", "Confirm your address")
    assert "https://clips.example.com/verify/t0" in arrived.get_content()
    assert arrived["Message-ID"].endswith("@example.com>")
    assert arrived["Date"]
    assert server.logins == 1


def test_refused_mail_is_an_error_that_fails_no_request(server: MailServer) -> None:
    server.refuses = True
    mailer = SmtpMailer(server.url, SENDER)
    message = password_reset("https://clips.example.com", to="nobody@example.org", token="secret-token")
    with pytest.raises(MailError):
        mailer.send(message)
    with capture_logs() as logs:
        deliver(mailer, message)
    assert [entry["event"] for entry in logs] == ["mail_failed"]
    assert "secret-token" not in str(logs)


def test_mail_server_that_is_not_there_fails_no_request() -> None:
    with capture_logs() as logs:
        deliver(SmtpMailer(f"smtp://127.0.0.1:{free_port()}", SENDER), verification("http://x", to="a@b.cd", token="t"))
    assert [entry["event"] for entry in logs] == ["mail_failed"]


def test_without_a_mail_server_the_link_is_logged() -> None:
    with capture_logs() as logs:
        open_mailer(None, SENDER).send(verification("https://clips.example.com", to="ada@example.org", token="t0"))
    assert logs[0]["link"] == "https://clips.example.com/verify/t0"
    assert isinstance(open_mailer("smtp://localhost", SENDER), SmtpMailer)
    assert mail.SMTP_TIMEOUT_S <= 30
