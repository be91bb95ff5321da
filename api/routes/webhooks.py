"""`/api/webhooks`: addresses that get events, and the log of deliveries."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Response, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from api.deps import Deps
from api.http.idempotency import answer_once
from api.http.request import ApiRequest
from api.schemas.answers import Answer, Done, Items
from api.schemas.fields import DEFAULT_LIMIT, CursorParameter, Limit
from api.schemas.webhooks import (
    DeliveryStatus,
    DeliveryView,
    NewWebhookView,
    WebhookRequest,
    WebhookView,
    delivery_view,
    new_webhook_view,
    webhook_view,
)
from api.threads import calls_outside
from db.connection import Transaction
from services.paging import decode_time_cursor
from services.webhooks import service as webhooks


@post("", status_code=201)
@calls_outside
def create_webhook(
    data: JSONBody[WebhookRequest], request: ApiRequest, deps: NamedDependency[Deps]
) -> Response[Answer[NewWebhookView]]:
    """Send events to an address. The secret that signs them is shown in this answer only."""
    deps.fetcher.check(data.url)

    def work(tx: Transaction) -> NewWebhookView:
        made, secret = webhooks.create(tx, user_id=request.user.user_id, url=data.url, events=list(data.events))
        return new_webhook_view(made, secret)

    def replay(tx: Transaction, first: dict[str, Any]) -> NewWebhookView:
        made = webhooks.get(tx, user_id=request.user.user_id, webhook_id=UUID(first["id"]))
        return new_webhook_view(made, None)

    return answer_once(deps, request, work, replayed=replay)


@get("", sync_to_thread=True)
def list_webhooks(
    request: ApiRequest, deps: NamedDependency[Deps], limit: Limit = DEFAULT_LIMIT, cursor: CursorParameter = None
) -> Answer[Items[WebhookView]]:
    """List webhooks, newest first."""
    position = decode_time_cursor(cursor)
    with deps.database.transaction(request.user.identity) as tx:
        page = webhooks.list_webhooks(tx, user_id=request.user.user_id, limit=limit, cursor=position)
    return Answer(data=Items(items=[webhook_view(row) for row in page.items], next_cursor=page.next_cursor))


@get("/{webhook_id:uuid}", sync_to_thread=True)
def get_webhook(webhook_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[WebhookView]:
    """Show a webhook and its state."""
    with deps.database.transaction(request.user.identity) as tx:
        return Answer(data=webhook_view(webhooks.get(tx, user_id=request.user.user_id, webhook_id=webhook_id)))


@delete("/{webhook_id:uuid}", sync_to_thread=True, status_code=200)
def delete_webhook(webhook_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Done]:
    """Delete a webhook with its log; pending deliveries are dropped."""
    with deps.database.transaction(request.user.identity) as tx:
        webhooks.delete(tx, user_id=request.user.user_id, webhook_id=webhook_id)
    return Answer(data=Done(status="deleted"))


@post("/{webhook_id:uuid}/enable", sync_to_thread=True, status_code=200)
def enable_webhook(webhook_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[WebhookView]:
    """Enable a disabled webhook again."""
    with deps.database.transaction(request.user.identity) as tx:
        return Answer(data=webhook_view(webhooks.enable(tx, user_id=request.user.user_id, webhook_id=webhook_id)))


@post("/{webhook_id:uuid}/test", sync_to_thread=True, status_code=202)
def test_webhook(
    webhook_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]
) -> Response[Answer[DeliveryView]]:
    """Send a `webhook.test` event to a webhook."""

    def work(tx: Transaction) -> DeliveryView:
        return delivery_view(webhooks.send_test(tx, user_id=request.user.user_id, webhook_id=webhook_id))

    return answer_once(deps, request, work, status=202)


@get("/{webhook_id:uuid}/deliveries", sync_to_thread=True)
def list_deliveries(  # noqa: PLR0913, PLR0917 - one per parameter of the query
    webhook_id: FromPath[UUID],
    request: ApiRequest,
    deps: NamedDependency[Deps],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorParameter = None,
    status: Annotated[DeliveryStatus | None, QueryParameter(description="Only those in this state.")] = None,
) -> Answer[Items[DeliveryView]]:
    """List the deliveries of a webhook in the last 30 days, newest first."""
    position = decode_time_cursor(cursor)
    with deps.database.transaction(request.user.identity) as tx:
        page = webhooks.list_deliveries(
            tx, user_id=request.user.user_id, webhook_id=webhook_id, limit=limit, cursor=position, status=status
        )
    return Answer(data=Items(items=[delivery_view(row) for row in page.items], next_cursor=page.next_cursor))


@post("/{webhook_id:uuid}/deliveries/{delivery_id:uuid}/replay", sync_to_thread=True, status_code=202)
def replay_delivery(
    webhook_id: FromPath[UUID], delivery_id: FromPath[UUID], request: ApiRequest, deps: NamedDependency[Deps]
) -> Response[Answer[DeliveryView]]:
    """Send an ended delivery's event again, as a new delivery."""

    def work(tx: Transaction) -> DeliveryView:
        return delivery_view(
            webhooks.replay(tx, user_id=request.user.user_id, webhook_id=webhook_id, delivery_id=delivery_id)
        )

    return answer_once(deps, request, work, status=202)


webhooks_router = Router(
    "/api/webhooks",
    route_handlers=[
        create_webhook,
        list_webhooks,
        get_webhook,
        delete_webhook,
        enable_webhook,
        test_webhook,
        list_deliveries,
        replay_delivery,
    ],
    tags=["Webhooks"],
)
