"""What the audience of a room's recording did, as its timeline tells it."""

import time
from typing import Any
from uuid import UUID

import pytest
from support.api.server import Person, Service, refused

from db.connection import SERVICE
from services.rooms import message as messages
from services.rooms.person import Person as Member

STARTED = "UPDATE recordings SET live_started_at = now() - interval '1 day' WHERE id = %(id)s"
ACT = """
INSERT INTO recording_activity (recording_id, kind, number, at)
SELECT id, %(kind)s, %(number)s, live_started_at + make_interval(secs => %(at_s)s) FROM recordings WHERE id = %(id)s
"""
ACT_OFTEN = """
INSERT INTO recording_activity (recording_id, kind, at)
SELECT r.id, (ARRAY['message', 'reaction', 'vote', 'join'])[1 + each %% 4],
    r.live_started_at + make_interval(secs => each * 21600.0 / 100000)
FROM recordings r, generate_series(0, 99999) AS each WHERE r.id = %(id)s
"""
SAVE = "INSERT INTO memories (user_id, recording_id, at_s, label) VALUES (%(user_id)s, %(id)s, %(at_s)s, %(label)s)"
SAVE_OFTEN = """
INSERT INTO memories (user_id, recording_id, at_s) SELECT %(user_id)s, %(id)s, each FROM generate_series(1, 600) AS each
"""
SMALL_BYTES = 400_000


@pytest.fixture
def host(service: Service) -> Person:
    return service.person(tier="premium")


def recorded(service: Service, host: Person, *, duration_s: float = 120.0) -> str:
    recording_id = service.ready_recording(host, duration_s=duration_s)
    service.execute(STARTED, id=recording_id)
    return recording_id


def timeline(person: Person, recording_id: str, query: str = "") -> dict[str, Any]:
    answer = person.get(f"/api/recordings/{recording_id}/timeline{query}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["data"])


def test_activity_is_counted_by_signal_and_stretch(service: Service, host: Person) -> None:
    recording_id = recorded(service, host)
    for kind, number, at_s in (
        ("reaction", 17, 30.2),
        ("reaction", 1, 30.9),
        ("message", 1, 30.5),
        ("join", 1, 2.0),
        ("vote", 1, 119.9),
        ("memory", 1, 40.0),
        ("message", 1, -5.0),
        ("message", 1, 121.0),
    ):
        service.execute(ACT, id=recording_id, kind=kind, number=number, at_s=at_s)
    drawn = timeline(host, recording_id)
    assert drawn["activity_bin_s"] == 1.0
    assert drawn["activity"] == [
        {"time_s": 2.0, "signal": "join", "count": 1},
        {"time_s": 30.0, "signal": "message", "count": 1},
        {"time_s": 30.0, "signal": "reaction", "count": 18},
        {"time_s": 119.0, "signal": "vote", "count": 1},
    ]
    coarse = timeline(host, recording_id, "?points=10")
    assert coarse["activity_bin_s"] == 12.0
    assert coarse["activity"][1:3] == [
        {"time_s": 24.0, "signal": "message", "count": 1},
        {"time_s": 24.0, "signal": "reaction", "count": 18},
    ]


def test_real_deeds_in_a_room_are_on_the_timeline_without_names_or_texts(service: Service, host: Person) -> None:
    other = service.person()
    room = host.post("/api/rooms/create", {"name": "Thursday table"}).json()["data"]
    started = host.post(f"/api/rooms/{room['id']}/recording/start", {"title": "Small tools"})
    recording_id = started.json()["data"]["recording"]["id"]
    assert other.post(f"/api/rooms/{room['id']}/join").is_success
    with service.deps.database.transaction(SERVICE) as tx:
        messages.send(tx, Member(user_id=other.id), room_id=UUID(room["id"]), content="so funny")
    for person, label in ((other, "secret of another"), (host, "The joke")):
        saved = person.post(f"/api/rooms/{room['id']}/recording/marks", {"label": label})
        assert saved.status_code == 201, saved.text
    service.execute(
        "UPDATE recordings r SET duration_s = 120, waveform_key = o.waveform_key FROM recordings o "
        "WHERE r.id = %(id)s AND o.id = %(ready)s",
        id=recording_id,
        ready=service.ready_recording(host),
    )
    drawn = timeline(host, recording_id)
    assert {each["signal"]: each["count"] for each in drawn["activity"]} == {"join": 1, "message": 1}
    assert [each["label"] for each in drawn["moments"]] == [None, "The joke"]
    told = host.get(f"/api/recordings/{recording_id}/timeline").text
    assert all(word not in told for word in ("secret of another", "so funny", str(other.id), other.email))


def test_audience_is_for_the_owner_alone(service: Service, host: Person) -> None:
    recording_id = recorded(service, host)
    service.execute(ACT, id=recording_id, kind="reaction", number=3, at_s=10.0)
    other = service.person()
    service.execute(SAVE, id=recording_id, user_id=other.id, at_s=10.0, label="Mine")
    refused(other.get(f"/api/recordings/{recording_id}/timeline"), 404)
    assert timeline(host, recording_id)["moments"] == [{"time_s": 10.0, "label": None}]


def test_recording_without_an_audience_has_nothing(service: Service, host: Person) -> None:
    drawn = timeline(host, service.ready_recording(host))
    assert (drawn["activity"], drawn["moments"]) == ([], [])


def test_six_hours_of_a_busy_room_stay_small(service: Service, host: Person) -> None:
    recording_id = recorded(service, host, duration_s=21_600.0)
    service.execute(ACT_OFTEN, id=recording_id)
    service.execute(SAVE_OFTEN, id=recording_id, user_id=host.id)
    service.execute(SAVE, id=recording_id, user_id=host.id, at_s=0.5, label="First")
    began = time.monotonic()
    answer = host.get(f"/api/recordings/{recording_id}/timeline")
    assert time.monotonic() - began < 5
    drawn = answer.json()["data"]
    assert drawn["activity_bin_s"] == 18.0
    assert len(drawn["activity"]) == 4 * 1200
    assert sum(each["count"] for each in drawn["activity"]) == 100_000
    assert len(drawn["moments"]) == 500
    assert drawn["moments"][0] == {"time_s": 0.5, "label": "First"}
    assert len(answer.content) < SMALL_BYTES


def test_moment_after_the_end_of_the_sound_is_at_its_end(service: Service, host: Person) -> None:
    recording_id = recorded(service, host)
    service.execute(SAVE, id=recording_id, user_id=host.id, at_s=120.8, label="Last words")
    assert timeline(host, recording_id)["moments"] == [{"time_s": 120.0, "label": "Last words"}]
