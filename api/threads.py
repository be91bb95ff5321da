"""Separate threads for handlers that call storage or the network."""

from asyncio import get_running_loop
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial, wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 12


def open_threads() -> ThreadPoolExecutor:
    """Return the threads of one process."""
    return ThreadPoolExecutor(THREADS, thread_name_prefix="outside")


def calls_outside(handler: Callable[P, R]) -> Callable[P, Awaitable[R]]:
    """Run a handler, which takes `deps`, in the threads for calls to storage and network.

    If storage hangs, requests that need it wait in these threads, and all others are served.
    """

    @wraps(handler)
    async def run(*args: P.args, **kwargs: P.kwargs) -> R:
        threads: ThreadPoolExecutor = kwargs["deps"].outside_threads  # type: ignore[attr-defined]
        call = partial(copy_context().run, handler, *args, **kwargs)
        return await get_running_loop().run_in_executor(threads, call)

    return run
