"""How background tasks of Socket.IO end."""

import asyncio
import contextlib

from api.realtime.task import end


def test_task_that_loses_a_cancellation_is_cancelled_again() -> None:
    async def deaf_once() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    async def failing() -> None:
        raise ValueError

    async def all_of_them() -> list[bool]:
        tasks = [asyncio.create_task(deaf_once()), asyncio.create_task(failing())]
        await asyncio.sleep(0)
        await asyncio.wait_for(end(tasks), 10)
        return [task.done() for task in tasks]

    assert asyncio.run(all_of_them()) == [True, True]
