"""`/api/subscription`: tiers, usage and the user's own subscription."""

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from api.deps import Deps
from api.http.request import ApiRequest
from api.limits.metering import UNMETERED
from api.schemas.answers import Answer, Items
from api.schemas.billing import (
    CheckQuotaRequest,
    CheckQuotaView,
    TierView,
    UsageView,
    check_view,
    tier_view,
    usage_item_view,
)
from services.billing import quota as quotas
from services.billing import tier as tiers

TRIAL_DAYS = 7


@get("/tiers", sync_to_thread=True)
def list_tiers(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[Items[TierView]]:
    """List the tiers, cheapest first."""
    with deps.database.transaction(request.user.identity) as tx:
        current = tiers.tier_of(tx, user_id=request.user.user_id)
        found = tiers.list_tiers(tx)
    items = [tier_view(tier, trial_days=TRIAL_DAYS, current=current.name) for tier in found]
    return Answer(data=Items(items=items))


@get("/usage", opt={UNMETERED: True}, sync_to_thread=True)
def get_usage(request: ApiRequest, deps: NamedDependency[Deps]) -> Answer[UsageView]:
    """Show what is used and left of everything that the tier includes. Asking is not counted as an API call."""
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
    """Say whether an amount of a feature would be allowed now, without reserving it."""
    with deps.database.transaction(request.user.identity) as tx:
        check = quotas.check(
            tx, user_id=request.user.user_id, feature=data.feature, amount=data.amount, now=deps.clock()
        )
    return Answer(data=check_view(check))


billing_router = Router("/api/subscription", route_handlers=[list_tiers, get_usage, check_quota], tags=["Subscription"])
