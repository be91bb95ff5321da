"""The API in this process, on real servers, for tests that speak HTTP to it."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import httpx
import msgspec
from litestar import Litestar
from litestar.testing import TestClient

from api.app import create_app, open_deps
from api.deps import Deps
from api.http.edge import EdgeLimits
from api.processes.serving import ApiServer, config_of
from api.realtime.limits import Limits
from api.realtime.server import Realtime
from db.connection import SERVICE
from db.leases import Completion
from services.clips import state as clip_states
from services.jobs.service import Job, lease_of
from services.lifecycle import outcome as lifecycle
from services.process.settings import Settings
from services.recordings import highlights
from services.recordings import service as recordings
from storage.factory import Buckets
from storage.keys import clip_key, ingest_key, source_key

PASSWORD = "a password of some length"
LOCAL = "http://testserver.local"
PROBE = {"container": "mp4", "streams": []}
SCORES = (0.95, 0.8, 0.72, 0.6, 0.3)
FILES = {
    "mp4": ("clip.mp4", "video/mp4", b"the moving images"),
    "jpeg": ("thumbnail.jpg", "image/jpeg", b"the thumbnail"),
}


def moment(score: float, start_s: float, *, length_s: float = 10, kind: str = "humor") -> dict[str, Any]:
    """A candidate as detection finds it."""
    return {
        "start_s": start_s,
        "end_s": start_s + length_s,
        "core_start_s": start_s + 1,
        "core_end_s": start_s + length_s - 1,
        "peak_s": start_s + length_s / 2,
        "score": score,
        "kind": kind,
        "kind_confidence": 0.9,
        "reasons": [{"signal": "loudness", "weight": 1.0, "contribution": score}],
    }


class Person:
    """Somebody with an account, and a client that carries the token of a session."""

    def __init__(self, client: TestClient[Litestar], *, email: str, account: dict[str, Any]) -> None:
        self._client = client
        self.email = email
        self.id = UUID(account["id"])
        self.token = account["token"]

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return self._client.request(method, path, headers=headers, follow_redirects=False, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        return self.request("POST", path, **({} if json is None else {"json": json}), **options)

    def patch(self, path: str, json: Any) -> httpx.Response:
        return self.request("PATCH", path, json=json)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", path, **options)


class Service:
    """The application under test and what is behind it."""

    def __init__(self, client: TestClient[Litestar], deps: Deps, app: Litestar) -> None:
        self.owner_url = deps.settings.migration_database_url
        self.client = client
        self.deps = deps
        self.app = app

    def person(self, *, tier: str = "free", is_admin: bool = False) -> Person:
        email = f"{secrets.token_hex(6)}@example.org"
        answer = self.client.post("/api/auth/signup", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        person = Person(self.client, email=email, account=answer.json()["data"])
        with self.deps.database.transaction(SERVICE) as tx:
            if tier != "free":
                tx.execute(
                    "UPDATE subscriptions SET tier = %s, status = 'active' WHERE user_id = %s", (tier, person.id)
                )
            if is_admin:
                tx.execute("UPDATE users SET is_admin = true WHERE id = %s", (person.id,))
        return person

    def metrics(self) -> str:
        """What Prometheus is told."""
        headers = {"Authorization": f"Bearer {self.deps.settings.admin_token}"}
        answer = self.client.get("/metrics", headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.text

    def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        with self.deps.database.transaction(SERVICE) as tx:
            return tx.execute(statement, values).fetchall()

    def execute(self, statement: str, **values: Any) -> None:
        with self.deps.database.transaction(SERVICE) as tx:
            tx.execute(statement, values)

    def upload(self, person: Person, parts: Sequence[bytes] = (b"x" * 1000,), **announced: Any) -> str:
        """Announce a recording and store its parts; returns its id."""
        size_bytes = sum(map(len, parts))
        body = {"filename": "talk.mp4", "size_bytes": size_bytes, "content_type": "video/mp4", **announced}
        data = person.post("/api/recordings", body).json()["data"]
        for part, content in zip(data["upload"]["parts"], parts, strict=True):
            assert self.client.put(part["url"], content=content).status_code == 200
        return str(data["recording"]["id"])

    def tags(self, person: Person, recording_id: str) -> list[dict[str, Any]]:
        """The stored parts, as `complete` wants them."""
        stored = person.get(f"/api/recordings/{recording_id}/parts").json()["data"]["parts"]
        return [{"number": part["number"], "etag": part["etag"]} for part in stored]

    def ready_recording(  # noqa: PLR0913 - keyword-only, one a trait
        self,
        person: Person,
        *,
        duration_s: float = 120.0,
        scores: Sequence[float] = SCORES,
        has_audio: bool = True,
        has_video: bool = True,
        title: str = "Talk",
    ) -> str:
        """A recording whose ingest and detection are behind it, with a moment every 20 s; returns its id."""
        recording_id = uuid4()
        store = self.deps.buckets.recordings
        key = source_key(person.id, recording_id)
        store.put_bytes(key, b"source", content_type="video/mp4")
        waveform = ingest_key(person.id, recording_id, 1, "waveform.json")
        store.put_bytes(
            waveform,
            b'{"rate":10.0,"duration_s":120.0,"peaks":[1,2,3],"keyframes_s":[0.0,2.0]}',
            content_type="application/json",
        )
        curve = ingest_key(person.id, recording_id, 1, "curve.json")
        store.put_bytes(curve, b'{"rate":10.0,"values":[0.1,0.9]}', content_type="application/json")
        with self.deps.database.transaction(SERVICE) as tx:
            tx.execute(
                "INSERT INTO recordings (id, user_id, title, filename, content_type, size_bytes, status, source_key) "
                "VALUES (%s, %s, %s, 'talk.mp4', 'video/mp4', 6, 'processing', %s)",
                (recording_id, person.id, title, key),
            )
            recordings.publish_ingest(
                tx,
                recording_id=recording_id,
                probe=PROBE,
                duration_s=duration_s,
                has_audio=has_audio,
                has_video=has_video,
                size_bytes=6,
                timeline_key=ingest_key(person.id, recording_id, 1, "timeline.bin"),
                index_key=None,
                waveform_key=waveform,
                poster_key=None,
                tagger=None,
                tags_key=None,
            )
            items = [moment(score, 20.0 * number) for number, score in enumerate(scores)]
            highlights.replace(tx, recording_id=recording_id, user_id=person.id, items=items)
            recordings.mark_ready(tx, recording_id=recording_id, curve_key=curve)
        return str(recording_id)

    def begin(self, job_id: str) -> Job:
        """Claim a job as a worker does."""
        with self.deps.database.transaction(SERVICE) as tx:
            row = tx.execute(
                "UPDATE jobs SET dispatched_at = now(), dispatch_no = dispatch_no + 1 WHERE id = %s "
                "RETURNING dispatch_no",
                (job_id,),
            ).fetchone()
            assert row is not None
            (job,) = lifecycle.claim(tx, [(UUID(job_id), row["dispatch_no"])], worker_id=uuid4())
        return job

    def finish_clip(self, clip_id: str, job: Job, *, files: Sequence[str] = ("mp4", "jpeg")) -> None:
        """Publish a clip as a render does."""
        assert job.user_id is not None
        objects = {}
        for name in files:
            file_name, content_type, content = FILES[name]
            key = clip_key(job.user_id, UUID(clip_id), job.attempt, file_name)
            self.deps.buckets.clips.put_bytes(key, content, content_type=content_type)
            objects[name] = {
                "key": key,
                "content_type": content_type,
                "size_bytes": len(content),
                "duration_s": 10.0,
                "width": 640,
                "height": 360,
                "copied_s": 8.0,
                "encoded_s": 2.0,
            }

        def publish(tx: Any) -> dict[str, Any]:
            clip_states.publish(tx, clip_id=UUID(clip_id), objects=objects, notes=[])
            return {"formats": list(files)}

        with self.deps.database.transaction(SERVICE) as tx:
            lifecycle.complete(tx, [Completion(lease=lease_of(job), publish=publish)])

    def ready_clip(self, person: Person, recording_id: str | None = None, **asked: Any) -> str:
        """A clip that is completed; returns its id."""
        body = {"recording_id": recording_id or self.ready_recording(person), "start_s": 10, "end_s": 20, **asked}
        answer = person.post("/api/clips", body)
        assert answer.status_code == 202, answer.text
        data = answer.json()["data"]
        self.finish_clip(data["clip"]["id"], self.begin(data["job"]["id"]))
        return str(data["clip"]["id"])

    def person_download(self, person: Person, **asked: Any) -> str:
        """Where the file of a new clip lies."""
        clip_id = self.ready_clip(person, **asked)
        return str(person.get(f"/api/clips/{clip_id}/download").headers["Location"])


class Site(NamedTuple):
    """The API with Socket.IO, in a thread of this process: enough for pages on which no job runs."""

    url: str
    owner_url: str
    """The owner of its database's tables."""


@contextmanager
def serving(
    settings: Settings, *, with_storage: Callable[[Buckets], Buckets] = lambda buckets: buckets
) -> Iterator[Service]:
    """Run the API for as long as the block; its addresses are those that the test's client understands.

    `with_storage` may put something in the place of the storage.
    """
    deps = open_deps(msgspec.structs.replace(settings, public_url=LOCAL))
    deps = msgspec.structs.replace(deps, buckets=with_storage(deps.buckets))
    app = create_app(deps)
    with TestClient(app, base_url=LOCAL, raise_server_exceptions=False) as client:
        yield Service(client, deps, app)


@contextmanager
def listening(
    settings: Settings, limits: Limits | None = None, *, edge: EdgeLimits | None = None
) -> Iterator[tuple[str, ApiServer]]:
    """Run the API with Socket.IO on a port, as `snuggles api --with-sockets` does but in a thread of this process."""
    deps = open_deps(msgspec.structs.replace(settings, host="127.0.0.1"))
    realtime = Realtime(deps, limits=limits)
    app = realtime.mount(create_app(deps, background=[realtime.running]))
    server = ApiServer(config_of(app, deps.settings, edge), deps)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{settings.port}", server
    finally:
        server.should_exit = True
        thread.join(20)


def refused(answer: httpx.Response, status: int, field: str | None = None) -> dict[str, Any]:
    """The error of an answer that must be a failure with this status, about this field."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["success"] is False
    error = dict(body["error"])
    assert error["message"].endswith((".", "!"))
    if field is not None:
        assert error["details"]["field"] == field
    return error
