"""Sends webhooks: one request for each job; a retry is another job."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlsplit

import structlog

from db.connection import SERVICE
from services.errors import DomainError, UnavailableError
from services.jobs.payload import DeliverWebhookPayload, MailWebhookDisabledPayload, payload_of
from services.mail.message import WebhookDisabled
from services.mail.render import render
from services.mail.transport import Envelope, MailError
from services.webhooks import delivery as deliveries
from services.webhooks import service as webhooks
from services.webhooks.delivery import DeliveryError, Outcome, Outgoing
from workers.attempt import Attempt
from workers.completer import Publish, Result
from workers.execution import Work
from workers.runtime import Runtime

log = structlog.get_logger(__name__)


def deliver_webhook(runtime: Runtime, attempt: Attempt) -> Publish:
    """Send one delivery once. If the receiver fails, the job still succeeds and queues the next attempt."""
    delivery_id = payload_of(attempt.job, DeliverWebhookPayload).delivery_id
    with runtime.database.transaction(SERVICE) as tx:
        outgoing = deliveries.begin(tx, delivery_id=delivery_id, now=datetime.now(UTC), random=runtime.random())
    if outgoing is None:
        return Result({"status": "ended"})
    outcome = _send(runtime, attempt, outgoing)
    delivery = outgoing.delivery
    log.info(
        "webhook_sent",
        delivery_id=str(delivery.id),
        webhook_id=str(delivery.webhook_id),
        event_type=delivery.event_type,
        clip_id=str(delivery.clip_id) if delivery.clip_id else None,
        delivery_attempt=outgoing.attempt,
        status=outcome.status,
        error=outcome.error and outcome.error.code,
        duration_ms=outcome.duration_ms,
    )
    return lambda tx: {
        "status": deliveries.finish(
            tx, outgoing=outgoing, outcome=outcome, now=datetime.now(UTC), random=runtime.random()
        ),
        "response_status": outcome.status,
        "attempt": outgoing.attempt,
    }


def mail_webhook_disabled(runtime: Runtime, attempt: Attempt) -> Publish:
    """Mail the owner of a disabled webhook, unless it has been enabled again."""
    with runtime.database.transaction(SERVICE) as tx:
        notice = webhooks.find_notice(tx, webhook_id=payload_of(attempt.job, MailWebhookDisabledPayload).webhook_id)
    if notice is None:
        return Result({"sent": False})
    try:
        disabled = WebhookDisabled(host=urlsplit(notice.url).netloc, reason=notice.reason)
        rendered = render(disabled, public_url=runtime.public_url, language=notice.language)
        letter = Envelope(to=notice.email, rendered=rendered)
        attempt.wait_for(partial(runtime.mailer.send, letter))
    except MailError as error:
        raise UnavailableError(str(error)) from error
    return Result({"sent": True})


WEBHOOK: Mapping[str, Work] = {
    "deliver_webhook": deliver_webhook,
    "mail_webhook_disabled": mail_webhook_disabled,
}


def _send(runtime: Runtime, attempt: Attempt, outgoing: Outgoing) -> Outcome:
    """Send it; a refused or silent address is an outcome, not an error."""
    began_s = time.monotonic()
    headers = outgoing.headers(now=datetime.now(UTC))
    try:
        answer = attempt.wait_for(partial(runtime.fetcher.post, outgoing.url, outgoing.body, headers))
    except DomainError as error:
        code = "unreachable" if error.retryable else "address_refused"
        return Outcome(duration_ms=_elapsed_ms(began_s), error=DeliveryError(code=code, message=error.message))
    return Outcome(
        duration_ms=_elapsed_ms(began_s),
        status=answer.status,
        excerpt=answer.excerpt,
        retry_after_s=answer.retry_after_s,
    )


def _elapsed_ms(began_s: float) -> int:
    return round((time.monotonic() - began_s) * 1000)
