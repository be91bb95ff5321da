"""What a process with Socket.IO tells Prometheus."""

from collections.abc import Iterator

import httpx
import pytest
from support.api.server import listening
from support.sockets.house import GRACE, House
from support.sockets.node import Driver

from db.connection import Database
from services.process.settings import Settings


@pytest.fixture
def alone(settings: Settings, database: Database, node: Driver) -> Iterator[House]:
    """A single process, whose counts are those of one test."""
    with listening(settings, GRACE) as (url, _):
        yield House(url=url, settings=settings, database=database, driver=node)


def metrics(house: House) -> dict[str, float]:
    """Return each sample by its name and labels, as it is written."""
    token = house.settings.admin_token
    answer = httpx.get(f"{house.url}/metrics", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_process_counts_connections_events_and_delays(alone: House) -> None:
    host = alone.member(tier="premium")
    room = alone.room(host)
    socket = alone.inside(host, room)
    socket.call("room:message", {"messageType": "text", "content": "Hello"})
    socket.hear("room:message-received", content="Hello")
    socket.fail("room:nonsense", {})
    stranger = alone.driver.connect(alone.url, "no.such.token", reconnection=False)
    assert stranger.hear("connect_error")["message"] == "unauthorized"
    found = metrics(alone)
    assert (found["snuggles_sockets"], found["snuggles_rooms_served"]) == (1, 1)
    assert found['snuggles_socket_connections_total{outcome="connected"}'] == 1
    assert found['snuggles_socket_connections_total{outcome="unauthorized"}'] == 1
    assert found['snuggles_socket_events_total{event="room:message",outcome="ok"}'] == 1
    assert found['snuggles_socket_events_total{event="other",outcome="refused"}'] == 1
    assert found["snuggles_socket_deliveries_total"] > 0
    assert found["snuggles_room_event_delay_seconds_count"] == 1
    assert 0 <= found["snuggles_room_event_delay_seconds_sum"] < 30
    assert found["snuggles_room_resumes_total"] == 0
