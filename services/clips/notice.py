"""Mails to owners whose clips are ready, if they want them."""

from uuid import UUID

from db import mails as rows
from db.connection import Transaction
from services.mail import outbox
from services.mail.message import ClipsReady


def tell_ready(tx: Transaction, *, recording_id: UUID, job_id: UUID) -> None:
    """Mail the owner of a recording once the last of its clips has ended (service transaction).

    Call it in the transaction in which a job ended a clip. Clips requested together are one mail.
    """
    ready = rows.find_ready_clips(tx, recording_id=recording_id)
    if ready is None or ready.clips == 0:
        return
    mail = ClipsReady(recording_title=ready.recording_title, recording_id=str(recording_id), clips=ready.clips)
    outbox.enqueue(tx, mail, recipient=ready.email, unique_key=f"clips_ready/{job_id}", user_id=ready.user_id)
