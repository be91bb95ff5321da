"""The S3 adapter beyond the contract: a server that is away, refuses, dies in between, or fails late."""

import os
import secrets
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
from support.servers.talking_server import Server, answer
from support.storage.swift import MOUNT, SwiftServer

from storage.multipart import MIN_PART_BYTES
from storage.s3 import S3Store
from storage.s3_client import S3Access
from storage.store import ObjectNotFoundError, PartTag, StorageError

MIB = 1024 * 1024
KEY = "owner/thing/source"
MEMORY_LIMIT = 96 * MIB  # of Python objects: a few 16 MiB parts, whatever the file's size


@pytest.fixture
def store(swift_server: SwiftServer) -> S3Store:
    store = S3Store(swift_server.access, bucket=f"test-{secrets.token_hex(8)}")
    store.ensure_bucket()
    return store


@pytest.fixture
def own_swift(tmp_path: Path, swift_server: SwiftServer) -> Iterator[SwiftServer]:
    """A Swift that a test may kill; the shared one is asked for so that Swift is known to be installed."""
    assert swift_server.port
    server = SwiftServer(tmp_path)
    server.start()
    yield server
    server.stop()


def talking(server: Server) -> S3Store:
    access = S3Access(
        endpoint=f"127.0.0.1:{server.port}", secure=False, region="us-east-1", access_key="a", secret_key="s"
    )
    return S3Store(access, bucket="bucket")


def test_bucket_is_made_once(store: S3Store) -> None:
    store.put_bytes(KEY, b"x", content_type="video/mp4")
    store.ensure_bucket()
    assert store.get_range(KEY, 0, 1) == b"x"


def test_service_below_a_path_takes_every_kind_of_request(swift_server: SwiftServer, tmp_path: Path) -> None:
    access = msgspec.structs.replace(swift_server.access_below_a_path, public_endpoint=None)
    store = S3Store(access, bucket=f"test-{secrets.token_hex(8)}", page_size=1)
    store.ensure_bucket()
    store.ping()
    (tmp_path / "file").write_bytes(b"0123456789")
    key = "owner/a b ü+%/source"
    store.put_file(key, tmp_path / "file", content_type="video/mp4")
    assert store.get_range(key, 3, 4) == b"3456"
    assert store.stat(key).size_bytes == 10
    for url in (store.presign_get(key, expires_s=60, filename="ü.mp4"), store.child_source(key, expires_s=60)):
        assert urlsplit(url).path.startswith(f"{MOUNT}/{store.bucket}/")
        assert httpx.get(url, headers={"Range": "bytes=2-4"}).content == b"234"
        assert httpx.get(url.replace(MOUNT, "")).status_code == 403
    assert httpx.put(store.presign_put("other", expires_s=60), content=b"x").status_code == 200
    upload_id = store.create_multipart("parts", content_type="video/mp4")
    assert [upload.upload_id for upload in store.list_uploads()] == [upload_id]
    bodies = [b"1" * MIN_PART_BYTES, b"2"]
    for number, body in enumerate(bodies, 1):
        assert httpx.put(store.presign_part("parts", upload_id, number, expires_s=60), content=body).status_code == 200
    tags = [PartTag(number=part.number, etag=part.etag) for part in store.list_parts("parts", upload_id)]
    assert store.complete_multipart("parts", upload_id, tags).size_bytes == MIN_PART_BYTES + 1
    assert [found.key for found in store.list_objects("")] == ["other", key, "parts"]
    store.delete([key, "other", "parts"])
    assert list(store.list_objects("")) == []


def test_missing_bucket_fails_the_ping_and_every_write(swift_server: SwiftServer) -> None:
    store = S3Store(swift_server.access, bucket="test-none")
    with pytest.raises(StorageError, match="no bucket 'test-none'"):
        store.ping()
    with pytest.raises(StorageError):
        store.put_bytes(KEY, b"x", content_type="video/mp4")


def test_wrong_key_is_named_without_the_secret(store: S3Store, swift_server: SwiftServer) -> None:
    wrong = msgspec.structs.replace(swift_server.access, secret_key="a wrong secret")
    with pytest.raises(StorageError) as refused:
        S3Store(wrong, bucket=store.bucket).put_bytes(KEY, b"x", content_type="video/mp4")
    assert "SignatureDoesNotMatch" in str(refused.value)
    assert "a wrong secret" not in str(refused.value)


def test_closed_port_is_a_storage_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    access = S3Access(endpoint=f"127.0.0.1:{port}", secure=False, region="r", access_key="a", secret_key="s")
    with pytest.raises(StorageError, match="does not answer properly"):
        S3Store(access, bucket="bucket").ping()


@pytest.mark.parametrize("endpoint", ["https://s3.example", "s3.example/a b", "s3.example/../b", "s3.example//b"])
def test_endpoint_that_is_no_host_is_refused(endpoint: str) -> None:
    with pytest.raises(StorageError, match="cannot be used as an S3 endpoint"):
        S3Store(S3Access(endpoint=endpoint, region="r", access_key="a", secret_key="s"), bucket="bucket")


def test_large_file_passes_both_ways_in_constant_memory(store: S3Store, tmp_path: Path) -> None:
    size = 128 * MIB
    source = tmp_path / "source"
    with source.open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
    tracemalloc.start()
    try:
        store.put_file(KEY, source, content_type="video/mp4")
        assert tracemalloc.get_traced_memory()[1] < MEMORY_LIMIT
        tracemalloc.reset_peak()
        store.get_file(KEY, tmp_path / "copy")
        assert tracemalloc.get_traced_memory()[1] < MEMORY_LIMIT
    finally:
        tracemalloc.stop()
    with source.open("rb") as first, (tmp_path / "copy").open("rb") as second:
        while data := first.read(MIB):
            assert second.read(MIB) == data


def test_stream_that_is_not_read_to_its_end_gives_its_connection_back(swift_server: SwiftServer) -> None:
    access = msgspec.structs.replace(swift_server.access, max_connections=1)
    store = S3Store(access, bucket=f"test-{secrets.token_hex(8)}")
    store.ensure_bucket()
    store.put_bytes(KEY, bytes(MIB), content_type="video/mp4")
    for _ in range(3):
        with store.open(KEY) as stream:
            assert stream.read(10) == bytes(10)
    assert store.get_range(KEY, 0, 10) == bytes(10)


def test_server_that_dies_is_an_error_and_its_data_is_there_afterwards(own_swift: SwiftServer) -> None:
    store = S3Store(own_swift.access, bucket="bucket")
    store.ensure_bucket()
    store.put_bytes(KEY, b"kept", content_type="video/mp4")
    upload_id = store.create_multipart("owner/other", content_type="video/mp4")
    own_swift.kill()
    with pytest.raises(StorageError):
        store.get_range(KEY, 0, 4)
    own_swift.start()
    assert store.get_range(KEY, 0, 4) == b"kept"
    assert [upload.upload_id for upload in store.list_uploads()] == [upload_id]


LIST_PARTS = (
    b'<?xml version="1.0"?><ListPartsResult><IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber>'
    b"<ETag>9dd4e461268c8034f5c8564e155c67a6</ETag><Size>1</Size></Part></ListPartsResult>"
)
LATE_ERROR = b'<?xml version="1.0"?><Error><Code>InternalError</Code><Message>late</Message></Error>'


def test_completion_that_fails_after_a_good_status_is_an_error(serve: Callable[..., Server]) -> None:
    parts = answer(LIST_PARTS, Content_Type="application/xml")
    late = answer(LATE_ERROR, Content_Type="application/xml")
    server = serve(lambda connection, head: (late if head.startswith(b"POST") else parts)(connection, head))
    with pytest.raises(StorageError, match="could not join the parts") as failed:
        talking(server).complete_multipart(KEY, "id", [PartTag(number=1, etag="9dd4e461268c8034f5c8564e155c67a6")])
    assert not isinstance(failed.value, ObjectNotFoundError)


def test_connection_closed_between_requests_is_made_again_also_for_post(serve: Callable[..., Server]) -> None:
    created = (
        b'<?xml version="1.0"?><InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>'
    )
    said: list[bytes] = []

    def talk(connection: socket.socket, request: bytes) -> None:
        said.append(request)
        if len(said) > 1:  # the first connection is closed without an answer, as a server does with one that idled
            answer(created, Content_Type="application/xml")(connection, request)

    assert talking(serve(talk)).create_multipart(KEY, content_type="video/mp4") == "id"
    assert [request.split(b" ")[0] for request in said] == [b"POST", b"POST"]


def test_answer_that_is_no_s3_is_a_storage_error(serve: Callable[..., Server]) -> None:
    server = serve(answer(b"<html>It works!</html>", status=404, Content_Type="text/html"))
    store = talking(server)
    with pytest.raises(StorageError):
        store.get_range(KEY, 0, 1)
    with pytest.raises(StorageError):
        store.create_multipart(KEY, content_type="video/mp4")


def test_listing_that_is_no_xml_is_a_storage_error(serve: Callable[..., Server]) -> None:
    for body in (b"<half", b"{}", b"<Unexpected/>"):
        store = talking(serve(answer(body, Content_Type="application/xml")))
        with pytest.raises(StorageError):
            store.create_multipart(KEY, content_type="video/mp4")


@pytest.mark.parametrize("bucket", ["", "Upper", "a", "with/slash", "192.168.1.1"])
def test_bucket_name_that_s3_refuses_is_refused_at_once(swift_server: SwiftServer, bucket: str) -> None:
    with pytest.raises(StorageError):
        S3Store(swift_server.access, bucket=bucket)


def test_body_that_breaks_off_is_an_error_and_leaves_no_file(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(lambda connection, _: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"))
    store = talking(server)
    with pytest.raises(StorageError):
        store.get_file(KEY, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    with pytest.raises(StorageError), store.open(KEY) as stream:
        stream.read()
