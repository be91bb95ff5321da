"""Sends mail through a mail server; without one, mails are logged."""

import smtplib
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid, parseaddr
from typing import Protocol
from urllib.parse import unquote, urlsplit

import structlog
from msgspec import Struct

from db.connection import forbid_in_transaction
from services.mail.render import Rendered

SMTP_TIMEOUT_S = 10
SMTP_PORT = 587
SMTPS_PORT = 465
TEMPORARY = range(400, 500)
"""Replies after which trying again may help (RFC 5321, 4.2.1)."""

logger = structlog.get_logger(__name__)


class MailError(Exception):
    """The mail was certainly not accepted; another attempt may help."""


class MailRefusedError(MailError):
    """The mail was rejected permanently."""


class MailUncertainError(MailError):
    """The connection broke after the text was sent, so the mail may have been accepted."""


class Envelope(Struct, frozen=True, kw_only=True):
    """A mail with its address."""

    to: str
    rendered: Rendered
    id: str | None = None
    """Gives every attempt the same Message-ID, so that receivers recognise a repeat."""


class Mailer(Protocol):
    """Sends mails."""

    def send(self, mail: Envelope, *, before_text: Callable[[], None] = lambda: None) -> None:
        """Send a mail; `before_text` is called when the server waits for the text, and may raise to stop.

        MailError, MailRefusedError, MailUncertainError.
        """


class LogMailer:
    """Logs the link, so that an installation without a mail server can be used."""

    def send(self, mail: Envelope, *, before_text: Callable[[], None] = lambda: None) -> None:
        """Log the address, the subject and the link."""
        forbid_in_transaction("mail")
        before_text()
        logger.info("mail", to=mail.to, subject=mail.rendered.subject, link=mail.rendered.link)


class SmtpMailer:
    """Sends through a mail server: `smtp://user:password@host:port` (STARTTLS where offered) or `smtps://…`."""

    def __init__(self, url: str, sender: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or "localhost"
        self._is_tls = parts.scheme == "smtps"
        self._port = parts.port or (SMTPS_PORT if self._is_tls else SMTP_PORT)
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password or "")
        self._sender = sender

    def send(self, mail: Envelope, *, before_text: Callable[[], None] = lambda: None) -> None:
        """Send the mail."""
        forbid_in_transaction("mail")
        try:
            server = self._connect()
        except (OSError, smtplib.SMTPException) as error:
            raise MailError(f"The mail server {self._host} cannot be reached") from error
        try:
            self._prepare(server, mail.to)
            before_text()
            self._send_text(server, self._message(mail).as_bytes())
            with suppress(OSError, smtplib.SMTPException):
                server.quit()
        finally:
            server.close()

    def _connect(self) -> smtplib.SMTP:
        if self._is_tls:
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self._host, self._port, timeout=SMTP_TIMEOUT_S, context=context)
        return smtplib.SMTP(self._host, self._port, timeout=SMTP_TIMEOUT_S)

    def _prepare(self, server: smtplib.SMTP, recipient: str) -> None:
        """Secure the connection, log in and name sender and recipient."""
        try:
            server.ehlo()
            if not self._is_tls and server.has_extn("starttls"):
                server.starttls(context=ssl.create_default_context())
                server.ehlo()
            if self._user is not None:
                server.login(self._user, self._password)
            self._expect(server.mail(parseaddr(self._sender)[1]))
            self._expect(server.rcpt(recipient))
        except (OSError, smtplib.SMTPException) as error:
            raise MailError(f"The mail server {self._host} did not take the mail") from error
        except UnicodeError as error:
            raise MailRefusedError("The address cannot be written in the letters that mail servers take") from error

    def _send_text(self, server: smtplib.SMTP, text: bytes) -> None:
        try:
            code, reply = server.data(text)
        except smtplib.SMTPDataError as error:  # the server refused before it got the text
            code, reply = error.smtp_code, error.smtp_error if isinstance(error.smtp_error, bytes) else b""
        except (OSError, smtplib.SMTPException) as error:
            raise MailUncertainError(
                f"The mail server {self._host} closed the connection before it answered"
            ) from error
        self._expect((code, reply))

    def _expect(self, answer: tuple[int, bytes]) -> None:
        code, _ = answer
        if code < TEMPORARY.start:
            return
        kind = MailError if code in TEMPORARY else MailRefusedError
        raise kind(f"The mail server {self._host} answered {code}")

    def _message(self, mail: Envelope) -> EmailMessage:
        domain = parseaddr(self._sender)[1].partition("@")[2] or "localhost"
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = mail.to
        message["Subject"] = mail.rendered.subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = f"<{mail.id}@{domain}>" if mail.id else make_msgid(domain=domain)
        # Automatic replies skip such mail (RFC 3834).
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(mail.rendered.text)
        message.add_alternative(mail.rendered.html, subtype="html")
        return message


def open_mailer(smtp_url: str | None, sender: str) -> Mailer:
    """Return the mailer of this installation."""
    return SmtpMailer(smtp_url, sender) if smtp_url else LogMailer()
