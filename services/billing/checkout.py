"""Opening a checkout: one customer per user, one subscription per customer, one trial per user."""

from collections.abc import Collection
from urllib.parse import urlsplit
from uuid import UUID

from db import billing as rows
from db.billing import Subscription
from db.connection import SERVICE
from services.billing import sync as syncing
from services.billing.gateway.call import MissingAtStripeError
from services.billing.gateway.remote import CheckoutSession
from services.billing.sync import Billing, Lease
from services.errors import ConflictError, InvalidFieldError

TRIAL_DAYS = 7
PAID_TIERS = ("premium", "pro")
MAX_URL_LENGTH = 2000
SESSION_PLACEHOLDER = "{CHECKOUT_SESSION_ID}"
DEFAULT_PORTS = {"http": 80, "https": 443}


class AlreadySubscribedError(ConflictError):
    """There is a subscription; it is changed, not bought again."""

    code = "already_subscribed"


def trial_available(found: Subscription) -> bool:
    """Return whether a user's next checkout begins with a trial."""
    return found.trial_used_at is None and found.trial_refused_at is None


def open_checkout(  # noqa: PLR0913 - keyword-only, as every use case
    billing: Billing, *, user_id: UUID, email: str, tier: str, success_url: str, cancel_url: str
) -> CheckoutSession:
    """Open a checkout page and expire the user's other ones.

    InvalidFieldError for a tier that cannot be bought; AlreadySubscribedError; UnavailableError if Stripe is down.
    """
    if tier not in PAID_TIERS:
        raise InvalidFieldError("tier", f"Choose one of {' and '.join(PAID_TIERS)}.")
    with syncing.holding(billing, user_id=user_id) as lease:
        customer_id = _customer(billing, lease, email)
        try:
            return _open(billing, lease, customer_id, tier=tier, success_url=success_url, cancel_url=cancel_url)
        except MissingAtStripeError:
            # The customer was deleted at Stripe, or is of the other mode: start over with a new one.
            customer_id = _new_customer(billing, lease, email, previous=customer_id)
            return _open(billing, lease, customer_id, tier=tier, success_url=success_url, cancel_url=cancel_url)


def check_return_url(field: str, url: str, *, allowed: Collection[str]) -> str:
    """Return an address that Stripe may send people back to; InvalidFieldError when it is not on an allowed origin."""
    origin = _origin(url)
    if origin is None or len(url) > MAX_URL_LENGTH or origin not in {_origin(each) for each in allowed}:
        raise InvalidFieldError(field, f"{field} must be an address below {next(iter(allowed))}/.")
    return url


def with_session_id(url: str) -> str:
    """Return a success address that tells the page the id of the session."""
    if SESSION_PLACEHOLDER in url:
        return url
    base, mark, fragment = url.partition("#")
    return f"{base}{'&' if '?' in base else '?'}session_id={SESSION_PLACEHOLDER}{mark}{fragment}"


def _open(  # noqa: PLR0913 - as its caller
    billing: Billing, lease: Lease, customer_id: str, *, tier: str, success_url: str, cancel_url: str
) -> CheckoutSession:
    found = billing.gateway.fetch(customer_id)
    if syncing.live(billing, found):
        syncing.sync_held(billing, lease)
        raise AlreadySubscribedError("You have a subscription already; change it instead of buying another.")
    billing.gateway.close_checkouts(customer_id)
    is_trial = trial_available(syncing.load(billing, lease.user_id)) and not any(
        each.trial_end for each in found.subscriptions
    )
    session = billing.gateway.create_checkout(
        customer_id=customer_id,
        user_id=str(lease.user_id),
        tier=tier,
        success_url=with_session_id(success_url),
        cancel_url=cancel_url,
        trial_days=TRIAL_DAYS if is_trial else 0,
    )
    with billing.database.transaction(SERVICE) as tx:
        rows.insert_checkout(tx, session_id=session.id, user_id=lease.user_id, tier=tier)
    return session


def _customer(billing: Billing, lease: Lease, email: str) -> str:
    known = syncing.load(billing, lease.user_id).stripe_customer_id
    return known or _new_customer(billing, lease, email, previous=None)


def _new_customer(billing: Billing, lease: Lease, email: str, *, previous: str | None) -> str:
    """Make a customer and store it before it is used."""
    made = billing.gateway.create_customer(user_id=str(lease.user_id), email=email, previous=previous)
    with billing.database.transaction(SERVICE) as tx:
        rows.set_customer(tx, user_id=lease.user_id, customer_id=made, previous=previous)
    return made


def _origin(url: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port; None unless it is a plain http(s) address."""
    if not url.isprintable() or "\\" in url or " " in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port
