"""What the actors of one process share."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from msgspec import Struct

from db.connection import Database
from services.accounts.mail import LogMailer, Mailer
from services.outbound.fetch import SafeFetcher
from storage.factory import Stores
from workers.children.launcher import Launcher
from workers.lease_renewer import Keeper
from workers.ledger import Ledger
from workers.queue.slots import Gate
from workers.scratch import Scratch


def utc_now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


class Runtime(Struct, frozen=True, kw_only=True):
    """The connections and corners of a worker process; made once, in `workers.main`."""

    worker_id: UUID
    database: Database
    stores: Stores
    fetcher: SafeFetcher
    scratch: Scratch
    keeper: Keeper
    ledger: Ledger
    gate: Gate
    launcher: Launcher
    threads: int
    recording_max_bytes: int
    mailer: Mailer = LogMailer()
    public_url: str = ""
    random: Callable[[], float] = random.random
    clock: Callable[[], datetime] = utc_now
