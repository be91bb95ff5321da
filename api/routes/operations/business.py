"""`/api/ops`: users, grants, Stripe's events and the figures of the business."""

from typing import Annotated, Literal
from uuid import UUID

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from api.auth import operators_only
from api.deps import Deps
from api.http.request import ApiRequest
from api.limits.metering import UNMETERED
from api.routes.operations.ops import operator_of
from api.schemas.answers import Answer, Items
from api.schemas.billing import usage_item_view
from api.schemas.fields import DEFAULT_LIMIT, CursorParameter, Limit
from api.schemas.operations.business import (
    FiguresView,
    GrantRequest,
    OperatorUserDetailView,
    OperatorUserView,
    StripeEventView,
    figures_view,
    operator_user_detail_view,
    operator_user_view,
    stripe_event_view,
)
from db import stripe_events as event_rows
from db.connection import SERVICE
from db.stripe_events import EventStatus
from services.billing import quota as quotas
from services.operations import business
from services.paging import decode_time_cursor

Words = Annotated[
    str | None, QueryParameter(min_length=1, max_length=254, description="A part of address or name, or an id.")
]
TierParameter = Annotated[Literal["free", "premium", "pro"] | None, QueryParameter(description="In force now.")]
StatusParameter = Annotated[str | None, QueryParameter(max_length=30, description="Of the subscription.")]
StatusOfEvent = Annotated[EventStatus | None, QueryParameter()]
Kind = Annotated[str | None, QueryParameter(max_length=100, description="Such as invoice.paid.")]


@get("/users", sync_to_thread=True)
def search_users(  # noqa: PLR0913, PLR0917 - one per parameter of the request
    deps: NamedDependency[Deps],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorParameter = None,
    q: Words = None,
    tier: TierParameter = None,
    status: StatusParameter = None,
) -> Answer[Items[OperatorUserView]]:
    """Find users by address, name, id or customer, newest first."""
    position = decode_time_cursor(cursor)
    with deps.database.transaction(SERVICE) as tx:
        page = business.search_users(tx, limit=limit, cursor=position, q=q, tier=tier, status=status)
    return Answer(data=Items(items=[operator_user_view(row) for row in page.items], next_cursor=page.next_cursor))


@get("/users/{user_id:uuid}", sync_to_thread=True)
def get_user(user_id: FromPath[UUID], deps: NamedDependency[Deps]) -> Answer[OperatorUserDetailView]:
    """Show a user with usage, payments and events."""
    with deps.database.transaction(SERVICE) as tx:
        row, payments, events = business.get_user(tx, user_id=user_id)
        _, usage = quotas.usage(tx, user_id=user_id, now=deps.clock())
    view = operator_user_detail_view(
        row, usage=[usage_item_view(each) for each in usage], payments=payments, events=events
    )
    return Answer(data=view)


@post("/users/{user_id:uuid}/grant", sync_to_thread=True, status_code=200)
def grant(
    user_id: FromPath[UUID], data: JSONBody[GrantRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Answer[OperatorUserView]:
    """Grant a user a tier for a time, with a reason for the audit log; `free` revokes the grant."""
    with deps.database.transaction(SERVICE) as tx:
        row = business.grant(
            tx,
            operator_of(request.user),
            user_id=user_id,
            tier=data.tier,
            until=data.until,
            reason=data.reason,
            now=deps.clock(),
        )
    return Answer(data=operator_user_view(row))


@get("/stripe-events", sync_to_thread=True)
def list_stripe_events(
    deps: NamedDependency[Deps],
    limit: Limit = DEFAULT_LIMIT,
    before: Annotated[str | None, QueryParameter(max_length=200, description="Events before this id.")] = None,
    kind: Kind = None,
    status: StatusOfEvent = None,
) -> Answer[Items[StripeEventView]]:
    """Show Stripe's events, newest first, with the outcome of each."""
    with deps.database.transaction(SERVICE) as tx:
        position = event_rows.find_position(tx, event_id=before) if before else None
        found = event_rows.list_events(tx, limit=limit, before=position, kind=kind, status=status)
    following = found[-1].id if len(found) == limit else None
    return Answer(data=Items(items=[stripe_event_view(event) for event in found], next_cursor=following))


@post("/stripe-events/{event_id:str}/replay", sync_to_thread=True, status_code=202)
def replay_stripe_event(
    event_id: FromPath[str], request: ApiRequest, deps: NamedDependency[Deps]
) -> Answer[StripeEventView]:
    """Fetch the subject of this event from Stripe again; 409 for an event without effect."""
    with deps.database.transaction(SERVICE) as tx:
        event = business.replay_event(tx, operator_of(request.user), event_id=event_id)
    return Answer(data=stripe_event_view(event))


@get("/figures", sync_to_thread=True)
def get_figures(deps: NamedDependency[Deps]) -> Answer[FiguresView]:
    """Show the figures of the business."""
    with deps.database.transaction(SERVICE) as tx:
        return Answer(data=figures_view(business.figures(tx)))


business_router = Router(
    "/api/ops",
    route_handlers=[search_users, get_user, grant, list_stripe_events, replay_stripe_event, get_figures],
    guards=[operators_only],
    opt={UNMETERED: True},
    tags=["Operators"],
)
