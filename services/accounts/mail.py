"""Mail to users; without a mail server, what would have been sent is logged."""

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from typing import Protocol
from urllib.parse import unquote, urlsplit

import structlog
from msgspec import Struct

from db.connection import forbid_in_transaction

SMTP_TIMEOUT_S = 10
SMTP_PORT = 587
SMTPS_PORT = 465

logger = structlog.get_logger(__name__)


class MailError(Exception):
    """The mail could not be handed over."""


class Mail(Struct, frozen=True, kw_only=True):
    """A short text with one link."""

    to: str
    subject: str
    text: str
    link: str


class Mailer(Protocol):
    """Hands mail over."""

    def send(self, mail: Mail) -> None:
        """Send, or raise MailError."""


class LogMailer:
    """Logs the link, so that an installation without a mail server can be used."""

    def send(self, mail: Mail) -> None:
        """Log the address, the subject and the link."""
        forbid_in_transaction("mail")
        logger.info("mail", to=mail.to, subject=mail.subject, link=mail.link)


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

    def send(self, mail: Mail) -> None:
        """Send the mail; MailError when the server cannot be reached or refuses it."""
        forbid_in_transaction("mail")
        try:
            with self._connect() as server:
                self._secure(server)
                server.send_message(self._message(mail))
        except (OSError, smtplib.SMTPException) as error:
            raise MailError(f"The mail server {self._host} did not take the mail") from error

    def _connect(self) -> smtplib.SMTP:
        if self._is_tls:
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self._host, self._port, timeout=SMTP_TIMEOUT_S, context=context)
        return smtplib.SMTP(self._host, self._port, timeout=SMTP_TIMEOUT_S)

    def _secure(self, server: smtplib.SMTP) -> None:
        server.ehlo()
        if not self._is_tls and server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
            server.ehlo()
        if self._user is not None:
            server.login(self._user, self._password)

    def _message(self, mail: Mail) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = mail.to
        message["Subject"] = mail.subject
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=parseaddr(self._sender)[1].partition("@")[2] or "localhost")
        message.set_content(f"{mail.text}\n\n{mail.link}\n")
        return message


def open_mailer(smtp_url: str | None, sender: str) -> Mailer:
    """Return what sends mail in this installation."""
    return SmtpMailer(smtp_url, sender) if smtp_url else LogMailer()


def verification(public_url: str, *, to: str, token: str) -> Mail:
    """Return the mail that asks a new user to confirm the address."""
    return Mail(
        to=to,
        subject="Confirm your address",
        text="Open this link to confirm that this address is yours. It works once, for two days.",
        link=f"{public_url}/verify/{token}",
    )


def password_reset(public_url: str, *, to: str, token: str) -> Mail:
    """Return the mail that lets a user choose a new password."""
    return Mail(
        to=to,
        subject="Choose a new password",
        text="Open this link to choose a new password. It works once, for one hour. "
        "If you did not ask for it, do nothing: your password stays as it is.",
        link=f"{public_url}/reset/{token}",
    )


def webhook_disabled(public_url: str, *, to: str, url: str, reason: str) -> Mail:
    """Return the mail that tells an owner that a webhook is not called any more."""
    return Mail(
        to=to,
        subject="A webhook was disabled",
        text=f"The webhook for {urlsplit(url).netloc} was disabled. {reason} "
        "What it missed is kept in its delivery log for a month and can be sent again from there.",
        link=f"{public_url}/webhooks",
    )


def deliver(mailer: Mailer, mail: Mail) -> None:
    """Send without failing the request that it belongs to; what cannot be delivered is logged."""
    try:
        mailer.send(mail)
    except MailError as error:
        logger.warning("mail_failed", subject=mail.subject, error=str(error))
