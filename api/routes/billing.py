"""`/api/subscription`: tiers, usage, and buying, changing and ending a subscription."""

from collections.abc import Callable
from uuid import UUID

from litestar import Router, get, post
from litestar.concurrency import sync_to_thread
from litestar.di import NamedDependency
from litestar.params import JSONBody

from api.auth import PUBLIC, SESSION_COOKIE, authenticate, people_only
from api.deps import Deps
from api.http.request import ApiRequest
from api.limits.metering import UNMETERED
from api.schemas.answers import Answer, Items
from api.schemas.billing import (
    ChangeRequest,
    CheckoutRequest,
    CheckoutView,
    CheckQuotaRequest,
    CheckQuotaView,
    CurrentView,
    PaymentView,
    PortalRequest,
    PortalView,
    ReceivedView,
    SyncRequest,
    TierView,
    UsageView,
    check_view,
    current_view,
    payment_view,
    tier_view,
    usage_item_view,
)
from api.schemas.fields import DEFAULT_LIMIT, CursorParameter, Limit
from db import billing as rows
from db.connection import SERVICE, Identity, user_identity
from services.billing import checkout as checkouts
from services.billing import quota as quotas
from services.billing import stripe_event as stripe_events
from services.billing import subscription as subscriptions
from services.billing import sync as syncing
from services.billing import tier as tiers
from services.billing.stripe_event import MAX_BODY_BYTES
from services.billing.sync import Billing
from services.errors import BillingNotConfiguredError
from services.paging import decode_time_cursor, page_of


@get("/tiers", opt={PUBLIC: True}, sync_to_thread=True)
def list_tiers(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Items[TierView]]:
    """List the tiers, cheapest first; needs no login. With credentials, the caller's tier is marked."""
    user_id = _optional_user(request, deps)
    with deps.database.transaction(Identity(role="anon")) as tx:
        found = tiers.list_tiers(tx)
    current = None
    if user_id is not None:
        with deps.database.transaction(user_identity(user_id)) as tx:
            current = syncing.find(tx, user_id=user_id)
    days = checkouts.TRIAL_DAYS if current is None or checkouts.trial_available(current) else 0
    name = current.tier_in_force if current else None
    return Answer(data=Items(items=[tier_view(tier, trial_days=days, current=name) for tier in found]))


@get("/usage", opt={UNMETERED: True}, sync_to_thread=True)
def get_usage(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[UsageView]:
    """Show the used and remaining part of each allowance. This is not counted as an API call."""
    with deps.database.transaction(request.user.identity) as tx:
        tier, found = quotas.usage(tx, user_id=request.user.user_id, now=deps.clock())
    return Answer(
        data=UsageView(
            tier=tier.name,
            items=[usage_item_view(usage) for usage in found],
            abilities={ability: tier.allows(ability) for ability in tiers.ABILITIES},
            limits=tier.all_limits(),
            upgrade_url=tiers.UPGRADE_URL,
        )
    )


@post("/check-quota", sync_to_thread=True, status_code=200)
def check_quota(
    data: JSONBody[CheckQuotaRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Answer[CheckQuotaView]:
    """Return whether an amount of a feature would be allowed now, without reserving it."""
    with deps.database.transaction(request.user.identity) as tx:
        check = quotas.check(
            tx, user_id=request.user.user_id, feature=data.feature, amount=data.amount, now=deps.clock()
        )
    return Answer(data=check_view(check))


@get("/current", opt={UNMETERED: True}, sync_to_thread=True)
def get_current(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[CurrentView]:
    """Show the user's own subscription, and the notice about it that every page should show."""
    return _current(deps, request.user.user_id)


@get("/payment-history", sync_to_thread=True)
def list_payments(
    request: ApiRequest, deps: NamedDependency[Deps], limit: Limit = DEFAULT_LIMIT, cursor: CursorParameter = None
) -> Answer[Items[PaymentView]]:
    """List payments, newest first."""
    position = decode_time_cursor(cursor)
    with deps.database.transaction(request.user.identity) as tx:
        found = rows.list_payments(tx, user_id=request.user.user_id, limit=limit + 1, before=position)
    page = page_of(found, limit, [(row.payment_date, row.id) for row in found])
    return Answer(data=Items(items=[payment_view(row) for row in page.items], next_cursor=page.next_cursor))


@post("/checkout", guards=[people_only], sync_to_thread=True, status_code=200)
def open_checkout(
    data: JSONBody[CheckoutRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Answer[CheckoutView]:
    """Open Stripe's page for buying a tier, with a trial for users who have had none."""
    billing = _billing(deps)
    session = checkouts.open_checkout(
        billing,
        user_id=request.user.user_id,
        email=request.user.user.email,
        tier=data.tier,
        success_url=_return_url(deps, "successUrl", data.successUrl),
        cancel_url=_return_url(deps, "cancelUrl", data.cancelUrl),
    )
    return Answer(data=CheckoutView(sessionId=session.id, url=session.url or ""))


@post("/portal", guards=[people_only], sync_to_thread=True, status_code=200)
def open_portal(data: JSONBody[PortalRequest], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[PortalView]:
    """Open Stripe's portal: cards, invoices, tax ids."""
    billing = _billing(deps)
    return_url = _return_url(deps, "returnUrl", data.returnUrl)
    url = subscriptions.open_portal(billing, user_id=request.user.user_id, return_url=return_url)
    return Answer(data=PortalView(url=url))


@post("/change", guards=[people_only], sync_to_thread=True, status_code=200)
def change(data: JSONBody[ChangeRequest], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[CurrentView]:
    """Change to a higher tier at once, paying the difference, or to a lower one when the period ends."""
    return _do(deps, request, lambda billing, user_id: subscriptions.change(billing, user_id=user_id, tier=data.tier))


@post("/cancel", guards=[people_only], sync_to_thread=True, status_code=200)
def cancel(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[CurrentView]:
    """Cancel the subscription at the end of its period; everything that it includes works until then."""
    return _do(deps, request, lambda billing, user_id: subscriptions.cancel(billing, user_id=user_id))


@post("/resume", guards=[people_only], sync_to_thread=True, status_code=200)
def resume(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[CurrentView]:
    """Undo a cancellation or a planned change."""
    return _do(deps, request, lambda billing, user_id: subscriptions.resume(billing, user_id=user_id))


@post("/sync", guards=[people_only], sync_to_thread=True, status_code=200)
def sync(data: JSONBody[SyncRequest], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[CurrentView]:
    """Ask Stripe for the result of a checkout, without waiting for its webhook."""
    session_id = data.sessionId
    return _do(
        deps,
        request,
        lambda billing, user_id: subscriptions.sync_session(billing, user_id=user_id, session_id=session_id),
    )


@post("/withdraw", guards=[people_only], sync_to_thread=True, status_code=200)
def withdraw(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[CurrentView]:
    """Withdraw from the contract within 14 days: it ends now, is refunded, and a mail confirms it."""
    return _do(deps, request, lambda billing, user_id: subscriptions.withdraw(billing, user_id=user_id))


@post("/webhook", opt={PUBLIC: True}, status_code=200, request_max_body_size=MAX_BODY_BYTES)
async def receive(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[ReceivedView]:
    """Accept a signed event of Stripe."""
    billing = _billing(deps)
    body = await request.body()
    await sync_to_thread(_store, deps, billing, body, request.headers.get("stripe-signature"))
    return Answer(data=ReceivedView())


def _store(deps: Deps, billing: Billing, body: bytes, header: str | None) -> None:
    try:
        with deps.database.transaction(SERVICE) as tx:
            received = stripe_events.receive(tx, billing.settings, body=body, header=header, now=deps.clock())
    except stripe_events.InvalidSignatureError:
        deps.metrics.refuse_webhook()
        raise
    deps.metrics.receive_event(received.kind, received.outcome)


def _optional_user(request: ApiRequest, deps: Deps) -> UUID | None:
    if not request.headers.get("authorization") and SESSION_COOKIE not in request.cookies:
        return None
    return authenticate(deps, request).user_id


def _billing(deps: Deps) -> Billing:
    if deps.billing is None:
        raise BillingNotConfiguredError("This service takes no payments; its operator has not configured any.")
    return deps.billing


def _return_url(deps: Deps, field: str, url: str) -> str:
    allowed = [deps.settings.public_url, *(origin for origin in deps.settings.cors_origins if origin != "*")]
    return checkouts.check_return_url(field, url, allowed=allowed)


def _do(deps: Deps, request: ApiRequest, action: Callable[[Billing, UUID], None]) -> Answer[CurrentView]:
    action(_billing(deps), request.user.user_id)
    return _current(deps, request.user.user_id)


def _current(deps: Deps, user_id: UUID) -> Answer[CurrentView]:
    now = deps.clock()
    with deps.database.transaction(SERVICE) as tx:
        found = syncing.find(tx, user_id=user_id)
        tier, usage = quotas.usage(tx, user_id=user_id, now=now)
    banner = subscriptions.banner_of(found, now=now) or subscriptions.limit_banner(usage)
    is_test = deps.billing.settings.is_test if deps.billing else None
    return Answer(data=current_view(found, tier, banner=banner, is_test=is_test, now=now))


billing_router = Router(
    "/api/subscription",
    route_handlers=[
        list_tiers,
        get_usage,
        check_quota,
        get_current,
        list_payments,
        open_checkout,
        open_portal,
        change,
        cancel,
        resume,
        sync,
        withdraw,
        receive,
    ],
    tags=["Subscription"],
)
