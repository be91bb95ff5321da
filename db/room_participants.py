"""People in rooms: accounts and guests, including those who left or were banned."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct
from psycopg.rows import class_row

from db.connection import Transaction

Role = Literal["host", "co_host", "participant"]
LeftReason = Literal["left", "disconnected", "kicked", "banned", "room_ended"]


class ParticipantRow(Struct, frozen=True, kw_only=True):
    """A row of `room_participants`."""

    room_id: UUID
    user_id: UUID
    display_name: str
    role: Role
    is_guest: bool
    is_muted: bool
    is_banned: bool
    has_consented: bool
    joined_at: datetime
    left_at: datetime | None
    left_reason: LeftReason | None


class EngagementRow(Struct, frozen=True, kw_only=True):
    """One person's activity in a room."""

    user_id: UUID
    display_name: str
    role: Role
    is_guest: bool
    messages: int
    votes: int
    reactions: int
    voice_s: float


COLUMNS = """room_id, user_id, display_name, role, is_guest, is_muted, is_banned, has_consented, joined_at, left_at,
left_reason"""

FIND_PARTICIPANT = f"""
SELECT {COLUMNS} FROM room_participants WHERE room_id = %(room_id)s AND user_id = %(user_id)s
"""  # noqa: S608 - the columns are a constant
LIST_PRESENT = f"""
SELECT {COLUMNS} FROM room_participants WHERE room_id = %(room_id)s AND left_at IS NULL
ORDER BY joined_at, user_id
"""  # noqa: S608 - the columns are a constant
COUNT_EVER = "SELECT count(*) AS people FROM room_participants WHERE room_id = %(room_id)s"
# People who return start a new term of service, but keep their mute and consent.
UPSERT_PARTICIPANT = f"""
INSERT INTO room_participants (room_id, user_id, display_name, role, is_guest)
VALUES (%(room_id)s, %(user_id)s, %(display_name)s, %(role)s, %(is_guest)s)
ON CONFLICT (room_id, user_id) DO UPDATE
    SET left_at = NULL, left_reason = NULL, joined_at = now(), display_name = excluded.display_name,
        role = CASE WHEN room_participants.left_reason IN ('left', 'kicked') AND room_participants.role = 'co_host'
                    THEN 'participant' ELSE room_participants.role END
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
RENAME = f"""
UPDATE room_participants SET display_name = %(display_name)s WHERE room_id = %(room_id)s AND user_id = %(user_id)s
RETURNING {COLUMNS}
"""  # noqa: S608 - the columns are a constant
LEAVE = """
UPDATE room_participants SET left_at = now(), left_reason = %(reason)s
WHERE room_id = %(room_id)s AND user_id = %(user_id)s AND left_at IS NULL
RETURNING user_id
"""
LEAVE_ALL = """
UPDATE room_participants SET left_at = now(), left_reason = 'room_ended'
WHERE room_id = %(room_id)s AND left_at IS NULL
"""
SET_MUTED = """
UPDATE room_participants SET is_muted = %(is_muted)s
WHERE room_id = %(room_id)s AND user_id = %(user_id)s AND is_muted <> %(is_muted)s RETURNING user_id
"""
SET_BANNED = """
UPDATE room_participants SET is_banned = %(is_banned)s
WHERE room_id = %(room_id)s AND user_id = %(user_id)s AND is_banned <> %(is_banned)s RETURNING user_id
"""
SET_ROLE = """
UPDATE room_participants SET role = %(role)s
WHERE room_id = %(room_id)s AND user_id = %(user_id)s AND role <> %(role)s RETURNING user_id
"""
SET_CONSENT = """
UPDATE room_participants SET has_consented = %(given)s
WHERE room_id = %(room_id)s AND user_id = %(user_id)s AND has_consented <> %(given)s RETURNING user_id
"""
# `online` limits the choice to connected people, if that is known.
FIND_SUCCESSOR = """
SELECT user_id FROM room_participants
WHERE room_id = %(room_id)s AND role = 'co_host' AND left_at IS NULL AND NOT is_guest
    AND (%(online)s::uuid[] IS NULL OR user_id = ANY(%(online)s::uuid[]))
ORDER BY joined_at, user_id LIMIT 1
"""
FIND_DISPLAY_NAME = "SELECT display_name FROM users WHERE id = %(user_id)s"
ADD_ACTIVITY = """
UPDATE room_participants SET reactions = reactions + %(reactions)s, voice_s = voice_s + %(voice_s)s
WHERE room_id = %(room_id)s AND user_id = %(user_id)s
"""
LIST_ENGAGEMENT = """
SELECT p.user_id, p.display_name, p.role, p.is_guest, p.reactions, p.voice_s,
    (SELECT count(*) FROM room_messages AS m
     WHERE m.room_id = p.room_id AND m.user_id = p.user_id AND m.message_type = 'text' AND m.deleted_at IS NULL
    ) AS messages,
    (SELECT count(*) FROM poll_votes AS v WHERE v.room_id = p.room_id AND v.user_id = p.user_id) AS votes
FROM room_participants AS p WHERE p.room_id = %(room_id)s AND NOT p.is_banned
"""


def find_participant(tx: Transaction, *, room_id: UUID, user_id: UUID) -> ParticipantRow | None:
    """Return a present or former member of a room."""
    with tx.cursor(row_factory=class_row(ParticipantRow)) as cursor:
        return cursor.execute(FIND_PARTICIPANT, {"room_id": room_id, "user_id": user_id}).fetchone()


def list_present(tx: Transaction, room_id: UUID) -> list[ParticipantRow]:
    """List the members of a room, in order of arrival."""
    with tx.cursor(row_factory=class_row(ParticipantRow)) as cursor:
        return cursor.execute(LIST_PRESENT, {"room_id": room_id}).fetchall()


def count_ever(tx: Transaction, room_id: UUID) -> int:
    """Count the present and former members of a room."""
    row = tx.execute(COUNT_EVER, {"room_id": room_id}).fetchone()
    return int(row["people"]) if row else 0


def upsert_participant(  # noqa: PLR0913 - keyword-only, one per column
    tx: Transaction, *, room_id: UUID, user_id: UUID, display_name: str, role: Role, is_guest: bool
) -> ParticipantRow:
    """Add a person to a room, for the first time or again."""
    parameters = {
        "room_id": room_id,
        "user_id": user_id,
        "display_name": display_name,
        "role": role,
        "is_guest": is_guest,
    }
    with tx.cursor(row_factory=class_row(ParticipantRow)) as cursor:
        row = cursor.execute(UPSERT_PARTICIPANT, parameters).fetchone()
    assert row is not None  # noqa: S101 - an upsert returns its row or raises
    return row


def rename(tx: Transaction, *, room_id: UUID, user_id: UUID, display_name: str) -> None:
    """Change a person's displayed name."""
    tx.execute(RENAME, {"room_id": room_id, "user_id": user_id, "display_name": display_name})


def leave(tx: Transaction, *, room_id: UUID, user_id: UUID, reason: LeftReason) -> bool:
    """Record that a person left; False if they were not in the room."""
    parameters = {"room_id": room_id, "user_id": user_id, "reason": reason}
    return tx.execute(LEAVE, parameters).fetchone() is not None


def leave_all(tx: Transaction, room_id: UUID) -> None:
    """Record that everybody left because the room ended."""
    tx.execute(LEAVE_ALL, {"room_id": room_id})


def set_muted(tx: Transaction, *, room_id: UUID, user_id: UUID, is_muted: bool) -> bool:
    """Mute or unmute; False when that changes nothing."""
    parameters = {"room_id": room_id, "user_id": user_id, "is_muted": is_muted}
    return tx.execute(SET_MUTED, parameters).fetchone() is not None


def set_banned(tx: Transaction, *, room_id: UUID, user_id: UUID, is_banned: bool) -> bool:
    """Ban or unban; False if that changes nothing."""
    parameters = {"room_id": room_id, "user_id": user_id, "is_banned": is_banned}
    return tx.execute(SET_BANNED, parameters).fetchone() is not None


def set_role(tx: Transaction, *, room_id: UUID, user_id: UUID, role: Role) -> bool:
    """Change a person's role; False if they have it already."""
    return tx.execute(SET_ROLE, {"room_id": room_id, "user_id": user_id, "role": role}).fetchone() is not None


def set_consent(tx: Transaction, *, room_id: UUID, user_id: UUID, given: bool) -> bool:
    """Store an answer to being recorded; False if it was the same before."""
    return tx.execute(SET_CONSENT, {"room_id": room_id, "user_id": user_id, "given": given}).fetchone() is not None


def find_successor(tx: Transaction, room_id: UUID, *, online: list[UUID] | None) -> UUID | None:
    """Return the longest-serving co-host in a room; with `online`, only among these."""
    row = tx.execute(FIND_SUCCESSOR, {"room_id": room_id, "online": online}).fetchone()
    return row["user_id"] if row else None


def find_display_name(tx: Transaction, user_id: UUID) -> str | None:
    """Return the displayed name of an account; None without an account or a name."""
    row = tx.execute(FIND_DISPLAY_NAME, {"user_id": user_id}).fetchone()
    return (row["display_name"] or None) if row else None


def add_activity(tx: Transaction, *, room_id: UUID, user_id: UUID, reactions: int, voice_s: float) -> None:
    """Add to a person's activity in a room."""
    tx.execute(ADD_ACTIVITY, {"room_id": room_id, "user_id": user_id, "reactions": reactions, "voice_s": voice_s})


def list_engagement(tx: Transaction, room_id: UUID) -> list[EngagementRow]:
    """List everybody's activity; ballots of anonymous polls do not count."""
    with tx.cursor(row_factory=class_row(EngagementRow)) as cursor:
        return cursor.execute(LIST_ENGAGEMENT, {"room_id": room_id}).fetchall()
