"""Mails that a request asks for: queued for a worker, or without a mail server logged at once."""

from uuid import UUID, uuid4

from api.deps import Deps
from api.limits import rate_limit
from db.connection import SERVICE, Transaction
from services.accounts import link as links
from services.language import DEFAULT, Language
from services.mail import outbox
from services.mail.message import Mail, kind_of
from services.mail.render import render
from services.mail.transport import Envelope


def may_mail(deps: Deps, recipient: str) -> bool:
    """Count a mail to an address; False after too many within the hour, which no answer may reveal."""
    return deps.limits.allows(rate_limit.MAIL, recipient)


def queue(
    tx: Transaction, mail: Mail, *, recipient: str, user_id: UUID | None = None, language: Language = DEFAULT
) -> None:
    """Send a mail once the transaction commits."""
    outbox.enqueue(
        tx,
        mail,
        recipient=recipient,
        unique_key=f"{kind_of(mail)}/{uuid4()}",
        user_id=user_id,
        language=language,
    )


def send_link(deps: Deps, mail: Mail, *, recipient: str, user_id: UUID | None = None, language: Language) -> None:
    """Send a mail with a link.

    Takes the same time whether or not the address is known: with a mail server, only the worker looks it up.
    """
    prepared = None
    with deps.database.transaction(SERVICE) as tx:
        if deps.settings.smtp_url:
            queue(tx, mail, recipient=recipient, user_id=user_id, language=language)
        else:
            prepared = links.prepare(tx, mail, recipient=recipient, user_id=user_id, now=deps.clock())
    if prepared is not None:
        rendered = render(prepared.mail, public_url=deps.settings.public_url, token=prepared.token, language=language)
        deps.mailer.send(Envelope(to=recipient, rendered=rendered))
