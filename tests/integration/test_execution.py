"""One message, one attempt, on real rows: what is written when, and what is left when it is not."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from support.servers.fleet import add_user, rows, wait_for
from support.servers.talking_server import Server

from db import dispatch
from db.connection import SERVICE, Database, DatabaseUnavailableError, Identity, Transaction
from pipeline import errors
from pipeline.errors import MediaError
from services.jobs import service as jobs
from services.jobs.service import Job
from services.lifecycle import outcome as lifecycle
from services.outbound.fetch import Patience, SafeFetcher
from services.recordings import service as recordings
from storage.factory import Buckets
from workers.actors.import_url import import_url
from workers.attempt import Attempt
from workers.completer import Publish
from workers.execution import execute
from workers.runtime import Runtime
from workers.scratch import Scratch, sweep

KEY = "somebody/something"


class FlakyDatabase(Database):
    """Breaks a transaction as a cut connection does: before its commit, or after it."""

    breaks: str | None = None

    @contextmanager
    def transaction(self, identity: Identity) -> Iterator[Transaction]:
        breaks, self.breaks = self.breaks, None
        with super().transaction(identity) as tx:
            yield tx
            if breaks == "before commit":
                raise DatabaseUnavailableError("cut")
        if breaks == "after commit":
            raise DatabaseUnavailableError("cut")


@pytest.fixture
def database(database_url: str) -> Iterator[FlakyDatabase]:
    pool = FlakyDatabase(database_url)
    pool.open(wait_s=20)
    yield pool
    pool.close()


@pytest.fixture
def job(database: Database) -> Job:
    user_id = add_user(database)
    with database.transaction(SERVICE) as tx:
        made = jobs.enqueue(tx, kind="render", user_id=user_id)
        dispatch.mark_sent(tx, [made.id])
    return made


def run(runtime: Runtime, job: Job, work: Callable[[Runtime, Attempt], Publish]) -> None:
    execute(runtime, job.id, 1, {"render": work})


def found(database: Database, job: Job) -> dict[str, Any]:
    return rows(database, "SELECT * FROM jobs WHERE id = %(id)s", id=job.id)[0]


def store_something(runtime: Runtime, attempt: Attempt) -> None:
    attempt.written.append((runtime.buckets.clips, KEY))
    runtime.buckets.clips.put_bytes(KEY, b"something", content_type="text/plain")


def stored(buckets: Buckets) -> list[str]:
    return [stat.key for stat in buckets.clips.list_objects("")]


def publish_seven(_tx: Transaction) -> dict[str, Any]:
    return {"number": 7}


def test_work_is_published_with_the_end_of_the_job(runtime: Runtime, job: Job, database: Database) -> None:
    def work(runtime: Runtime, attempt: Attempt) -> Publish:
        store_something(runtime, attempt)
        return publish_seven

    run(runtime, job, work)
    assert (found(database, job)["state"], found(database, job)["result"]) == ("succeeded", {"number": 7})
    assert stored(runtime.buckets) == [KEY]


def test_error_leaves_no_object_and_its_cause_in_the_row(runtime: Runtime, job: Job, database: Database) -> None:
    def work(runtime: Runtime, attempt: Attempt) -> Publish:
        store_something(runtime, attempt)
        raise MediaError(errors.DECODE_FAILED, stream=1)

    run(runtime, job, work)
    row = found(database, job)
    assert (row["state"], row["error"]["code"], row["error"]["stream"]) == ("failed", "decode_failed", 1)
    assert stored(runtime.buckets) == []


def test_publication_that_fails_leaves_nothing_half_done(runtime: Runtime, job: Job, database: Database) -> None:
    def work(runtime: Runtime, attempt: Attempt) -> Publish:
        store_something(runtime, attempt)

        def publish(tx: Transaction) -> None:
            tx.execute("DELETE FROM users")
            raise MediaError(errors.READ_FAILED)

        return publish

    run(runtime, job, work)
    assert found(database, job)["state"] == "queued"
    assert len(rows(database, "SELECT id FROM users")) == 1
    assert stored(runtime.buckets) == []


def test_lost_lease_writes_nothing_and_takes_its_objects_along(runtime: Runtime, job: Job, database: Database) -> None:
    def work(runtime: Runtime, attempt: Attempt) -> Publish:
        store_something(runtime, attempt)
        rows(database, "UPDATE jobs SET lease_expires_at = now() - interval '1 s' RETURNING id")
        with database.transaction(SERVICE) as tx:
            lifecycle.reap(tx, random=lambda: 0.0)
        runtime.lease_renewer.renew()
        return publish_seven

    run(runtime, job, work)
    row = found(database, job)
    assert (row["state"], row["result"]) == ("queued", None)
    assert stored(runtime.buckets) == []


def test_cancelled_work_stops_at_its_next_look(runtime: Runtime, job: Job, database: Database) -> None:
    def work(runtime: Runtime, attempt: Attempt) -> Publish:
        with database.transaction(SERVICE) as tx:
            lifecycle.cancel_many(tx, [job.id])
        runtime.lease_renewer.renew()
        attempt.check()
        raise AssertionError("went on")

    run(runtime, job, work)
    assert found(database, job)["state"] == "cancelled"


@pytest.fixture
def importing(database: Database, runtime: Runtime, serve: Callable[..., Server]) -> Iterator[tuple[Runtime, Job]]:
    """An import from a server that sends one byte now and then, and its runtime with a lease renewer at work."""
    over = threading.Event()

    def drip(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not over.wait(5):
            connection.sendall(b"x")

    server = serve(drip)
    user_id = add_user(database)
    with database.transaction(SERVICE) as tx:
        _, made = recordings.import_url(tx, user_id=user_id, url=f"http://media.example:{server.port}/talk.mp4")
        dispatch.mark_sent(tx, [made.id])
    fetcher = SafeFetcher(resolver=lambda *_: ["127.0.0.1"], allowed=[f"media.example:{server.port}"])
    runtime.lease_renewer.start()
    yield msgspec.structs.replace(runtime, fetcher=fetcher), made
    over.set()
    runtime.lease_renewer.close()


def test_cancelled_import_from_a_peer_that_drips_ends_within_two_seconds(
    importing: tuple[Runtime, Job], database: Database
) -> None:
    runtime, job = importing
    worker = threading.Thread(target=execute, args=(runtime, job.id, 1, {"import": import_url}))
    worker.start()
    wait_for(lambda: found(database, job)["state"] == "running", what="the import's begin")
    with database.transaction(SERVICE) as tx:
        lifecycle.cancel_many(tx, [job.id])
    asked_s = time.monotonic()
    worker.join(30)
    assert time.monotonic() - asked_s < 2
    assert found(database, job)["state"] == "cancelled"


def test_import_stops_at_the_reserve_of_the_disk_and_is_put_off(
    importing: tuple[Runtime, Job], database: Database
) -> None:
    runtime, job = importing
    port = int(job.payload["url"].split(":")[2].split("/")[0])
    fetcher = SafeFetcher(resolver=lambda *_: ["127.0.0.1"], allowed=[f"media.example:{port}"])
    full = msgspec.structs.replace(runtime, fetcher=fetcher, disk_reserve_bytes=2**60)
    began_s = time.monotonic()
    execute(full, job.id, 1, {"import": import_url})
    row = found(database, job)
    assert (row["state"], row["error"]["code"], row["setbacks"]) == ("queued", "no_space", 1)
    assert time.monotonic() - began_s < 12


def test_peer_that_wastes_time_is_charged_for_each_attempt(importing: tuple[Runtime, Job], database: Database) -> None:
    runtime, job = importing
    port = int(job.payload["url"].split(":")[2].split("/")[0])
    impatient = SafeFetcher(
        resolver=lambda *_: ["127.0.0.1"], allowed=[f"media.example:{port}"], patience=Patience(idle_s=0.2)
    )
    execute(msgspec.structs.replace(runtime, fetcher=impatient), job.id, 1, {"import": import_url})
    row = found(database, job)
    assert (row["state"], row["error"]["code"], row["charged"], row["setbacks"]) == ("queued", "unavailable", 1, 0)


@pytest.mark.parametrize("moment", ["before commit", "after commit"])
def test_connection_cut_around_the_last_commit_ends_the_job_once(
    runtime: Runtime, job: Job, database: FlakyDatabase, moment: str
) -> None:
    def work(runtime: Runtime, attempt: Attempt) -> Publish:
        store_something(runtime, attempt)
        database.breaks = moment
        return publish_seven

    run(runtime, job, work)
    assert found(database, job)["result"] == {"number": 7}
    ended = rows(database, "SELECT id FROM job_events WHERE event = 'succeeded'")
    assert len(ended) == 1
    assert stored(runtime.buckets) == [KEY]


def test_mistake_of_ours_is_tried_again(runtime: Runtime, job: Job, database: Database) -> None:
    def work(_runtime: Runtime, _attempt: Attempt) -> Publish:
        raise ZeroDivisionError

    run(runtime, job, work)
    row = found(database, job)
    assert (row["state"], row["error"]["code"]) == ("queued", "internal")


def test_stale_message_does_nothing(runtime: Runtime, job: Job, database: Database) -> None:
    execute(runtime, job.id, 99, {})
    execute(runtime, UUID(int=0), 1, {})
    assert found(database, job)["state"] == "queued"


def test_message_for_a_closed_completer_goes_back_at_once(runtime: Runtime, job: Job, database: Database) -> None:
    runtime.completer.close()
    execute(runtime, job.id, 1, {})
    row = found(database, job)
    assert (row["state"], row["dispatched_at"], row["attempt"]) == ("queued", None, 0)


def test_keeper_writes_progress_and_registers_the_process(runtime: Runtime, job: Job, database: Database) -> None:
    going_on = threading.Event()

    def work(_runtime: Runtime, attempt: Attempt) -> Publish:
        attempt.report(stage="encode", fraction=0.5, eta_s=3)
        going_on.wait(30)
        return lambda _tx: None

    runtime.lease_renewer.start()
    worker = threading.Thread(target=run, args=(runtime, job, work))
    worker.start()
    wait_for(lambda: found(database, job)["progress"] == 50, what="the progress")
    assert [row["id"] for row in rows(database, "SELECT id FROM workers")] == [runtime.worker_id]
    before = found(database, job)["lease_expires_at"]
    wait_for(lambda: found(database, job)["lease_expires_at"] > before, what="a renewal")
    going_on.set()
    worker.join()
    runtime.lease_renewer.close()
    assert rows(database, "SELECT id FROM workers") == []


def test_drain_by_an_operator_reaches_the_process_and_can_be_undone(runtime: Runtime, database: Database) -> None:
    runtime.lease_renewer.start()
    rows(database, "UPDATE workers SET drain_requested_at = now() RETURNING id")
    runtime.lease_renewer.beat(wake=False)
    assert runtime.lease_renewer.drain_requested.is_set()
    rows(database, "UPDATE workers SET drain_requested_at = NULL RETURNING id")
    runtime.lease_renewer.beat(wake=False)
    assert not runtime.lease_renewer.drain_requested.is_set()
    runtime.lease_renewer.close()


def test_scratch_of_dead_processes_is_swept_and_of_living_ones_kept(tmp_path: Path) -> None:
    root = tmp_path / "root"
    living = Scratch(root, "living")
    (root / "dead").mkdir()
    (root / "dead" / "in-use").write_text("")
    (root / "dead" / "junk").write_text("x")
    assert sweep(root) == 1
    assert [path.name for path in root.iterdir()] == ["living"]
    with living.folder("one") as folder:
        (folder / "file").write_text("x")
    assert not folder.exists()
    living.close()
    assert list(root.iterdir()) == []


def test_objects_stay_when_a_lost_claim_gave_their_number_to_another(
    runtime: Runtime, job: Job, database: Database
) -> None:
    def work(runtime: Runtime, attempt: Attempt) -> Publish:
        store_something(runtime, attempt)
        # PostgreSQL crashed and forgot this claim; another worker has made the same claim since.
        rows(database, "UPDATE jobs SET lease_token = gen_random_uuid() WHERE id = %(id)s RETURNING id", id=job.id)
        return publish_seven

    run(runtime, job, work)
    assert found(database, job)["state"] == "running"
    assert stored(runtime.buckets) == [KEY]
