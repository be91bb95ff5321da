"""Sends one mail: retried if it was certainly not accepted, and never sent twice."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from db.connection import SERVICE, Transaction
from services.accounts import link as links
from services.accounts.link import Prepared
from services.jobs.payload import SendMailPayload, payload_of
from services.mail import outbox
from services.mail.message import from_payload
from services.mail.outbox import MailRow
from services.mail.render import render
from services.mail.transport import Envelope, MailError, MailRefusedError, MailUncertainError
from workers.attempt import Attempt
from workers.completer import Publish, Result
from workers.execution import Work
from workers.runtime import Runtime

log = structlog.get_logger(__name__)


class _TakenError(Exception):
    """Another attempt has sent the mail."""


def send_mail(runtime: Runtime, attempt: Attempt) -> Publish:
    """Render a mail and send it."""
    mail_id = payload_of(attempt.job, SendMailPayload).mail_id
    with runtime.database.transaction(SERVICE) as tx:
        row = outbox.claim(tx, mail_id=mail_id)
        prepared = _prepare(tx, row, now=runtime.clock()) if row else None
        if row is not None and prepared is None:
            outbox.drop(tx, mail_id=mail_id)
    if row is None or prepared is None:
        return Result({"status": "nothing_to_send"})
    rendered = render(prepared.mail, public_url=runtime.public_url, token=prepared.token, language=row.language)
    try:
        runtime.mailer.send(
            Envelope(to=row.recipient, rendered=rendered, id=str(mail_id)),
            before_text=lambda: _mark_sending(runtime, mail_id),
        )
    except _TakenError:
        return Result({"status": "nothing_to_send"})
    except MailError as error:
        return _not_sent(runtime, row, error)

    def publish(tx: Transaction) -> dict[str, Any]:
        outbox.mark_sent(tx, mail_id=mail_id)
        return {"status": "sent", "mail": row.kind}

    return publish


def _prepare(tx: Transaction, row: MailRow, *, now: datetime) -> Prepared | None:
    mail = from_payload(row.payload)
    return links.prepare(tx, mail, recipient=row.recipient, user_id=row.user_id, now=now)


def _mark_sending(runtime: Runtime, mail_id: UUID) -> None:
    with runtime.database.transaction(SERVICE) as tx:
        if not outbox.mark_sending(tx, mail_id=mail_id):
            raise _TakenError


def _not_sent(runtime: Runtime, row: MailRow, error: MailError) -> Publish:
    log.warning("mail_not_sent", mail_id=str(row.id), mail=row.kind, error=str(error), sends=row.attempts + 1)

    def publish(tx: Transaction) -> dict[str, Any]:
        if isinstance(error, MailRefusedError | MailUncertainError):
            outbox.give_up(tx, mail_id=row.id, is_uncertain=isinstance(error, MailUncertainError), error=str(error))
            return {"status": "given_up", "error": str(error)}
        waits = outbox.postpone(tx, row, error=str(error), now=runtime.clock())
        return {"status": "waiting" if waits else "given_up", "error": str(error)}

    return publish


MAIL: Mapping[str, Work] = {"send_mail": send_mail}
