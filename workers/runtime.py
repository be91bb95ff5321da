"""The objects that the actors of one worker process share."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from msgspec import Struct

from db.connection import Database
from pipeline.types import BUILTIN_TAGGER
from services.billing.sync import Billing
from services.mail.transport import LogMailer, Mailer
from services.outbound.fetch import SafeFetcher
from storage.factory import Buckets
from workers.children.launcher import Launcher
from workers.completer import Completer
from workers.lease_renewer import LeaseRenewer
from workers.queue.slots import SlotLimit
from workers.scratch import Scratch


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


class Runtime(Struct, frozen=True, kw_only=True):
    """Connections and services of a worker process; built once, in `workers.main`."""

    worker_id: UUID
    database: Database
    buckets: Buckets
    fetcher: SafeFetcher
    scratch: Scratch
    lease_renewer: LeaseRenewer
    completer: Completer
    slots: SlotLimit
    launcher: Launcher
    threads: int
    recording_max_bytes: int
    disk_reserve_bytes: int = 0
    mailer: Mailer = LogMailer()
    public_url: str = ""
    tagger: str = BUILTIN_TAGGER
    tagger_model: Path | None = None
    billing: Billing | None = None
    random: Callable[[], float] = random.random
    clock: Callable[[], datetime] = utc_now
