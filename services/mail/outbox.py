"""Mail is asked for in the transaction that it is about, and sent by a job: retried, and never twice.

`enqueue` writes a row with its job; the row's unique key makes asking twice harmless. A job marks the row `sending`
after the mail server has accepted the recipient and before it gets the text, so a mail whose fate nobody knows is found
`sending` and not sent again.
"""

from datetime import datetime, timedelta
from uuid import UUID

from db import mails as rows
from db.connection import Transaction
from db.mails import MailRow
from services.jobs import service as jobs
from services.jobs.payload import SendMailPayload
from services.language import DEFAULT, Language
from services.mail.message import Mail, kind_of, to_payload

__all__ = ["MailRow"]

PAUSES = (
    *(timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15), timedelta(minutes=30)),
    *(timedelta(hours=hours) for hours in (1, 2, 4, 8, 8)),
)
"""Between attempts: a mail server that is away for a day loses nothing (RFC 5321, 4.5.4.1 asks for some days)."""
KEEP_DAYS = 90
"""Longer than anybody asks for the same mail again, such as one about an invoice that is retried for weeks."""


def enqueue(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction,
    mail: Mail,
    *,
    recipient: str,
    unique_key: str,
    user_id: UUID | None = None,
    language: Language = DEFAULT,
) -> UUID | None:
    """Have a mail sent once this transaction commits, and return its id (service transaction).

    None when a mail with this key was asked for before, whatever became of it. The key names the occasion: an invoice
    and its attempt, an export. `user_id` is whose account it is about: the row goes with the account.
    An account is written to in its own language, and anybody else in `language`.
    """
    mail_id = rows.insert_mail(
        tx,
        user_id=user_id,
        kind=kind_of(mail),
        recipient=recipient,
        payload=to_payload(mail),
        unique_key=unique_key,
        language=language,
    )
    if mail_id is not None:
        _queue(tx, mail_id)
    return mail_id


def claim(tx: Transaction, *, mail_id: UUID) -> MailRow | None:
    """Return a mail that is to be sent now; None when it was sent or given up, or is gone (service transaction).

    One that an earlier attempt handed over without writing down the answer is given up as `uncertain`.
    """
    mail = rows.lock_mail(tx, mail_id=mail_id)
    if mail is not None and mail.status == "sending":
        rows.finish(tx, mail_id=mail_id, status="uncertain", error="The process died while it sent this mail.")
        return None
    return mail if mail is not None and mail.status == "queued" else None


def mark_sending(tx: Transaction, *, mail_id: UUID) -> bool:
    """Note that a mail is about to be handed over; False when another attempt was first (service transaction)."""
    return rows.mark_sending(tx, mail_id=mail_id)


def mark_sent(tx: Transaction, *, mail_id: UUID) -> None:
    """Note that the mail server took a mail (service transaction)."""
    rows.finish(tx, mail_id=mail_id, status="sent")


def drop(tx: Transaction, *, mail_id: UUID) -> None:
    """Give up a mail that there is no reason for any more (service transaction)."""
    rows.finish(tx, mail_id=mail_id, status="dropped")


def give_up(tx: Transaction, *, mail_id: UUID, is_uncertain: bool, error: str) -> None:
    """Give up a mail that was refused for good, or whose fate nobody knows (service transaction)."""
    rows.finish(tx, mail_id=mail_id, status="uncertain" if is_uncertain else "failed", error=error)


def postpone(tx: Transaction, mail: MailRow, *, error: str, now: datetime) -> bool:
    """Try a mail again later that was certainly not taken; False when a day has passed and it was given up."""
    attempts = mail.attempts + 1
    if attempts > len(PAUSES):
        rows.finish(tx, mail_id=mail.id, status="failed", error=error)
        return False
    rows.postpone(tx, mail_id=mail.id, attempts=attempts, error=error)
    _queue(tx, mail.id, run_at=now + PAUSES[attempts - 1])
    return True


def prune(tx: Transaction, *, limit: int) -> int:
    """Forget mails of long ago; return how many (service transaction)."""
    return rows.prune_mails(tx, days=KEEP_DAYS, limit=limit)


def _queue(tx: Transaction, mail_id: UUID, *, run_at: datetime | None = None) -> None:
    # The system's own work: it takes no turns of its owner's, and outlives nothing that the row does not.
    jobs.enqueue(tx, kind="send_mail", user_id=None, payload=SendMailPayload(mail_id=mail_id), run_at=run_at)
