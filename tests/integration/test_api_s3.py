"""The same upload, when the bytes go to a real S3 and not through the API."""

import secrets

import httpx
from msgspec.structs import replace
from support.api.server import serving
from support.storage.swift import SwiftServer

from services.process.settings import Settings
from services.recordings.upload import LEAST_PART_BYTES
from storage.s3 import S3Store

PARTS = (b"a" * LEAST_PART_BYTES, b"b" * 1000)


def test_parts_go_to_storage_and_the_clip_comes_from_there(settings: Settings, swift_server: SwiftServer) -> None:
    mark = secrets.token_hex(4)
    names = {"s3_bucket_recordings": f"recordings-{mark}", "s3_bucket_clips": f"clips-{mark}"}
    for bucket in names.values():
        S3Store(swift_server.access, bucket=bucket).ensure_bucket()
    found = {name.lower(): value for name, value in swift_server.environment.items()}
    with serving(replace(settings, **found, **names)) as service:
        assert service.client.get("/ready").status_code == 200
        assert not any("/storage/" in route.path for route in service.app.routes)
        person = service.person()
        body = {"filename": "talk.mp4", "size_bytes": sum(map(len, PARTS)), "content_type": "video/mp4"}
        data = person.post("/api/recordings", body).json()["data"]
        path = f"/api/recordings/{data['recording']['id']}"
        tags = []
        for part, content in zip(data["upload"]["parts"], PARTS, strict=True):
            answer = httpx.put(part["url"], content=content)
            assert answer.status_code == 200, answer.text
            tags.append({"number": part["number"], "etag": answer.headers["ETag"]})
        stored = person.get(f"{path}/parts").json()["data"]
        assert [part["size_bytes"] for part in stored["parts"]] == [len(content) for content in PARTS]
        wrong = [tags[0], {"number": 2, "etag": "0" * 32}]
        assert person.post(f"{path}/complete", {"parts": wrong}).status_code == 422
        assert person.post(f"{path}/complete", {"parts": tags[:1]}).status_code == 422
        for _ in range(2):
            assert person.post(f"{path}/complete", {"parts": tags}).status_code == 202
        url = service.person_download(person, title="Öl")
        with httpx.stream("GET", url, headers={"Range": "bytes=4-9"}) as answer:
            assert (answer.status_code, answer.read()) == (206, b"moving")
            assert "attachment" in answer.headers["Content-Disposition"]


def test_deleted_upload_leaves_no_parts_in_s3(settings: Settings, swift_server: SwiftServer) -> None:
    bucket = f"recordings-{secrets.token_hex(4)}"
    store = S3Store(swift_server.access, bucket=bucket)
    store.ensure_bucket()
    found = {name.lower(): value for name, value in swift_server.environment.items()}
    with serving(replace(settings, **found, s3_bucket_recordings=bucket)) as service:
        person = service.person()
        body = {"filename": "talk.mp4", "size_bytes": 10, "content_type": "video/mp4"}
        data = person.post("/api/recordings", body).json()["data"]
        assert httpx.put(data["upload"]["parts"][0]["url"], content=b"0123456789").status_code == 200
        assert len(list(store.list_uploads())) == 1
        assert person.delete(f"/api/recordings/{data['recording']['id']}").status_code == 200
        assert list(store.list_uploads()) == []
