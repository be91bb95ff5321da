"""Configures the MinIO client, and maps its errors to those of the storage protocol."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import SplitResult
from xml.etree import ElementTree as ET

import certifi
import urllib3
from minio import Minio
from minio.error import MinioException, S3Error, ServerError
from minio.helpers import BaseURL
from msgspec import Struct

from storage.store import InvalidPartError, ObjectNotFoundError, StorageError

CONNECT_TIMEOUT_S: Final = 5.0
READ_TIMEOUT_S: Final = 60.0  # without a byte; a service may join a large upload before it begins its answer
POOL_TIMEOUT_S: Final = 30.0  # for a free connection, so that leaked streams cause an error and not a deadlock
NOT_FOUND: Final = frozenset({"NoSuchKey", "NoSuchUpload", "NoSuchBucket", "ResourceNotFound"})
_PLAIN_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[\w.~-]+)+", re.ASCII)
_INVALID_PART: Final = frozenset({"InvalidPart", "InvalidPartOrder", "EntityTooSmall"})


class S3Access(Struct, frozen=True, kw_only=True):
    """The address of an S3 service, and our credentials.

    `endpoint` is host[:port], with a path if the service has one. URLs for clients use `public_endpoint` and
    `public_secure`, because clients may reach the service by another name. The region is configured, so that signing
    needs no network.
    """

    endpoint: str
    region: str
    access_key: str
    secret_key: str
    secure: bool = True
    public_endpoint: str | None = None
    public_secure: bool = True
    max_connections: int = 32
    """For each store: at least the number of threads that use it at once."""


class _TimedPool(urllib3.PoolManager):
    """Waits for a free connection for a limited time; urllib3 alone would wait forever."""

    def urlopen(self, method: str, url: str, redirect: bool = True, **kwargs: Any) -> urllib3.BaseHTTPResponse:  # type: ignore[override] # noqa: FBT001, FBT002 - urllib3's own signature
        kwargs.setdefault("pool_timeout", POOL_TIMEOUT_S)
        return super().urlopen(method, url, redirect, **kwargs)


class RangeError(StorageError):
    """The range begins after the end of the object."""


def connect(access: S3Access, *, endpoint: str, secure: bool) -> Minio:
    """Return a client with a timeout on every wait; StorageError when the endpoint is not host[:port][/path]."""
    retries = urllib3.Retry(
        total=3,
        backoff_factor=0.2,
        status_forcelist=[500, 502, 503, 504],
        raise_on_status=False,
        # urllib3 does not retry POST by default. We do, because a server may close an idle connection just as it is
        # used again: joining or deleting twice has the same effect, and the sweep removes an upload begun twice.
        allowed_methods=None,
    )
    pool = _TimedPool(
        maxsize=access.max_connections,
        block=True,
        timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
        retries=retries,
        cert_reqs="CERT_REQUIRED",
        ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
    )
    host, _, path = endpoint.partition("/")
    try:
        client = Minio(
            host,
            access_key=access.access_key,
            secret_key=access.secret_key,
            region=access.region,
            secure=secure,
            http_client=pool,
        )
        if path:
            # minio-py does not accept a path in an endpoint; it signs and requests the URLs that this builds.
            client._base_url = _AddressBelow(f"/{path}", client._base_url, access.region)  # noqa: SLF001
    except ValueError as error:
        message = f"{endpoint!r} cannot be used as an S3 endpoint: {error}. Give host[:port][/path]."
        raise StorageError(message) from error
    return client


class _AddressBelow(BaseURL):
    """The address of a service below a path of its host, such as Supabase's, with the bucket in the path."""

    def __init__(self, path: str, base: BaseURL, region: str) -> None:
        if not _PLAIN_PATH.fullmatch(path):
            raise ValueError("its path may hold letters, digits and ._~- between single slashes")
        super().__init__(f"{'https' if base.is_https else 'http'}://{base.host}", region)
        self._path = path
        self.virtual_style_flag = False

    def build(self, **wanted: Any) -> SplitResult:
        """Return the URL of a bucket or object."""
        url = super().build(**wanted)
        return url._replace(path=self._path + url.path)


@contextmanager
def wrapped_errors(what: str) -> Iterator[None]:
    """Turn errors of the client and the network into errors of the protocol."""
    try:
        yield
    except S3Error as error:
        raise _storage_error(what, error) from error
    except ServerError as error:
        raise StorageError(f"{what}: the storage service answered {error.status_code}; try again.") from error
    except (MinioException, urllib3.exceptions.HTTPError, ET.ParseError) as error:
        raise StorageError(f"{what}: the storage service does not answer properly ({type(error).__name__}).") from error
    except ValueError as error:  # an invalid bucket name, or an incomplete answer
        raise StorageError(f"{what}: {error}.") from error
    except OSError as error:
        raise StorageError(f"{what}: {error.strerror or error}.") from error


def _storage_error(what: str, error: S3Error) -> StorageError:
    if error.code in NOT_FOUND:
        return ObjectNotFoundError(f"{what} does not exist.")
    if error.code in _INVALID_PART:
        return InvalidPartError(f"{what}: {error.message}")
    if error.code == "InvalidRange":
        return RangeError(f"{what} ends before the requested range.")
    return StorageError(f"{what}: the storage service refused with {error.code}: {error.message}")
