"""What the contract suite of object stores shares: both adapters, on real servers."""

import hashlib
import secrets
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
import pytest
from support.storage.local_store import served_folders
from support.storage.swift import SwiftServer

from storage.multipart import MIN_PART_BYTES
from storage.s3 import S3Store
from storage.store import (
    PartLayout,
    PartTag,
    Store,
)

MIB = 1024 * 1024
EXPIRY_PATIENCE_S = 20
KEY = "owner/recording/source"
LAYOUT = PartLayout(size_bytes=4 * MIN_PART_BYTES, part_bytes=MIN_PART_BYTES)
NewStore = Callable[[], Store]


def s3_stores(server: SwiftServer) -> NewStore:
    def new_store() -> Store:
        # Pages of two, so that the suite turns pages.
        store = S3Store(server.access, bucket=f"test-{secrets.token_hex(8)}", page_size=2)
        store.ensure_bucket()
        return store

    return new_store


@pytest.fixture(scope="module", params=["local", "s3"])
def new_contract_store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NewStore]:
    if request.param == "s3":
        yield s3_stores(request.getfixturevalue("swift_server"))
        return
    with served_folders(tmp_path_factory.mktemp("storage")) as new_local:
        yield new_local


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def upload_part(http: httpx.Client, store: Store, upload: tuple[str, str], number: int, data: bytes) -> PartTag:
    key, upload_id = upload
    answer = http.put(store.presign_part(key, upload_id, number, expires_s=60), content=data)
    assert answer.status_code == 200, answer.text
    return PartTag(number=number, etag=answer.headers["etag"])


def with_query(url: str, change: Callable[[dict[str, str]], dict[str, str]]) -> str:
    parts = urlsplit(url)
    query = change(dict(parse_qsl(parts.query, keep_blank_values=True)))
    return urlunsplit(parts._replace(query=urlencode(query)))
