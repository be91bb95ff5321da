"""Calls to Stripe: makes the SDK's client, and turns its errors into ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import stripe
import structlog

from db.connection import forbid_in_transaction
from services.errors import ConflictError, UnavailableError

TIMEOUT_S = 20.0
RETRIES = 2
PAGE = 100
PORTAL_MARK = "snuggles"
"""The metadata by which `snuggles stripe-setup` and the service find the portal's configuration."""

log = structlog.get_logger(__name__)


class PaymentDeclinedError(ConflictError):
    """The bank did not accept the payment; nothing was changed."""

    code = "payment_declined"


class MissingAtStripeError(ConflictError):
    """Stripe does not know the object: it was deleted, or belongs to the other mode."""

    code = "missing_at_stripe"


def open_client(
    secret_key: str, *, api_base: str | None, http_client: stripe.HTTPClient | None = None
) -> stripe.StripeClient:
    """Return a client of Stripe, or of the server at `api_base`."""
    addresses: Any = {"api": api_base.rstrip("/")} if api_base else {}
    return stripe.StripeClient(
        secret_key,
        base_addresses=addresses,
        max_network_retries=RETRIES,
        http_client=http_client or stripe.RequestsClient(timeout=TIMEOUT_S),
    )


def find_portal_configuration(client: stripe.StripeClient) -> str | None:
    """Return the id of the portal's configuration that the set-up made, or None."""
    for found in client.v1.billing_portal.configurations.list({"active": True, "limit": PAGE}).auto_paging_iter():
        if found.metadata is not None and found.metadata.to_dict().get(PORTAL_MARK):
            return found.id
    return None


@contextmanager
def calling() -> Iterator[None]:
    """Run a call with no transaction open, and turn the SDK's errors into ours.

    Stripe's messages about cards are meant for people; others go to the log.
    """
    forbid_in_transaction("Stripe")
    try:
        yield
    except stripe.CardError as error:
        raise PaymentDeclinedError(
            error.user_message or "The card was declined.", decline_code=getattr(error, "code", None)
        ) from error
    except stripe.InvalidRequestError as error:
        if error.code == "resource_missing":
            raise MissingAtStripeError(error.user_message or "Stripe does not know this object.") from error
        log.error(  # noqa: TRY400 - the trace adds nothing to these fields
            "stripe_refused", error=error.user_message, param=error.param, code=error.code
        )
        raise UnavailableError(
            "Stripe refused the request; the operator finds the reason in the log.", reason="stripe"
        ) from error
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        log.error("stripe_key_refused", error=type(error).__name__)  # noqa: TRY400 - the trace would show the key
        raise UnavailableError(
            "Stripe refused our key; the operator finds the reason in the log.", reason="stripe"
        ) from None
    except stripe.StripeError as error:
        log.warning("stripe_unavailable", error=type(error).__name__, status=error.http_status)
        raise UnavailableError("Stripe does not answer; try again in a moment.", reason="stripe") from error
