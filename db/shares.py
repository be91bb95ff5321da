"""Share links: public addresses of clips, which expire or are revoked."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row

from db.connection import Transaction


class Share(Struct, frozen=True, kw_only=True):
    """A row of `clip_shares`."""

    id: UUID
    clip_id: UUID
    user_id: UUID
    slug: str
    platform: str
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime


class PublicClip(Struct, frozen=True, kw_only=True):
    """The fields of a clip that a visitor with a link sees."""

    clip_id: UUID
    slug: str
    title: str
    description: str
    start_s: float
    end_s: float
    objects: dict[str, dict[str, Any]]
    created_at: datetime
    expires_at: datetime | None
    """When the link ends; None for one that is open until it is revoked."""
    view_count: int
    recording_title: str
    waveform_key: str | None
    kind: str | None


INSERT_SHARE = """
INSERT INTO clip_shares (clip_id, user_id, slug, platform, expires_at)
VALUES (%(clip_id)s, %(user_id)s, %(slug)s, %(platform)s, %(expires_at)s)
RETURNING id, clip_id, user_id, slug, platform, expires_at, revoked_at, created_at
"""
REVOKE_SHARES = """
UPDATE clip_shares SET revoked_at = now()
WHERE clip_id = %(clip_id)s AND user_id = %(user_id)s AND revoked_at IS NULL
  AND (%(slug)s::text IS NULL OR slug = %(slug)s::text)
RETURNING id
"""
# An expired or revoked link, or one of a deleted clip, has no row, so visitors cannot tell which.
FIND_PUBLIC_CLIP = """
SELECT c.id AS clip_id, s.slug, c.title, c.description, c.start_s, c.end_s, c.objects, c.created_at, s.expires_at,
       c.view_count, r.title AS recording_title, r.waveform_key, h.kind
FROM clip_shares s JOIN clips c ON c.id = s.clip_id JOIN recordings r ON r.id = c.recording_id
LEFT JOIN highlights h ON h.id = c.highlight_id
WHERE s.slug = %(slug)s AND s.revoked_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > now())
  AND c.status = 'completed'
"""


def insert_share(  # noqa: PLR0913 - keyword-only, one per column or filter
    tx: Transaction, *, clip_id: UUID, user_id: UUID, slug: str, platform: str, expires_at: datetime | None
) -> Share:
    """Add a link."""
    values = {"clip_id": clip_id, "user_id": user_id, "slug": slug, "platform": platform, "expires_at": expires_at}
    with tx.cursor(row_factory=class_row(Share)) as cursor:
        row = cursor.execute(INSERT_SHARE, values).fetchone()
    if row is None:
        raise RuntimeError("INSERT … RETURNING returned no row")
    return row


def revoke_shares(tx: Transaction, *, clip_id: UUID, user_id: UUID, slug: str | None) -> int:
    """Revoke one link of a clip, or all; return how many were valid."""
    values = {"clip_id": clip_id, "user_id": user_id, "slug": slug}
    return len(tx.execute(REVOKE_SHARES, values).fetchall())


def find_public_clip(tx: Transaction, *, slug: str) -> PublicClip | None:
    """Return the clip of a valid link, or None."""
    with tx.cursor(row_factory=class_row(PublicClip)) as cursor:
        return cursor.execute(FIND_PUBLIC_CLIP, {"slug": slug}).fetchone()
