"""Reads a file over HTTP by byte ranges: FFmpeg sees a seekable file, and the server sees few requests.

FFmpeg's own network protocols are never used, because they would follow references to other places.
"""

import http.client
import os
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, quote, urlsplit

from pipeline.errors import READ_FAILED, MediaError
from pipeline.reading.access.block_cache import BLOCK_BYTES, Blocks, Identity, SharedBlockCache, write_at
from pipeline.reading.access.connection import open_connection
from pipeline.reading.access.reader import PositionedReader

__all__ = ["BLOCK_BYTES", "RangeReader"]

FIRST_READ_BYTES = BLOCK_BYTES
MAX_READ_AHEAD_BYTES = 2 * 1024 * 1024
"""Read-ahead doubles during sequential reading, up to this, which is the most wasted when reading stops."""
PREFETCH_BYTES = 8 * 1024 * 1024
"""The largest request for a range that is known to be needed."""
CACHE_BLOCKS = 8192
"""512 MiB on scratch disk; beyond this the least recently used block is dropped."""
CHANGED = "the file changed while it was being read"
TIMEOUT_S = 30.0
RETRY_PAUSES_S = (0.1, 0.4, 1.6)
"""Pauses before the second, third and fourth try of a request after a temporary failure."""
_PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
_REFUSED_STATUSES = frozenset({401, 403})
_RANGE_NOT_SATISFIABLE = 416
_PARTIAL_CONTENT = 206
_WINDOW_SLACK_BLOCKS = 1
_ADDRESS_CHARACTERS = "!$%&'()*+,/:;=?@[]~"
"""Characters that are not encoded in a path and a query: reserved ones, and existing percent-encodings."""
_NO_ADDRESS = "this is not an http or https address"
_CHECK_ADDRESS = "Check the address."


class _PassingError(Exception):
    """A request failed for a reason that may be temporary."""


class RangeReader(PositionedReader):
    """A read-only, seekable file over an http(s) URL that answers byte ranges.

    Blocks are cached on scratch disk, so reading a part twice costs one transfer; in the folder `cache_dir`, for all
    readers that share it. With `relay`, the server is reached through that Unix socket. `bytes_read` counts bytes from
    the network. MediaError(READ_FAILED) if the server refuses, the file changes meanwhile, or the server stays
    unreachable.
    """

    is_remote = True

    def __init__(  # noqa: PLR0913 - keyword-only
        self,
        url: str,
        *,
        size_bytes: int | None = None,
        cache_dir: Path | None = None,
        relay: str | None = None,
        timeout_s: float = TIMEOUT_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__()
        self._url = _split(url)
        self._target = _target(self._url)
        self._relay = relay
        self._timeout_s = timeout_s
        self._sleep = sleep
        self._connection: http.client.HTTPConnection | None = None
        self._etag: str | None = None
        self._size: int | None = None
        self._next_block = -1
        self._window = FIRST_READ_BYTES
        self._shared: SharedBlockCache | None = None
        self._known: list[tuple[int, bytes]] = []
        self.bytes_read = 0
        self.requests = 0
        if size_bytes:
            self._size = size_bytes
        if cache_dir is not None:
            self._use_shared_cache(cache_dir)
        self._cache: Blocks = self._shared or _BlockCache()

    # -- the file interface that PyAV uses

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes; fewer only at the end of the file."""
        if size < 0:
            size = max(0, self.size_bytes - self._position)
        content = self._read_known(self._position, size)
        if content is None:
            content = self._read_blocks(size)
        self._log.note(self._position - len(content), len(content))
        return content

    def _read_blocks(self, size: int) -> bytes:
        pieces: list[bytes] = []
        while size > 0:
            piece = self._read_block_part(size)
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
            self._position += len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Close the connection and drop the cache."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._cache.close()
        super().close()

    def __enter__(self) -> Self:
        return self

    # -- additions for the pipeline

    @property
    def size_bytes(self) -> int:
        """The size of the file, as the server states it."""
        if self._size is None:
            self._fetch(0, 1)
        return self._size or 0

    def know(self, ranges: Iterable[tuple[int, bytes]]) -> None:
        """Store known bytes (offset, content), so that reading them needs no request."""
        self._known.extend(ranges)

    def prefetch(self, start: int, length: int) -> None:
        """Fetch a range that will be needed, in as few requests as its missing blocks allow."""
        end = min(start + length, self.size_bytes)
        block = start // BLOCK_BYTES
        last = (end - 1) // BLOCK_BYTES
        while block <= last:
            if block in self._cache:
                block += 1
                continue
            stop = block
            while stop <= last and stop not in self._cache and stop - block < PREFETCH_BYTES // BLOCK_BYTES:
                stop += 1
            self._fetch(block, stop - block)
            block = stop

    # -- inside

    def _use_shared_cache(self, folder: Path) -> None:
        """Use the blocks that others have read, unless the file is known to have changed."""
        blocks = SharedBlockCache(folder)
        identity = blocks.identity()
        if identity is not None:
            if self._size is not None and self._size != identity.size_bytes:
                blocks.close()
                return
            self._etag, self._size = identity.etag, identity.size_bytes
        self._shared = blocks

    def _read_known(self, position: int, size: int) -> bytes | None:
        for offset, content in self._known:
            if offset <= position < offset + len(content):
                begin = position - offset
                part = content[begin : begin + size]
                self._position += len(part)
                return part
        return None

    def _read_block_part(self, size: int) -> bytes:
        if self._size is not None and self._position >= self._size:
            return b""
        block, inside = divmod(self._position, BLOCK_BYTES)
        content = self._cache.get(block)
        if content is None:
            self._grow_window(block)
            content = self._fetch(block, max(1, self._window // BLOCK_BYTES))
        return content[inside : inside + size]

    def _grow_window(self, block: int) -> None:
        straight_on = self._next_block <= block <= self._next_block + _WINDOW_SLACK_BLOCKS
        self._window = min(self._window * 2, MAX_READ_AHEAD_BYTES) if straight_on else FIRST_READ_BYTES

    def _fetch(self, block: int, count: int) -> bytes:
        """Fetch `count` blocks from `block` on, except cached ones; return the first."""
        run = 1
        while run < count and block + run not in self._cache:
            run += 1
        begin = block * BLOCK_BYTES
        end = begin + run * BLOCK_BYTES
        if self._size is not None:
            end = min(end, self._size)
        if begin >= end:
            return b""
        content = self._request_with_retries(begin, end)
        for number in range(run):
            part = content[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES]
            if part:
                self._cache.put(block + number, part)
        self._next_block = block + run
        return content[:BLOCK_BYTES]

    def _request_with_retries(self, begin: int, end: int) -> bytes:
        content = b""
        failures = 0
        while begin + len(content) < end:
            try:
                content += self._request(begin + len(content), end)
            except (_PassingError, OSError, http.client.HTTPException) as exc:
                self._disconnect()
                if failures >= len(RETRY_PAUSES_S):
                    raise MediaError(READ_FAILED, f"the server did not answer ({_reason(exc)})") from exc
                self._sleep(RETRY_PAUSES_S[failures])
                failures += 1
                continue
            if self._size is not None:
                end = min(end, self._size)
        return content

    def _request(self, begin: int, end: int) -> bytes:
        """Request [begin, end) once; may return less if the connection ends early."""
        connection = self._connect()
        headers = {"Range": f"bytes={begin}-{end - 1}", "Accept-Encoding": "identity"}
        connection.request("GET", self._target, headers=headers)
        response = connection.getresponse()
        self.requests += 1
        if response.status != _PARTIAL_CONTENT:
            return self._refuse(response, begin)
        self._check_same_file(response)
        try:
            content = response.read(end - begin)
        except http.client.IncompleteRead as exc:
            content = exc.partial
            self._disconnect()
        self.bytes_read += len(content)
        if not content:
            raise _PassingError("empty answer")
        if response.length:  # more than requested: do not reuse the connection
            self._disconnect()
        return content

    def _refuse(self, response: http.client.HTTPResponse, begin: int) -> bytes:
        """Turn an answer that is not 206 into the right error; b"" when the file simply ends before `begin`."""
        status = response.status
        self._disconnect()
        if status == _RANGE_NOT_SATISFIABLE and begin == 0:
            self._size = 0
            return b""
        if status in _PASSING_STATUSES:
            raise _PassingError(f"HTTP {status}")
        if status in _REFUSED_STATUSES:
            detail = f"the link has expired or was refused (HTTP {status})"
            raise MediaError(READ_FAILED, detail, remedy="Try again with a new link.")
        if status == http.HTTPStatus.OK:
            detail, remedy = "the server does not answer byte ranges", "Download the file, and use that."
            raise MediaError(READ_FAILED, detail, remedy=remedy)
        raise MediaError(READ_FAILED, f"the server answered {_status_in_words(status)}", remedy=_CHECK_ADDRESS)

    def _check_same_file(self, response: http.client.HTTPResponse) -> None:
        total = (response.getheader("Content-Range") or "").rpartition("/")[2]
        size = int(total) if total.isdigit() else None
        etag = response.getheader("ETag") or ""
        changed = (self._etag is not None and etag != self._etag) or (
            self._etag is not None and size is not None and size != self._size
        )
        if changed:
            raise MediaError(READ_FAILED, CHANGED)
        is_first = self._etag is None
        self._etag = etag
        if size is not None:
            self._size = size
        if self._size is None:
            raise MediaError(READ_FAILED, "the server does not state the size of the file")
        if is_first and self._shared is not None and not self._shared.identify(Identity(etag, self._size)):
            raise MediaError(READ_FAILED, CHANGED)

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is None:
            self._connection = open_connection(self._url, relay=self._relay, timeout_s=self._timeout_s)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _split(url: str) -> SplitResult:
    """Return the parts of an address; MediaError if its brackets, port or host name are invalid."""
    try:
        address = urlsplit(url)
        if address.scheme in {"http", "https"} and address.hostname and address.port != 0:
            address.hostname.encode("idna")
            return address
    except ValueError as exc:
        raise MediaError(READ_FAILED, _NO_ADDRESS, remedy=_CHECK_ADDRESS) from exc
    raise MediaError(READ_FAILED, _NO_ADDRESS, remedy=_CHECK_ADDRESS)


def _target(address: SplitResult) -> str:
    """Return the request target, with spaces and non-ASCII letters encoded, which people write into addresses."""
    path, query = (quote(part, safe=_ADDRESS_CHARACTERS) for part in (address.path or "/", address.query))
    return f"{path}?{query}" if query else path


def _status_in_words(status: int) -> str:
    try:
        return f"{status} ({http.HTTPStatus(status).phrase})"
    except ValueError:
        return str(status)


def _reason(exc: Exception) -> str:
    return str(exc) or type(exc).__name__


class _BlockCache:
    """Blocks by number in one unnamed scratch file, the least recently used dropped first."""

    def __init__(self, limit: int = CACHE_BLOCKS) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the cache; unnamed, so never left behind
        self._slots: OrderedDict[int, tuple[int, int]] = OrderedDict()
        self._limit = limit

    def __contains__(self, block: int) -> bool:
        return block in self._slots

    def get(self, block: int) -> bytes | None:
        """Return a block, or None if it is not cached."""
        entry = self._slots.get(block)
        if entry is None:
            return None
        self._slots.move_to_end(block)
        slot, length = entry
        return os.pread(self._file.fileno(), length, slot * BLOCK_BYTES)

    def put(self, block: int, content: bytes) -> None:
        """Store a block."""
        slot = self._slots.popitem(last=False)[1][0] if len(self._slots) >= self._limit else len(self._slots)
        write_at(self._file.fileno(), content, slot * BLOCK_BYTES)
        self._slots[block] = (slot, len(content))

    def close(self) -> None:
        """Release the scratch space."""
        self._file.close()
        self._slots.clear()
