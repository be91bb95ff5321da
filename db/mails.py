"""Queued mails and their outcomes."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from db.connection import Transaction

MailStatus = Literal["queued", "sending", "sent", "uncertain", "dropped", "failed"]
Language = Literal["en", "de"]


class MailRow(Struct, frozen=True, kw_only=True):
    """A row of `mails`."""

    id: UUID
    user_id: UUID | None
    kind: str
    recipient: str
    payload: dict[str, Any]
    status: MailStatus
    attempts: int
    created_at: datetime
    language: Language


class ReadyClips(Struct, frozen=True, kw_only=True):
    """Finished clips of a recording, for a mail to its owner."""

    user_id: UUID
    email: str
    recording_title: str
    clips: int


INSERT_MAIL = """
INSERT INTO mails (user_id, kind, recipient, payload, unique_key, language)
VALUES (%(user_id)s, %(kind)s, %(recipient)s, %(payload)s, %(unique_key)s, %(language)s)
ON CONFLICT (unique_key) DO NOTHING
RETURNING id
"""
LOCK_MAIL = """
SELECT id, user_id, kind, recipient, payload, status, attempts, created_at,
       COALESCE((SELECT users.language FROM users WHERE users.id = mails.user_id),
                (SELECT users.language FROM users WHERE users.email = mails.recipient), language) AS language
FROM mails WHERE id = %(mail_id)s FOR UPDATE
"""
# Counts the clips completed since the last such mail, once no clip of the recording is unfinished.
FIND_READY_CLIPS = """
SELECT u.id AS user_id, u.email, r.title AS recording_title, (
    SELECT count(*) FROM clips c
    WHERE c.recording_id = r.id AND c.status = 'completed' AND c.completed_at > COALESCE((
        SELECT max(m.created_at) FROM mails m
        WHERE m.user_id = u.id AND m.kind = 'clips_ready' AND m.payload ->> 'recording_id' = r.id::text
    ), '-infinity')
) AS clips
FROM recordings r JOIN users u ON u.id = r.user_id
WHERE r.id = %(recording_id)s
  AND NOT EXISTS (SELECT 1 FROM clips c WHERE c.recording_id = r.id AND c.status IN ('queued', 'processing'))
"""
LOCK_READY_CLIPS = """
SELECT pg_advisory_xact_lock(hashtextextended('clips_ready/' || r.id::text, 0))
FROM recordings r JOIN users u ON u.id = r.user_id
WHERE r.id = %(recording_id)s AND u.mail_clips_ready AND u.email_verified_at IS NOT NULL
"""
MARK_SENDING = """
UPDATE mails SET status = 'sending', attempts = attempts + 1 WHERE id = %(mail_id)s AND status = 'queued' RETURNING id
"""
POSTPONE = """
UPDATE mails SET status = 'queued', attempts = %(attempts)s, error = left(%(error)s, 500)
WHERE id = %(mail_id)s AND status IN ('queued', 'sending')
"""
FINISH = """
UPDATE mails SET status = %(status)s, error = left(%(error)s, 500), finished_at = now()
WHERE id = %(mail_id)s AND status IN ('queued', 'sending')
"""
PRUNE_MAILS = """
DELETE FROM mails WHERE id IN (
    SELECT id FROM mails WHERE created_at < now() - make_interval(days => %(days)s)
    ORDER BY created_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
RETURNING id
"""


def insert_mail(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction,
    *,
    user_id: UUID | None,
    kind: str,
    recipient: str,
    payload: dict[str, Any],
    unique_key: str,
    language: Language,
) -> UUID | None:
    """Add a mail and return its id; None if one with this key exists."""
    values = {
        "user_id": user_id,
        "kind": kind,
        "recipient": recipient,
        "payload": Jsonb(payload),
        "unique_key": unique_key,
        "language": language,
    }
    row = tx.execute(INSERT_MAIL, values).fetchone()
    return row["id"] if row else None


def find_ready_clips(tx: Transaction, *, recording_id: UUID) -> ReadyClips | None:
    """Return the mail's data about a recording's clips; None while some are unfinished or if its owner wants no mail.

    Transactions that call this for one recording take turns: of two that each end a clip, the second sees both.
    """
    if tx.execute(LOCK_READY_CLIPS, {"recording_id": recording_id}).fetchone() is None:
        return None
    with tx.cursor(row_factory=class_row(ReadyClips)) as cursor:
        return cursor.execute(FIND_READY_CLIPS, {"recording_id": recording_id}).fetchone()


def lock_mail(tx: Transaction, *, mail_id: UUID) -> MailRow | None:
    """Return a mail, locked until the transaction ends; None if it was deleted."""
    with tx.cursor(row_factory=class_row(MailRow)) as cursor:
        return cursor.execute(LOCK_MAIL, {"mail_id": mail_id}).fetchone()


def mark_sending(tx: Transaction, *, mail_id: UUID) -> bool:
    """Mark a mail as `sending`; False if it was sent or given up before."""
    return tx.execute(MARK_SENDING, {"mail_id": mail_id}).fetchone() is not None


def postpone(tx: Transaction, *, mail_id: UUID, attempts: int, error: str) -> None:
    """Queue a mail again that was certainly not accepted."""
    tx.execute(POSTPONE, {"mail_id": mail_id, "attempts": attempts, "error": error})


def finish(tx: Transaction, *, mail_id: UUID, status: MailStatus, error: str | None = None) -> None:
    """Store the final outcome of a mail."""
    tx.execute(FINISH, {"mail_id": mail_id, "status": status, "error": error})


def prune_mails(tx: Transaction, *, days: int, limit: int) -> int:
    """Delete old mails; return how many."""
    return len(tx.execute(PRUNE_MAILS, {"days": days, "limit": limit}).fetchall())
