import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from types import SimpleNamespace

import pytest
from engineio.packet import MESSAGE, PING, Packet
from websockets.frames import Frame, Opcode

from api.realtime.delivery.frames import Inbox, PacketQueue, frame_of
from api.realtime.delivery.transport import event_packet


class Line:
    """Where a queue writes to."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_writable = True
        self.upgraded = True

    def write(self, frame: bytes) -> bool:
        if self.is_writable:
            self.written.append(frame)
        return self.is_writable


def line_and_queue() -> tuple[Line, PacketQueue]:
    line, queue = Line(), PacketQueue()
    queue.attach(line, line.write)
    return line, queue


def in_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @wraps(test)
    def run(**arguments: object) -> None:
        asyncio.run(test(**arguments))

    return run


async def waiting(queue: PacketQueue) -> asyncio.Task[Packet | None]:
    task = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    return task


@in_loop
async def test_packet_is_written_while_the_clients_task_waits() -> None:
    line, queue = line_and_queue()
    task = await waiting(queue)
    packet = event_packet("room:typing", {"a": 1})
    queue.put_nowait(packet)
    assert line.written == [frame_of(packet)]
    assert queue.empty()
    task.cancel()


@in_loop
async def test_packet_does_not_overtake_one_that_the_task_has_taken() -> None:
    line, queue = line_and_queue()
    first, second, third = (Packet(MESSAGE, data=text) for text in "abc")
    queue.put_nowait(first)
    task = await waiting(queue)
    assert task.done()  # it has the first, and has not written it yet
    queue.put_nowait(second)
    task = asyncio.ensure_future(queue.get())
    queue.put_nowait(third)
    assert [await task, await queue.get()] == [second, third]
    assert line.written == []


@in_loop
async def test_ping_passes_through_the_queue() -> None:
    line, queue = line_and_queue()
    task = await waiting(queue)
    queue.put_nowait(Packet(PING))
    assert (await task).packet_type == PING
    assert line.written == []


@in_loop
async def test_end_passes_through_the_queue() -> None:
    _, queue = line_and_queue()
    task = await waiting(queue)
    queue.put_nowait(None)
    assert await task is None


@pytest.mark.parametrize("state", ["is_writable", "upgraded"])
@in_loop
async def test_packet_is_queued_while_the_client_cannot_be_written_to(state: str) -> None:
    line, queue = line_and_queue()
    setattr(line, state, False)
    task = await waiting(queue)
    packet = Packet(MESSAGE, data="2[]")
    queue.put_nowait(packet)
    assert await task is packet
    assert line.written == []


@in_loop
async def test_packet_is_queued_without_a_websocket() -> None:
    queue = PacketQueue()
    task = await waiting(queue)
    packet = Packet(MESSAGE, data="2[]")
    queue.put_nowait(packet)
    assert await task is packet


@pytest.mark.parametrize("length", [0, 124, 125, 126, 65_533, 65_536])
def test_frame_of_any_length_is_one_that_clients_read(length: int) -> None:
    packet = Packet(MESSAGE, data="x" * length)
    frame = frame_of(packet)
    reader = SimpleNamespace(data=frame)

    def read_exact(count: int):  # noqa: ANN202 - a generator, as the library wants it
        taken, reader.data = reader.data[:count], reader.data[count:]
        return taken
        yield

    parsing = Frame.parse(read_exact, mask=False)
    with pytest.raises(StopIteration) as parsed:
        next(parsing)
    assert parsed.value.value.opcode is Opcode.TEXT
    assert parsed.value.value.data == b"4" + b"x" * length


@in_loop
async def test_inbox_keeps_the_order_and_loses_nothing_when_its_task_stops_waiting() -> None:
    inbox = Inbox()
    task = asyncio.ensure_future(inbox.get())
    await asyncio.sleep(0)
    inbox.put_nowait({"type": "websocket.connect"})
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    inbox.put_nowait({"type": "websocket.receive", "bytes": None, "text": "2"})
    assert [(await inbox.get())["type"], (await inbox.get())["type"]] == ["websocket.connect", "websocket.receive"]
    assert inbox.empty()
