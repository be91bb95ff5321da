"""How many files of ours a job passes on its way to the statements that begin and end it."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from dramatiq.brokers.stub import StubBroker
from support.servers.fleet import rows

from db import dispatch
from db.connection import SERVICE, Database
from db.leases import CLAIM, COMPLETE
from db.maintenance import PURGE_IDEMPOTENCY_KEYS as PURGE
from services.jobs import service as jobs
from workers import actors
from workers.runtime import Runtime

ROOT = Path(actors.__file__).parents[2]
KIND = "purge_idempotency_keys"
MOST_FILES = 6


class Statements:
    """Profiles a thread: for each SQL statement, our files on the stack, and all that were entered until then."""

    def __init__(self) -> None:
        self.stacks: dict[str, list[str]] = {}
        self.entered: dict[str, list[str]] = {}
        self._seen: list[str] = []

    def forget(self) -> None:
        self._seen = []

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        if event != "call":
            return
        name = our_file(frame)
        if name is not None and name not in self._seen:
            self._seen.append(name)
        if frame.f_code.co_name == "execute" and frame.f_code.co_filename.endswith("psycopg/connection.py"):
            statement = str(frame.f_locals["query"])
            self.entered.setdefault(statement, list(self._seen))
            self.stacks.setdefault(statement, list(dict.fromkeys(stack_of(frame))))


def our_file(frame: FrameType) -> str | None:
    path = Path(frame.f_code.co_filename)
    if not path.is_relative_to(ROOT) or ".venv" in path.parts or "tests" in path.relative_to(ROOT).parts:
        return None
    return str(path.relative_to(ROOT))


def stack_of(frame: FrameType) -> Iterator[str]:
    found: FrameType | None = frame
    while found is not None:
        name = our_file(found)
        if name is not None:
            yield name
        found = found.f_back


@pytest.fixture
def statements(runtime: Runtime, database: Database) -> Statements:
    """Run one job from the entry of its actor; return its statements."""
    with database.transaction(SERVICE) as tx:
        job = jobs.enqueue(tx, kind=KIND, user_id=None)
        dispatch.mark_sent(tx, [job.id])
    profile = Statements()

    def work(runtime: Runtime, attempt: Any) -> Any:
        publish = actors.WORKS[KIND](runtime, attempt)
        profile.forget()
        return publish

    broker = StubBroker()
    actors.register(broker, runtime, {KIND: work})
    entry = broker.get_actor(job.queue).fn
    sys.setprofile(profile)
    try:
        entry(str(job.id), 1)
    finally:
        sys.setprofile(None)
    assert rows(database, "SELECT state FROM jobs WHERE id = %(id)s", id=job.id) == [{"state": "succeeded"}]
    return profile


def test_claim_passes_six_files_from_the_entry_of_the_actor(statements: Statements) -> None:
    entered = statements.entered[CLAIM]
    assert entered == [
        "workers/actors/__init__.py",
        "workers/execution.py",
        "workers/completer.py",
        "db/connection.py",
        "services/lifecycle/outcome.py",
        "db/leases.py",
    ]
    assert len(entered) <= MOST_FILES


def test_end_passes_six_files_from_the_result_of_the_work(statements: Statements) -> None:
    entered = statements.entered[COMPLETE]
    assert entered[-4:] == [
        "workers/completer.py",
        "db/connection.py",
        "services/lifecycle/outcome.py",
        "db/leases.py",
    ]
    assert len(entered) <= MOST_FILES


def test_publication_has_six_files_on_its_stack(statements: Statements) -> None:
    stack = [name for name in statements.stacks[PURGE] if name != "workers/actors/__init__.py"]
    assert stack[::-1] == [
        "workers/execution.py",
        "workers/completer.py",
        "services/lifecycle/outcome.py",
        "workers/actors/housekeeping.py",
        "services/lifecycle/maintenance.py",
        "db/maintenance.py",
    ]
    assert len(stack) <= MOST_FILES
