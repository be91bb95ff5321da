"""The outbox: mails are queued in the transaction that causes them, and sent once by a job, with retries.

`enqueue` writes a row with its job; the row's unique key prevents a second mail. The job marks the row `sending` when
the mail server has accepted the recipient, before it sends the text. A mail whose outcome is unknown is then found
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
"""Pauses between attempts: a mail server that is down for a day loses nothing (RFC 5321, 4.5.4.1)."""
KEEP_DAYS = 90
"""Longer than the same mail can be queued again, such as one about an invoice that is retried for weeks."""


def enqueue(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction,
    mail: Mail,
    *,
    recipient: str,
    unique_key: str,
    user_id: UUID | None = None,
    language: Language = DEFAULT,
) -> UUID | None:
    """Queue a mail, which is sent once this transaction commits, and return its id (service transaction).

    None if a mail with this key was queued before, whatever its outcome. The key names the occasion, such as an invoice
    and its attempt. `user_id` is the account that the mail is about; the row is deleted with it. Accounts get mails in
    their own language, others in `language`.
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
    """Return a mail to send now; None if it was sent, given up or deleted (service transaction).

    A mail that an earlier attempt sent without storing the answer is given up as `uncertain`.
    """
    mail = rows.lock_mail(tx, mail_id=mail_id)
    if mail is not None and mail.status == "sending":
        rows.finish(tx, mail_id=mail_id, status="uncertain", error="The process died while it sent this mail.")
        return None
    return mail if mail is not None and mail.status == "queued" else None


def mark_sending(tx: Transaction, *, mail_id: UUID) -> bool:
    """Mark a mail as `sending`; False if another attempt was first (service transaction)."""
    return rows.mark_sending(tx, mail_id=mail_id)


def mark_sent(tx: Transaction, *, mail_id: UUID) -> None:
    """Mark a mail as sent (service transaction)."""
    rows.finish(tx, mail_id=mail_id, status="sent")


def drop(tx: Transaction, *, mail_id: UUID) -> None:
    """Give up a mail that has become pointless (service transaction)."""
    rows.finish(tx, mail_id=mail_id, status="dropped")


def give_up(tx: Transaction, *, mail_id: UUID, is_uncertain: bool, error: str) -> None:
    """Give up a mail that was rejected, or whose outcome is unknown (service transaction)."""
    rows.finish(tx, mail_id=mail_id, status="uncertain" if is_uncertain else "failed", error=error)


def postpone(tx: Transaction, mail: MailRow, *, error: str, now: datetime) -> bool:
    """Retry a mail later that was certainly not accepted; False if it was given up after a day."""
    attempts = mail.attempts + 1
    if attempts > len(PAUSES):
        rows.finish(tx, mail_id=mail.id, status="failed", error=error)
        return False
    rows.postpone(tx, mail_id=mail.id, attempts=attempts, error=error)
    _queue(tx, mail.id, run_at=now + PAUSES[attempts - 1])
    return True


def prune(tx: Transaction, *, limit: int) -> int:
    """Delete old mails; return how many (service transaction)."""
    return rows.prune_mails(tx, days=KEEP_DAYS, limit=limit)


def _queue(tx: Transaction, mail_id: UUID, *, run_at: datetime | None = None) -> None:
    # A job of the system: it takes no turns from the owner's jobs.
    jobs.enqueue(tx, kind="send_mail", user_id=None, payload=SendMailPayload(mail_id=mail_id), run_at=run_at)
