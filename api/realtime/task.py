"""The end of background tasks."""

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_S = 0.5


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait until they have ended.

    The Redis client loses a cancellation that coincides with its own time-out, so a task that continues is cancelled
    again.
    """
    left = set(tasks)
    everything = tuple(left)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_S)
    await asyncio.gather(*everything, return_exceptions=True)  # else asyncio logs their errors
