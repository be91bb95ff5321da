"""Revoking a link of a clip on a public CDN: its files move, and what a visitor knew leads nowhere."""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace
from support.api.server import Person, Service, serving
from support.jobs import job

from db.connection import SERVICE
from services.process.settings import Settings
from storage.store import ObjectNotFoundError, StorageError, Store
from workers.actors.housekeeping import delete_objects
from workers.actors.relocation import relocate_clip
from workers.attempt import Attempt
from workers.completer import Result
from workers.execution import Work
from workers.runtime import Runtime

CDN = "https://cdn.example"


@pytest.fixture
def shared(settings: Settings) -> Iterator[Service]:
    with serving(replace(settings, clips_public_base_url=CDN)) as service:
        yield service


def link(person: Person, clip_id: str, **asked: Any) -> str:
    return str(person.post(f"/api/clips/{clip_id}/share", asked).json()["data"]["slug"])


def address(service: Service, slug: str) -> str:
    answer = service.client.get(f"/c/{slug}/media/mp4", follow_redirects=False)
    return str(answer.headers.get("Location", answer.status_code))


def key_of(service: Service, slug: str) -> str:
    return address(service, slug).removeprefix(f"{CDN}/")


def run(service: Service, runtime: Runtime, kind: str, work: Work) -> int:
    """Do the waiting jobs of a kind as a worker does; return how many."""
    database = service.deps.database
    with database.transaction(SERVICE) as tx:
        waiting = tx.execute(
            "DELETE FROM jobs WHERE kind = %s AND run_at <= now() RETURNING id, payload", (kind,)
        ).fetchall()
    for row in waiting:
        attempt = Attempt(job(id=row["id"], kind=kind, user_id=None, payload=row["payload"]))
        published = work(replace_buckets(runtime, service), attempt)
        if not isinstance(published, Result):
            with database.transaction(SERVICE) as tx:
                published(tx)
    return len(waiting)


def replace_buckets(runtime: Runtime, service: Service) -> Runtime:
    return replace(runtime, database=service.deps.database, buckets=service.deps.buckets)


def test_files_move_when_one_of_two_links_is_revoked(shared: Service, runtime: Runtime) -> None:
    person = shared.person()
    clip_id = shared.ready_clip(person)
    revoked, stays = link(person, clip_id), link(person, clip_id)
    before = key_of(shared, stays)
    content = shared.deps.buckets.clips.get_range(before, 0, 1000)
    assert person.delete(f"/api/clips/{clip_id}/share?slug={revoked}").json()["data"]["revoked"] == 1
    assert run(shared, runtime, "relocate_clip", relocate_clip) == 1
    assert run(shared, runtime, "delete_objects", delete_objects) == 1
    after = key_of(shared, stays)
    assert after.split("/")[:2] == before.split("/")[:2]
    assert int(after.split("/")[2]) >= 10**9
    assert shared.deps.buckets.clips.get_range(after, 0, 1000) == content
    with pytest.raises(ObjectNotFoundError):
        shared.deps.buckets.clips.stat(before)
    assert address(shared, revoked) == "404"
    assert len(list(shared.deps.buckets.clips.list_objects(""))) == len(
        shared.rows("SELECT jsonb_object_keys(objects) FROM clips")
    )


def test_clips_that_share_a_render_move_together(shared: Service, runtime: Runtime) -> None:
    person = shared.person()
    recording_id = shared.ready_recording(person)
    first, second = (
        shared.ready_clip(person, recording_id),
        person.post("/api/clips", {"recording_id": recording_id, "start_s": 10, "end_s": 20}).json()["data"]["clip"][
            "id"
        ],
    )
    mine, other = link(person, first), link(person, second)
    assert key_of(shared, mine) == key_of(shared, other)
    before = key_of(shared, other)
    person.delete(f"/api/clips/{first}/share")
    run(shared, runtime, "relocate_clip", relocate_clip)
    assert key_of(shared, other) != before
    assert shared.deps.buckets.clips.stat(key_of(shared, other))


def test_second_job_for_the_same_objects_moves_nothing(shared: Service, runtime: Runtime) -> None:
    person = shared.person()
    clip_id = shared.ready_clip(person)
    slugs = [link(person, clip_id) for _ in range(3)]
    for slug in slugs[:2]:
        person.delete(f"/api/clips/{clip_id}/share?slug={slug}")
    assert run(shared, runtime, "relocate_clip", relocate_clip) == 2
    assert run(shared, runtime, "delete_objects", delete_objects) == 1
    assert shared.deps.buckets.clips.stat(key_of(shared, slugs[2]))


class Losing:
    """A store whose copies are gone once they are looked at, as when a deletion began before."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def put_file(self, key: str, *_: Any, **__: Any) -> None:
        """Store nothing."""


def test_copies_that_were_lost_leave_the_clip_as_it_was(shared: Service, runtime: Runtime) -> None:
    person = shared.person()
    clip_id = shared.ready_clip(person)
    revoked, stays = link(person, clip_id), link(person, clip_id)
    before = key_of(shared, stays)
    person.delete(f"/api/clips/{clip_id}/share?slug={revoked}")
    buckets = shared.deps.buckets
    losing: Any = Losing(buckets.clips)
    with shared.deps.database.transaction(SERVICE) as tx:
        (found,) = tx.execute("SELECT id FROM jobs WHERE kind = 'relocate_clip'").fetchall()
        payload = tx.execute("SELECT payload FROM jobs WHERE id = %s", (found["id"],)).fetchone()
    assert payload is not None
    attempt = Attempt(job(kind="relocate_clip", user_id=None, payload=payload["payload"]))
    there = replace(runtime, database=shared.deps.database, buckets=replace(buckets, clips=losing))
    with pytest.raises(StorageError):
        relocate_clip(there, attempt)
    assert key_of(shared, stays) == before
    assert shared.deps.buckets.clips.stat(before)


def test_link_with_an_end_is_signed_and_one_without_leads_to_the_cdn(shared: Service) -> None:
    person = shared.person()
    clip_id = shared.ready_clip(person)
    ends, stays = link(person, clip_id, expires_at="2100-01-01T00:00:00Z"), link(person, clip_id)
    assert "signature=" in address(shared, ends)
    assert address(shared, stays).startswith(f"{CDN}/{person.id}/")


def test_without_a_cdn_nothing_moves(service: Service) -> None:
    person = service.person()
    clip_id = service.ready_clip(person)
    link(person, clip_id)
    person.delete(f"/api/clips/{clip_id}/share")
    assert service.rows("SELECT 1 FROM jobs WHERE kind = 'relocate_clip'") == []
