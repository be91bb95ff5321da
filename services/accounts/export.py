"""Exports: an archive of everything that the service has of one owner."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from db import export as rows
from db.connection import Transaction
from db.export import ClipObject, Export
from services.accounts import service as accounts
from services.errors import NotFoundError
from services.jobs import service as jobs
from services.jobs.payload import ExportAccountPayload
from services.jobs.service import Job
from services.mail import outbox
from services.mail.message import ExportReady

__all__ = ["ClipObject", "Export"]

KEPT_FOR = timedelta(days=7)


def request(tx: Transaction, *, user_id: UUID, trace_id: str | None) -> tuple[Export, Job]:
    """Queue an archive of everything that a user has, or return the one that is being made (service transaction)."""
    rows.fail_abandoned(tx, user_id=user_id)
    export_id = rows.insert_export(tx, user_id=user_id)
    if export_id is not None:
        payload = ExportAccountPayload(export_id=export_id)
        job = jobs.enqueue(tx, kind="export_account", user_id=user_id, payload=payload, trace_id=trace_id)
        rows.set_job(tx, export_id=export_id, job_id=job.id)
    export = latest(tx, user_id=user_id)
    if export.job_id is None:
        raise NotFoundError("The export has ended already; ask again.")
    return export, jobs.get(tx, user_id=user_id, job_id=export.job_id)


def latest(tx: Transaction, *, user_id: UUID) -> Export:
    """Return a user's latest export (service transaction); NotFoundError when there was none."""
    rows.fail_abandoned(tx, user_id=user_id)
    export = rows.find_latest(tx, user_id=user_id)
    if export is None:
        raise NotFoundError("Nothing was exported yet; POST here to begin.")
    return export


def gather(tx: Transaction, *, user_id: UUID) -> tuple[dict[str, Any], list[ClipObject]]:
    """Return an owner's rows by section, and the files of their clips (service transaction)."""
    account = accounts.get(tx, user_id=user_id)
    about = {
        "id": account.id,
        "email": account.email,
        "display_name": account.display_name,
        "tier": account.tier,
        "created_at": account.created_at,
        "email_verified_at": account.email_verified_at,
    }
    return {"account": about, **rows.export_rows(tx, user_id=user_id)}, rows.list_clip_objects(tx, user_id=user_id)


def publish(tx: Transaction, *, export_id: UUID, key: str, size_bytes: int, now: datetime) -> bool:
    """Note that an archive can be downloaded, and mail its owner (service transaction); False if it was given up."""
    expires_at = now + KEPT_FOR
    user_id = rows.mark_ready(tx, export_id=export_id, key=key, size_bytes=size_bytes, expires_at=expires_at)
    if user_id is None:
        return False
    account = accounts.get(tx, user_id=user_id)
    outbox.enqueue(
        tx,
        ExportReady(expires_at=expires_at),
        recipient=account.email,
        unique_key=f"export_ready/{export_id}",
        user_id=user_id,
    )
    return True


def list_expired(tx: Transaction) -> dict[UUID, str]:
    """Return the keys of archives whose time is over, by export (service transaction)."""
    return rows.list_expired(tx)


def mark_expired(tx: Transaction, *, ids: list[UUID]) -> None:
    """Note that these archives are gone (service transaction)."""
    rows.mark_expired(tx, ids=ids)
