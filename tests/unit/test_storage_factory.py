from pathlib import Path
from urllib.parse import urlsplit

import pytest

from storage.factory import open_buckets, split_endpoint
from storage.local import LocalStore
from storage.s3 import S3Store
from storage.store import StorageError

SECRET = b"a secret of thirty-two bytes, yes"


def test_without_an_endpoint_the_folder_is_used(tmp_path: Path) -> None:
    buckets = open_buckets(s3_endpoint=None, local_root=tmp_path / "data", base_url="http://x", secret=SECRET)
    assert isinstance(buckets.recordings, LocalStore)
    assert buckets.local == {"recordings": buckets.recordings, "clips": buckets.clips}
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["clips", "recordings"]


def test_with_an_endpoint_signing_needs_no_network(tmp_path: Path) -> None:
    buckets = open_buckets(
        s3_endpoint="https://s3.invalid:9000",
        s3_public_endpoint="https://media.example/storage/v1/s3",
        s3_region="eu-west-1",
        s3_access_key="access",
        s3_secret_key="secret",
        recordings_bucket="my-recordings",
        local_root=tmp_path / "unused",
        base_url="http://x",
        secret=SECRET,
    )
    assert isinstance(buckets.clips, S3Store)
    assert buckets.local == {}
    assert not (tmp_path / "unused").exists()
    outer = urlsplit(buckets.recordings.presign_get("a/b", expires_s=60))
    assert (outer.netloc, outer.path) == ("media.example", "/storage/v1/s3/my-recordings/a/b")
    inner = urlsplit(buckets.recordings.child_source("a/b", expires_s=60))
    assert (inner.scheme, inner.netloc, inner.path) == ("https", "s3.invalid:9000", "/my-recordings/a/b")
    assert "eu-west-1" in inner.query


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("https://s3.example", ("s3.example", True)),
        ("http://127.0.0.1:9000/", ("127.0.0.1:9000", False)),
        ("s3.example:443", ("s3.example:443", True)),
        ("https://x.supabase.co/storage/v1/s3/", ("x.supabase.co/storage/v1/s3", True)),
    ],
)
def test_endpoint_is_split_into_host_and_security(endpoint: str, expected: tuple[str, bool]) -> None:
    assert split_endpoint(endpoint) == expected


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "ftp://s3.example",
        "https://",
        "https://u:hidden@s3.example",
        "https://@s3.example",
        "https://x?y=hidden",
        "https://x#y",
        "https://x:99999",
        "http://[::1",
    ],
)
def test_endpoint_that_cannot_be_signed_for_is_refused(endpoint: str) -> None:
    with pytest.raises(StorageError, match="must look like https://host:port or https://host/path") as refused:
        split_endpoint(endpoint)
    assert "hidden" not in str(refused.value)
