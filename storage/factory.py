"""Opens the two buckets of an installation, in S3 if an endpoint is configured, else in a local folder."""

import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from storage.guarded import GuardedStore
from storage.local import LocalStore
from storage.s3 import S3Store
from storage.s3_client import S3Access
from storage.store import StorageError, Store

RECORDINGS_BUCKET = "recordings"
CLIPS_BUCKET = "clips"


class Buckets(Struct, frozen=True):
    """The two buckets of a process. `local` has them by name if they are folders, which `api.routes.storage` serves."""

    recordings: Store
    clips: Store
    local: dict[str, LocalStore] = {}


def guarded(buckets: Buckets, check: Callable[[str], None]) -> Buckets:
    """Return the same buckets, which call `check("storage")` before every request to the storage."""
    return Buckets(GuardedStore(buckets.recordings, check), GuardedStore(buckets.clips, check), buckets.local)


def open_s3_buckets(
    access: S3Access,
    *,
    recordings_bucket: str = RECORDINGS_BUCKET,
    clips_bucket: str = CLIPS_BUCKET,
    create_buckets: bool = False,
) -> Buckets:
    """Return the buckets of an S3 service, without a request to it unless `create_buckets`."""
    recordings = S3Store(access, bucket=recordings_bucket)
    clips = S3Store(access, bucket=clips_bucket)
    if create_buckets:
        recordings.ensure_bucket()
        clips.ensure_bucket()
    return Buckets(recordings, clips)


def open_local_buckets(  # noqa: PLR0913 - the same
    root: Path,
    *,
    base_url: str,
    secret: bytes,
    recordings_bucket: str = RECORDINGS_BUCKET,
    clips_bucket: str = CLIPS_BUCKET,
    reserve_bytes: int = 0,
    clock: Callable[[], float] = time.time,
) -> Buckets:
    """Return the buckets of a local folder, creating it; `base_url` is where clients reach the API.

    They leave `reserve_bytes` of the disk free.
    """
    local = {
        bucket: LocalStore(
            root, bucket=bucket, base_url=base_url, secret=secret, reserve_bytes=reserve_bytes, clock=clock
        )
        for bucket in (recordings_bucket, clips_bucket)
    }
    return Buckets(local[recordings_bucket], local[clips_bucket], local)


def open_buckets(  # noqa: PLR0913 - one argument per setting; storage does not know the settings
    *,
    s3_endpoint: str | None,
    s3_region: str = "us-east-1",
    s3_access_key: str = "",
    s3_secret_key: str = "",
    s3_public_endpoint: str | None = None,
    recordings_bucket: str = RECORDINGS_BUCKET,
    clips_bucket: str = CLIPS_BUCKET,
    local_root: Path,
    base_url: str,
    secret: bytes,
    reserve_bytes: int = 0,
    create_buckets: bool = False,
) -> Buckets:
    """Return the configured buckets: S3 if `s3_endpoint` is set, else folders below `local_root`.

    Endpoints are `https://host[:port][/path]`, `http://…`, or without a scheme, which means HTTPS.
    """
    if not s3_endpoint:
        return open_local_buckets(
            local_root,
            base_url=base_url,
            secret=secret,
            recordings_bucket=recordings_bucket,
            clips_bucket=clips_bucket,
            reserve_bytes=reserve_bytes,
        )
    endpoint, secure = split_endpoint(s3_endpoint)
    public = split_endpoint(s3_public_endpoint) if s3_public_endpoint else None
    access = S3Access(
        endpoint=endpoint,
        secure=secure,
        region=s3_region,
        access_key=s3_access_key,
        secret_key=s3_secret_key,
        public_endpoint=public[0] if public else None,
        public_secure=public[1] if public else secure,
    )
    return open_s3_buckets(
        access, recordings_bucket=recordings_bucket, clips_bucket=clips_bucket, create_buckets=create_buckets
    )


def split_endpoint(endpoint: str) -> tuple[str, bool]:
    """Return (host[:port][/path], whether HTTPS) of an endpoint; StorageError when it is invalid.

    The message does not repeat the endpoint, which may contain a key or a password.
    """
    try:
        url = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
        is_plain = url.scheme in {"http", "https"} and bool(url.hostname) and "@" not in url.netloc and url.port != 0
    except ValueError:
        is_plain = False
    if not is_plain or url.query or url.fragment:
        raise StorageError(
            "The S3 endpoint must look like https://host:port or https://host/path. Keys are settings of their own: "
            "S3_ACCESS_KEY and S3_SECRET_KEY."
        )
    return url.netloc + url.path.rstrip("/"), url.scheme == "https"
