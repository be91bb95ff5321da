import threading

from workers.queue.slots import SlotLimit


def test_room_is_shared_by_all_queues() -> None:
    slots = SlotLimit(3)
    slots.hold("render", 2)
    slots.hold("ingest", 1)
    assert slots.room == 0
    slots.hold("render", 1)
    assert slots.room == 1


def test_closed_limit_has_no_room() -> None:
    slots = SlotLimit(3)
    slots.close()
    assert slots.room == 0
    assert not slots.wait_for_room(0.001)


def test_waiting_ends_as_soon_as_there_is_room() -> None:
    slots = SlotLimit(1)
    slots.hold("render", 1)
    waiter = threading.Thread(target=slots.wait_for_room, args=(60,))
    waiter.start()
    slots.hold("render", 0)
    waiter.join(10)
    assert not waiter.is_alive()
