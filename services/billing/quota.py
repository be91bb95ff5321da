"""Quotas: reserved on request, committed on success, released on failure or cancellation.

Other subjects call `require`, `reserve`, `commit`, `release` and `limit`, in a transaction of the user or service.
"""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
from msgspec import Struct

from db import quotas as rows
from db.connection import Transaction, as_service
from db.quotas import Holder
from services.billing import tier as tiers
from services.billing.tier import ABILITIES, UNLIMITED, UPGRADE_URL, Period, Tier, tier_of
from services.errors import InvalidFieldError, QuotaExceededError

CLIPS = "clips_per_month"
CONVERSATIONS = "conversations_per_month"
MEMORIES = "memory_entries"
API_CALLS = "api_calls_per_day"
STORAGE = "storage_bytes"
MONTHLY = (CONVERSATIONS, CLIPS)
STOCKS = (MEMORIES, STORAGE)
"""Allowances without a period: they limit what exists now."""
COUNTED = (*MONTHLY, MEMORIES, API_CALLS, STORAGE)
WORDS = {
    CLIPS: "clips",
    CONVERSATIONS: "recorded conversations",
    MEMORIES: "saved moments",
    API_CALLS: "API calls",
    STORAGE: "bytes of storage",
}
NO_PERIOD = Period(start=None, end=None)


class Usage(Struct, frozen=True, kw_only=True):
    """The use of an allowance; `limit` -1 means no limit."""

    feature: str
    used: int
    reserved: int
    limit: int
    period: Period

    @property
    def remaining(self) -> int:
        """The rest of the allowance; -1 without a limit."""
        return UNLIMITED if self.limit < 0 else max(0, self.limit - self.used - self.reserved)


class Check(Struct, frozen=True, kw_only=True):
    """The answer whether an amount of a feature is allowed now."""

    allowed: bool
    feature: str
    used: int
    limit: int
    remaining: int
    resets_at: datetime | None
    upgrade_url: str


def require(tx: Transaction, *, user_id: UUID, ability: str) -> None:
    """Raise TierRequiredError unless the user's tier includes an ability, such as `room_creation`."""
    tiers.require(tier_of(tx, user_id=user_id), ability)


def limit(tx: Transaction, *, user_id: UUID, name: str) -> int:
    """Return a limit of the user's tier, such as `recording_length_s`; -1 means no limit."""
    return tier_of(tx, user_id=user_id).limit(name)


def reserve(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction,
    *,
    user_id: UUID,
    feature: str,
    job_id: UUID | None = None,
    clip_id: UUID | None = None,
    subject_id: UUID | None = None,
    amount: int = 1,
    now: datetime | None = None,
) -> None:
    """Reserve a part of an allowance for a job (and one of its clips) or another subject, such as a recording.

    Concurrent requests never exceed the allowance. Reserving twice for the same holder counts once. `memory_entries`
    and `storage_bytes` count what exists, so they need no holder and no commit: add the thing in the same
    transaction. QuotaExceededError if the allowance is used up.
    """
    now = now or datetime.now(UTC)
    tier = tier_of(tx, user_id=user_id)
    if feature in STOCKS:
        with as_service(tx):
            rows.lock_stock(tx, user_id=user_id, feature=feature)
        found = usage_of(tx, tier, user_id=user_id, feature=feature, now=now)
        if found.limit >= 0 and found.used + amount > found.limit:
            raise _exceeded(tier, found, now=now)
        return
    period = period_of(tier, feature, now)
    assert period.start is not None  # noqa: S101 - only stocks have no period
    with as_service(tx):
        is_reserved = rows.reserve(
            tx,
            user_id=user_id,
            feature=feature,
            period_start=period.start,
            amount=amount,
            allowance=tier.allowance(feature),
            holder=Holder(job_id=job_id, clip_id=clip_id, subject_id=subject_id),
        )
    if not is_reserved:
        raise _exceeded(tier, usage_of(tx, tier, user_id=user_id, feature=feature, now=now), now=now)


def commit(
    tx: Transaction, *, job_id: UUID | None = None, clip_id: UUID | None = None, subject_id: UUID | None = None
) -> None:
    """Count a holder's reservation (of a job: for one clip, or for all) as used; a second call changes nothing."""
    with as_service(tx):
        rows.commit(tx, Holder(job_id=job_id, clip_id=clip_id, subject_id=subject_id))


def release(
    tx: Transaction, *, job_id: UUID | None = None, clip_id: UUID | None = None, subject_id: UUID | None = None
) -> None:
    """Release a holder's reservation (of a job: for one clip, or for all); a second call changes nothing."""
    with as_service(tx):
        rows.release(tx, Holder(job_id=job_id, clip_id=clip_id, subject_id=subject_id))


def count_call(tx: Transaction, tier: Tier, *, user_id: UUID, now: datetime) -> Usage:
    """Count an API call of today (service transaction); QuotaExceededError if none is left."""
    period = period_of(tier, API_CALLS, now)
    assert period.start is not None  # noqa: S101 - calls are counted by day
    allowance = tier.allowance(API_CALLS)
    used = rows.count(tx, user_id=user_id, feature=API_CALLS, period_start=period.start, allowance=allowance)
    found = Usage(
        feature=API_CALLS, used=allowance if used is None else used, reserved=0, limit=allowance, period=period
    )
    if used is None:
        raise _exceeded(tier, found, now=now)
    return found


def check(tx: Transaction, *, user_id: UUID, feature: str, amount: int, now: datetime) -> Check:
    """Return whether an amount is allowed now, without reserving it; InvalidFieldError for an unknown feature."""
    tier = tier_of(tx, user_id=user_id)
    if feature in ABILITIES:
        has = tier.allows(feature)
        count = UNLIMITED if has else 0
        return Check(
            allowed=has,
            feature=feature,
            used=0,
            limit=count,
            remaining=count,
            resets_at=None,
            upgrade_url=UPGRADE_URL,
        )
    if feature not in COUNTED:
        known = ", ".join((*COUNTED, *ABILITIES))
        raise InvalidFieldError("feature", f"There is no feature {feature!r}; choose one of {known}.")
    found = usage_of(tx, tier, user_id=user_id, feature=feature, now=now)
    return Check(
        allowed=found.limit < 0 or amount <= found.remaining,
        feature=feature,
        used=found.used + found.reserved,
        limit=found.limit,
        remaining=found.remaining,
        resets_at=found.period.end,
        upgrade_url=UPGRADE_URL,
    )


def usage(tx: Transaction, *, user_id: UUID, now: datetime) -> tuple[Tier, list[Usage]]:
    """Return the tier in force and the use of each of its allowances."""
    tier = tier_of(tx, user_id=user_id)
    return tier, [usage_of(tx, tier, user_id=user_id, feature=feature, now=now) for feature in COUNTED]


def usage_of(tx: Transaction, tier: Tier, *, user_id: UUID, feature: str, now: datetime) -> Usage:
    """Return the use of one allowance in the current period."""
    period = period_of(tier, feature, now)
    if period.start is None:
        used = (
            rows.count_memories(tx, user_id=user_id)
            if feature == MEMORIES
            else rows.sum_storage_bytes(tx, user_id=user_id)
        )
        return Usage(feature=feature, used=used, reserved=0, limit=_allowance(tier, feature), period=period)
    row = rows.find_usage(tx, user_id=user_id, feature=feature, period_start=period.start)
    return Usage(
        feature=feature,
        used=row.used if row else 0,
        reserved=row.reserved if row else 0,
        limit=_allowance(tier, feature),
        period=period,
    )


def period_of(tier: Tier, feature: str, now: datetime) -> Period:
    """Return the period that a feature is counted in."""
    if feature == API_CALLS:
        return tiers.calendar_day(now)
    return tier.month(now) if feature in MONTHLY else NO_PERIOD


def _allowance(tier: Tier, feature: str) -> int:
    return tier.limit(STORAGE) if feature == STORAGE else tier.allowance(feature)


def _exceeded(tier: Tier, found: Usage, *, now: datetime) -> QuotaExceededError:
    what = WORDS.get(found.feature, found.feature.replace("_", " "))
    details = {
        "feature": found.feature,
        "tier": tier.name,
        "used": found.used + found.reserved,
        "limit": found.limit,
        "reserved": found.reserved,
        "resets_at": msgspec.to_builtins(found.period.end),
        "upgrade_url": UPGRADE_URL,
    }
    if found.period.end is None:
        return QuotaExceededError(
            f"{tier.display_name} includes {found.limit} {what}, and they are used up. Delete some, or choose "
            f"a higher tier at {UPGRADE_URL}.",
            **details,
        )
    return QuotaExceededError(
        f"All {found.limit} {what} that {tier.display_name} includes this "
        f"{'day' if found.feature == API_CALLS else 'month'} are used or reserved. The count starts again at "
        f"{found.period.end:%Y-%m-%d %H:%M} UTC; a higher tier at {UPGRADE_URL} includes more.",
        retry_after_s=max(1, int((found.period.end - now).total_seconds()) + 1),
        **details,
    )
