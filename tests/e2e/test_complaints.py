"""What users of other systems complain about, tried on a running installation: each complaint has a test of its name.

Those about media (drift, black starts, rotation, grey HDR) are answered where cutting is tested.
"""

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from support.api.product import END_S, Person, Product
from support.servers.fleet import children, family, make_media, wait_for
from support.servers.processes import all_gone

from db.connection import SERVICE

# One fleet serves the tests of this module: keep them in one process.
pytestmark = [pytest.mark.xdist_group("complaints"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_media(tmp_path_factory.mktemp("media") / "talk.mp4", duration_s=14, size="128x72").read_bytes()


@pytest.fixture
def ada(product: Product) -> Person:
    return product.person()


@pytest.fixture
def ready(ada: Person, talk: bytes) -> str:
    """The id of a recording of Ada's that can be cut."""
    recording_id = ada.upload(talk)
    ada.until(f"/api/recordings/{recording_id}", "ready")
    return recording_id


@contextlib.contextmanager
def paused(product: Product, queue: str) -> Iterator[None]:
    product.operator.ask("POST", f"/api/ops/queues/{queue}/pause")
    try:
        yield
    finally:
        product.operator.ask("POST", f"/api/ops/queues/{queue}/resume")


def events_of(product: Product, job_id: str) -> list[str]:
    return [entry["event"] for entry in product.operator.ask("GET", f"/api/ops/jobs/{job_id}")["timeline"]]


def test_stuck_jobs_of_a_dead_worker_are_given_to_another(product: Product, ada: Person, talk: bytes) -> None:
    recording_id = ada.upload(talk)
    wait_for(lambda: children(product.worker), what="a media child")
    orphans = family(product.worker)
    product.worker.kill()
    product.worker.wait()
    product.worker = product.fleet.worker(threads=1)
    ada.until(f"/api/recordings/{recording_id}", "ready")
    assert all_gone(orphans)
    jobs = product.operator.ask("GET", f"/api/ops/jobs?owner={ada.id}")["items"]
    assert max(events_of(product, job["id"]).count("claimed") for job in jobs) == 2


def test_failure_without_a_cause_does_not_exist(product: Product, ada: Person) -> None:
    recording_id = ada.upload(b"This is no film.\n" * 100)
    failed = ada.until(f"/api/recordings/{recording_id}", "failed")
    assert "not a media file" in failed["error"]["message"]
    assert failed["error"]["remedy"]
    [job] = product.operator.ask("GET", f"/api/ops/jobs?owner={ada.id}&status=failed")["items"]
    assert job["error"]["code"] == failed["error"]["code"]
    [own] = ada.ask("GET", "/api/jobs?status=failed")["items"]
    assert own["error"]["message"] == failed["error"]["message"]


def test_disk_does_not_fill_up_with_what_nobody_needs(product: Product, ada: Person, ready: str) -> None:
    made = ada.clip(ready)
    ada.until(f"/api/clips/{made['clip']['id']}", "completed")
    assert product.scratch() == []
    kept = product.objects(ada.id)
    assert [key for key in kept if made["clip"]["id"] in key]
    assert [key for key in kept if ready in key]
    with product.database.transaction(SERVICE) as tx:
        tx.execute("UPDATE clips SET expires_at = now() WHERE id = %s", (made["clip"]["id"],))
    product.operator.ask("POST", "/api/ops/schedules/expire-clips/run")
    ada.until(f"/api/clips/{made['clip']['id']}", "expired")
    wait_for(
        lambda: not any(made["clip"]["id"] in key for key in product.objects(ada.id)),
        timeout_s=END_S,
        what="the clip's objects to go",
    )
    ada.client.delete(f"/api/recordings/{ready}").raise_for_status()
    wait_for(lambda: product.objects(ada.id) == [], timeout_s=END_S, what="the recording's objects to go")


def test_expired_share_link_no_longer_opens(product: Product, ada: Person, ready: str) -> None:
    made = ada.clip(ready)
    ada.until(f"/api/clips/{made['clip']['id']}", "completed")
    until = datetime.now(UTC) + timedelta(hours=1)
    shared = ada.ask(
        "POST",
        f"/api/clips/{made['clip']['id']}/share",
        {"platform": "direct_link", "expires_at": until.isoformat()},
    )
    page = f"{product.url}/c/{shared['slug']}"

    def statuses() -> set[int]:
        return {httpx.get(address).status_code for address in (page, f"{page}/media/mp3")}

    assert statuses() == {200, 302}
    with product.database.transaction(SERVICE) as tx:
        tx.execute("UPDATE clip_shares SET expires_at = now() WHERE slug = %s", (shared["slug"],))
    assert statuses() == {404}


def test_pause_button_stops_one_queue_and_nothing_else(product: Product, ada: Person, ready: str, talk: bytes) -> None:
    with paused(product, "render"):
        made = ada.clip(ready)
        ada.until(f"/api/recordings/{ada.upload(talk)}", "ready")
        assert ada.ask("GET", f"/api/jobs/{made['job']['id']}")["status"] == "queued"
    ada.until(f"/api/clips/{made['clip']['id']}", "completed")


def test_search_over_jobs_finds_them_by_owner_and_by_words(product: Product, ada: Person, ready: str) -> None:
    broken = ada.upload(b"Nothing to see here.\n" * 100)
    ada.until(f"/api/recordings/{broken}", "failed")

    def found(query: str) -> list[str]:
        items = product.operator.ask("GET", f"/api/ops/jobs?{query}")["items"]
        return [item["recording_id"] for item in items if item["user_id"] == ada.id]

    assert set(found(f"owner={ada.email}")) == {ready, broken}
    assert found("status=failed&q=media+file") == [broken]
    assert found(f"kind=detect&owner={ada.id}") == [ready]


def test_bulk_retry_of_all_that_match_mends_what_failed(product: Product, ada: Person, talk: bytes) -> None:
    recordings = [
        ada.ask("POST", "/api/recordings/import", {"url": f"{product.source.url}/talk.mp4"})["recording"]["id"]
        for _ in range(3)
    ]
    for recording_id in recordings:
        ada.until(f"/api/recordings/{recording_id}", "failed")
    (product.source.folder / "talk.mp4").write_bytes(talk)
    matching = {"filter": {"kind": "import", "status": "failed", "owner": ada.email}}
    preview = product.operator.ask("POST", "/api/ops/jobs/retry", {**matching, "preview": True})
    assert (preview["matched"], preview["changed"]) == (3, 0)
    assert product.operator.ask("POST", "/api/ops/jobs/retry", matching)["changed"] == 3
    for recording_id in recordings:
        ada.until(f"/api/recordings/{recording_id}", "ready")


def test_cancel_of_a_running_job_stops_its_work(product: Product, ada: Person, tmp_path: Path) -> None:
    long = make_media(tmp_path / "long.mp4", duration_s=60, size="1280x720").read_bytes()
    recording_id = ada.upload(long)
    ada.until(f"/api/recordings/{recording_id}", "ready")
    made = ada.clip(recording_id, start_s=0.0, end_s=59.0, formats=["webm"], accuracy="encode")
    ada.until(f"/api/jobs/{made['job']['id']}", "running")
    encoders: list[psutil.Process] = wait_for(lambda: children(product.worker), what="a media child")
    ada.ask("POST", f"/api/jobs/{made['job']['id']}/cancel")
    ada.until(f"/api/jobs/{made['job']['id']}", "cancelled")
    wait_for(lambda: all_gone(encoders), what="the end of the encoder")
    assert ada.ask("GET", f"/api/clips/{made['clip']['id']}")["status"] == "cancelled"
    assert events_of(product, made["job"]["id"])[-1] == "cancelled"


def test_view_of_which_tenant_fills_the_queue(product: Product, ada: Person, ready: str, talk: bytes) -> None:
    bob = product.person()
    own = bob.upload(talk)
    bob.until(f"/api/recordings/{own}", "ready")
    with paused(product, "render"):
        for place in range(5):
            ada.clip(ready, start_s=float(place), end_s=place + 6.0)
        bob.clip(own)
        seen: Callable[[], list[Any]] = lambda: product.operator.ask("GET", "/api/ops/tenants")["items"]  # noqa: E731
        assert [(tenant["email"], tenant["waiting"]) for tenant in seen()][:2] == [(ada.email, 5), (bob.email, 1)]
        product.operator.ask("POST", "/api/ops/jobs/cancel", {"filter": {"kind": "render", "status": "queued"}})
        assert not any(tenant["waiting"] for tenant in seen() if tenant["email"] in (ada.email, bob.email))
