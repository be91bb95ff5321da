"""Name lookups with a short time limit, in a bounded number of threads.

`getaddrinfo` cannot be interrupted, and waits ten seconds and more for a name server that never answers. Users choose
the names and thereby the name servers, so a caller waits for at most LOOKUP_TIMEOUT_S, and lookups run in a few
separate threads.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from services.errors import InvalidFieldError, UnavailableError

Resolver = Callable[[str, int], Sequence[str]]
"""Returns the IP addresses of a host name for a port, best first; raises OSError when it has none."""

LOOKUP_TIMEOUT_S: Final = 2.0
MAX_LOOKUPS: Final = 16
"""Concurrent lookups of one process, including hanging ones. A healthy one takes milliseconds."""
RETRY_AFTER_S: Final = 5
SYSTEM_OPTIONS: Final = "timeout:1 attempts:2"
"""How long glibc waits for a name server, unless RES_OPTIONS is set, so that threads hang only for seconds."""
# The name does not exist, or has no address. Every other code of getaddrinfo is a fault of the name servers.
_UNKNOWN: Final = frozenset(
    getattr(socket, name) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY") if hasattr(socket, name)
)


def system_resolver(host: str, port: int) -> list[str]:
    """Resolve a name with the operating system, which may take a long time."""
    os.environ.setdefault("RES_OPTIONS", SYSTEM_OPTIONS)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _Lookup:
    """One lookup. Concurrent callers with the same name share it."""

    def __init__(self) -> None:
        self.is_done = threading.Event()
        self.addresses: Sequence[str] = ()
        self.error: Exception | None = None


class BoundedResolver:
    """Looks names up for many threads, none of which waits longer than `timeout_s`."""

    def __init__(
        self,
        resolve: Resolver = system_resolver,
        *,
        timeout_s: float = LOOKUP_TIMEOUT_S,
        max_lookups: int = MAX_LOOKUPS,
    ) -> None:
        self._resolve = resolve
        self._timeout_s = timeout_s
        self._max_lookups = max_lookups
        self._lock = threading.Lock()
        self._under_way: dict[tuple[str, int], _Lookup] = {}

    def addresses(self, host: str, port: int, *, deadline: float | None = None) -> Sequence[str]:
        """Return the addresses of a host; `deadline` (time.monotonic) may shorten the wait.

        InvalidFieldError on `url` when there is no such host; UnavailableError when the name servers do not answer.
        """
        lookup = self._begin(host, port)
        wait_s = self._timeout_s if deadline is None else min(self._timeout_s, deadline - time.monotonic())
        if not lookup.is_done.wait(max(0.0, wait_s)):
            raise _unavailable(f"The name servers of {host!r} do not answer; try again later.")
        match lookup.error:
            case None:
                return lookup.addresses
            case UnicodeError():
                raise _unknown(host) from lookup.error
            case socket.gaierror(errno=code) if code in _UNKNOWN:
                raise _unknown(host) from lookup.error
            case _:
                raise _unavailable(f"{host!r} cannot be looked up now; try again later.") from lookup.error

    def _begin(self, host: str, port: int) -> _Lookup:
        """Return the lookup of a host that is under way, or start one."""
        with self._lock:
            lookup = self._under_way.get((host, port))
            if lookup is None:
                if len(self._under_way) >= self._max_lookups:
                    raise _unavailable("Too many names are being looked up; try again later.")
                lookup = self._under_way[host, port] = _Lookup()
                # A daemon thread: a lookup that hangs must not keep the process alive.
                threading.Thread(target=self._run, args=(host, port, lookup), name="dns", daemon=True).start()
            return lookup

    def _run(self, host: str, port: int, lookup: _Lookup) -> None:
        try:
            lookup.addresses = self._resolve(host, port)
        except Exception as error:  # noqa: BLE001 - raised in the threads that wait for it
            lookup.error = error
        finally:
            with self._lock:
                del self._under_way[host, port]
            lookup.is_done.set()


def _unknown(host: str) -> InvalidFieldError:
    return InvalidFieldError("url", f"There is no host {host!r}; check the URL's spelling.")


def _unavailable(message: str) -> UnavailableError:
    return UnavailableError(message, field="url", retry_after_s=RETRY_AFTER_S)
