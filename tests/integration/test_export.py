"""The archive of everything that the service has of a user."""

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zipfile import ZipFile

import pytest
from support.api.server import Service, refused
from support.api.webhook_worker import Worker

from db.connection import SERVICE
from services.jobs.service import Job
from workers.actors.export import EXPORT
from workers.attempt import Attempt
from workers.runtime import Runtime


@pytest.fixture
def runtime(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    working = Worker(service.deps.database, service.deps.buckets, tmp_path_factory.mktemp("scratch") / "root", [])
    yield working.runtime
    working.runtime.scratch.close()


def work(service: Service, runtime: Runtime, job: Job) -> dict[str, object]:
    publish = EXPORT[job.kind](runtime, Attempt(job))
    with service.deps.database.transaction(SERVICE) as tx:
        return dict(publish(tx) or {})


def test_archive_holds_data_and_clips_and_nothing_that_opens_doors(service: Service, runtime: Runtime) -> None:
    person = service.person(tier="pro")
    clip_id = service.ready_clip(person, title="The <demo>")
    person.post(f"/api/clips/{clip_id}/share", {"platform": "direct_link"})
    person.post("/api/me/keys", {"name": "script"})
    service.ready_clip(service.person())
    refused(person.get("/api/me/export"), 404)
    begun = person.post("/api/me/export")
    assert begun.status_code == 202
    again = person.post("/api/me/export").json()["data"]
    assert again["export"]["id"] == begun.json()["data"]["export"]["id"]
    assert person.get("/api/me/export").json()["data"]["url"] is None
    assert person.get(f"/api/jobs/{again['job']['id']}").json()["data"]["kind"] == "export_account"
    assert work(service, runtime, service.begin(again["job"]["id"]))["status"] == "ready"
    ready = person.get("/api/me/export").json()["data"]
    assert ready["status"] == "ready"
    downloaded = service.client.get(ready["url"])
    assert len(downloaded.content) == ready["size_bytes"]
    with ZipFile(io.BytesIO(downloaded.content)) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        (clip,) = names - {"data.json"}
        assert clip.endswith("The demo.mp4")
        assert archive.read(clip) == b"the moving images"
        text = archive.read("data.json").decode()
    data = json.loads(text)
    assert data["account"]["email"] == person.email
    counted = {
        name: len(data[name]) for name in ("recordings", "highlights", "clips", "shares", "api_keys", "sessions")
    }
    assert counted == {"recordings": 1, "highlights": 5, "clips": 1, "shares": 1, "api_keys": 1, "sessions": 1}
    assert not {"password_hash", "key_hash", "source_key", "upload_id", "token_hash"} & set(text.split('"'))
    mails = service.rows("SELECT kind, recipient FROM mails")
    assert [(mail["kind"], mail["recipient"]) for mail in mails] == [("export_ready", person.email)]


def test_archive_goes_after_a_week(service: Service, runtime: Runtime) -> None:
    person = service.person()
    job = person.post("/api/me/export").json()["data"]["job"]
    work(service, runtime, service.begin(job["id"]))
    (row,) = service.rows("SELECT key, expires_at FROM exports")
    assert timedelta(days=6) < row["expires_at"] - datetime.now(UTC) <= timedelta(days=7)
    service.execute("UPDATE exports SET expires_at = now() - interval '1 second'")
    swept = service.rows("INSERT INTO jobs (kind, queue) VALUES ('expire_exports', 'housekeeping') RETURNING id")
    assert work(service, runtime, service.begin(str(swept[0]["id"])))["expired"] == 1
    assert list(service.deps.buckets.clips.list_objects(f"{person.id}/exports/")) == []
    shown = person.get("/api/me/export").json()["data"]
    assert (shown["status"], shown["url"]) == ("expired", None)


def test_export_whose_job_failed_can_be_asked_for_again(service: Service) -> None:
    person = service.person()
    first = person.post("/api/me/export").json()["data"]
    service.execute("DELETE FROM jobs")
    assert person.get("/api/me/export").json()["data"]["status"] == "failed"
    assert person.post("/api/me/export").json()["data"]["export"]["id"] != first["export"]["id"]
