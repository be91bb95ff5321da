import threading

from workers.queue.slots import Gate


def test_room_is_shared_by_all_queues() -> None:
    gate = Gate(3)
    gate.hold("render", 2)
    gate.hold("ingest", 1)
    assert gate.room == 0
    gate.hold("render", 1)
    assert gate.room == 1


def test_closed_gate_has_no_room() -> None:
    gate = Gate(3)
    gate.close()
    assert gate.room == 0
    assert not gate.wait_for_room(0.001)


def test_waiting_ends_as_soon_as_there_is_room() -> None:
    gate = Gate(1)
    gate.hold("render", 1)
    waiter = threading.Thread(target=gate.wait_for_room, args=(60,))
    waiter.start()
    gate.hold("render", 0)
    waiter.join(10)
    assert not waiter.is_alive()
