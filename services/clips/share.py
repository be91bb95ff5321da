"""Share links: addresses that cannot be guessed, and that expire or are revoked."""

import re
import secrets
from datetime import datetime
from urllib.parse import quote
from uuid import UUID

from db import clips as clip_rows
from db import shares as rows
from db.connection import Transaction, as_service
from db.shares import PublicClip, Share
from services.clips import relocation
from services.clips import service as clips
from services.errors import ConflictError, InvalidFieldError, NotFoundError

__all__ = ["PublicClip", "Share"]

SLUG_BYTES = 15  # 120 bits cannot be guessed, and 20 characters fit a message
# User agents of crawlers and of the link previews of messengers.
ROBOTS = re.compile(
    r"bot\b|crawl|spider|slurp|preview|facebookexternalhit|whatsapp|telegram|slack|discord|skype|embedly|curl|wget|python",
    re.IGNORECASE,
)
# Web intents as the platforms document them; the others are addresses of ours.
INTENTS = {
    "twitter": "https://twitter.com/intent/tweet?url={url}&text={title}",
    "facebook": "https://www.facebook.com/sharer/sharer.php?u={url}",
    "whatsapp": "https://wa.me/?text={title}%20{url}",
    "reddit": "https://www.reddit.com/submit?url={url}&title={title}",
}


def share(  # noqa: PLR0913 - keyword-only, as every use case
    tx: Transaction,
    *,
    user_id: UUID,
    clip_id: UUID,
    platform: str,
    expires_at: datetime | None,
    now: datetime,
) -> Share:
    """Make a link; ConflictError until the clip is completed, InvalidFieldError for an end in the past."""
    clip = clips.get(tx, user_id=user_id, clip_id=clip_id)
    if clip.status != "completed":
        raise ConflictError(f"This clip is {clip.status}; it can be shared once it is completed.", status=clip.status)
    if expires_at is not None and expires_at.tzinfo is None:
        raise InvalidFieldError("expires_at", "expires_at needs a time zone, such as Z at its end.")
    if expires_at is not None and expires_at <= now:
        raise InvalidFieldError("expires_at", "expires_at is in the past; choose a later time.")
    made = rows.insert_share(
        tx,
        clip_id=clip_id,
        user_id=user_id,
        slug=secrets.token_urlsafe(SLUG_BYTES),
        platform=platform,
        expires_at=expires_at,
    )
    with as_service(tx):
        clip_rows.count_share(tx, clip_id=clip_id)
    return made


def revoke(tx: Transaction, *, user_id: UUID, clip_id: UUID, slug: str | None = None, is_on_cdn: bool = False) -> int:
    """Close one link of a clip, or all, and return how many were open.

    Visitors of a clip on a public CDN know the addresses of its files, so the files move; open links follow them.
    """
    clip = clips.get(tx, user_id=user_id, clip_id=clip_id)
    revoked = rows.revoke_shares(tx, clip_id=clip_id, user_id=user_id, slug=slug)
    if revoked and is_on_cdn:
        relocation.queue(tx, clip)
    return revoked


def visit(tx: Transaction, *, slug: str) -> PublicClip:
    """Return the clip behind a link (service transaction); NotFoundError if it does not work for any reason."""
    clip = rows.find_public_clip(tx, slug=slug)
    if clip is None:
        raise NotFoundError("This link does not work: it may have ended, or its owner closed it.")
    return clip


def count_view(tx: Transaction, *, clip: PublicClip, user_agent: str) -> None:
    """Count a person's view of a clip (service transaction); bots that fetch previews do not count."""
    if user_agent and not ROBOTS.search(user_agent):
        clip_rows.count_view(tx, clip_id=clip.clip_id)


def page_url(public_url: str, slug: str) -> str:
    """Return the address of the public page."""
    return f"{public_url}/c/{slug}"


def embed_url(public_url: str, slug: str) -> str:
    """Return the address of the embeddable player."""
    return f"{public_url}/embed/{slug}"


def intent_url(public_url: str, share: Share, title: str) -> str:
    """Return the address to open for the platform that the link is for."""
    url = page_url(public_url, share.slug)
    if intent := INTENTS.get(share.platform):
        return intent.format(url=quote(url, safe=""), title=quote(title, safe=""))
    if share.platform == "embed":
        return embed_url(public_url, share.slug)
    if share.platform == "download":
        return f"{url}/media/mp4?download=1"
    return url
