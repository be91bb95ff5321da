"""What the actors of one process share."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from msgspec import Struct

from db.connection import Database
from services.mail import LogMailer, Mailer
from services.outbound.fetch import SafeFetcher
from storage.factory import Stores
from workers.gate import Gate
from workers.keeper import Keeper
from workers.launcher import Launcher
from workers.ledger import Ledger
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
