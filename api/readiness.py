"""Readiness checks of the parts behind the API: at most one at a time for each part, however often a balancer asks."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

# A slower part should not get requests; a balancer asks again soon.
CHECK_TIMEOUT_S = 2.5
PARTS = 3


class Readiness:
    """Runs checks in its own threads. A check that hangs is not started again until it ends."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(PARTS, thread_name_prefix="readiness")
        self._under_way: dict[str, asyncio.Future[str]] = {}

    async def ask(self, part: str, check: Callable[[], object]) -> str:
        """Return `ok`, or why the part cannot be used."""
        asked = self._under_way.get(part)
        if asked is None or asked.done():
            asked = asyncio.get_running_loop().run_in_executor(self._threads, _state, check)
            self._under_way[part] = asked
        try:
            return await asyncio.wait_for(asyncio.shield(asked), CHECK_TIMEOUT_S)
        except TimeoutError:
            return f"no answer within {CHECK_TIMEOUT_S:g} s"


def _state(check: Callable[[], object]) -> str:
    try:
        check()
    except Exception as error:  # noqa: BLE001 - any error is the result of the check
        return type(error).__name__
    return "ok"
