"""Kills what a running recording needs, in its middle: no stored part is lost, and it counts once."""

from pathlib import Path

import pytest
from support.api.capture import Recorder, conversation, overlaps, parts_of
from support.servers.fleet import Fleet, wait_for
from support.sockets.house import House, serves
from support.sockets.node import driver

from cli.embedded.port import free_port
from db.connection import SERVICE, Database
from services.process.settings import Settings
from services.rooms import recording as recordings

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

MOMENT_S, LENGTH_S = 20, 40
FINALISING = "SELECT state, attempt FROM jobs WHERE kind = 'finalise_live'"
# A lease ends by the database's clock; the worker that renewed it is dead.
END_LEASE = "UPDATE jobs SET lease_expires_at = now() WHERE kind = 'finalise_live' RETURNING id"


def test_recording_survives_the_death_of_every_process(settings: Settings, database: Database, tmp_path: Path) -> None:
    parts = parts_of(tmp_path / "talk.webm", conversation(LENGTH_S, MOMENT_S))
    with Fleet(settings, tmp_path) as fleet, driver() as node:
        api = fleet.api(port=settings.port, options=["--with-sockets"])
        wait_for(lambda: serves(settings.public_url), what="the API")
        dispatcher, worker = fleet.dispatcher(), fleet.worker(threads=1)
        house = House(url=settings.public_url, settings=settings, database=database, driver=node)
        host = house.member(tier="premium")
        room = house.room(host)
        recorder = Recorder(house, host, room.room.id)
        recording_id = recorder.ask("POST", "/start", {})["recording"]["id"]
        recorder.begin()
        for number, data in enumerate(parts, start=1):
            if number == 6:
                worker.kill()
            if number == 9:
                api.kill()
                fleet.api(port=settings.port, options=["--with-sockets"])
            if number == 12:
                dispatcher.kill()
                fleet.dispatcher()
                fleet.worker(threads=1)
            recorder.send(number, data)
            if number == 9:
                recorder.send(number, data)
        recorder.ask("POST", "/stop")
        recorder.ask("POST", "/complete")
        recording = recorder.ready(recording_id)
        assert LENGTH_S - 1 < recording["duration_s"] < LENGTH_S + 1
        final = house.http(host, "GET", f"/api/recordings/{recording_id}/highlights").json()["data"]["items"]
        moment = {"start_s": MOMENT_S, "end_s": MOMENT_S + 5}
        assert any(overlaps(moment, each) for each in final), final
        assert recorder.conversations() == (1, 0)


def test_recording_whose_people_vanished_is_finished_by_the_scheduler(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    parts = parts_of(tmp_path / "talk.webm", conversation(14))
    with Fleet(settings, tmp_path) as fleet, driver() as node:
        fleet.api(port=settings.port)
        wait_for(lambda: serves(settings.public_url), what="the API")
        house = House(url=settings.public_url, settings=settings, database=database, driver=node)
        host = house.member(tier="premium")
        recorder = Recorder(house, host, house.room(host).room.id)
        recording_id = recorder.ask("POST", "/start", {})["recording"]["id"]
        recorder.begin()
        for number, data in enumerate(parts, start=1):
            recorder.send(number, data)
        with database.transaction(SERVICE) as tx:
            tx.execute(
                "UPDATE recording_parts SET created_at = created_at - make_interval(secs => %(s)s),"
                " stored_at = stored_at - make_interval(secs => %(s)s)",
                {"s": recordings.SILENT_S},
            )
            tx.execute("UPDATE recordings SET live_started_at = live_started_at - make_interval(secs => %s)", [3600])
            tx.execute("UPDATE recording_tracks SET created_at = created_at - make_interval(secs => %s)", [3600])
        # The scheduler itself: `end-silent-recordings` is due every minute, the first time at once.
        fleet.dispatcher()
        fleet.worker(threads=1)
        assert recorder.ready(recording_id)["duration_s"] == pytest.approx(14, abs=1)
        assert recorder.conversations() == (1, 0)


def test_socket_io_dies_in_the_middle_and_the_worker_while_it_finishes(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    parts = parts_of(tmp_path / "talk.webm", conversation(24))
    port = free_port()
    realtime_url = f"http://127.0.0.1:{port}"
    with Fleet(settings, tmp_path) as fleet, driver() as node:
        fleet.api(port=settings.port)
        realtime = fleet.realtime(port=port)
        for url in (settings.public_url, realtime_url):
            wait_for(lambda url=url: serves(url), what=url)
        house = House(url=settings.public_url, settings=settings, database=database, driver=node)
        host = house.member(tier="premium")
        room = house.room(host)
        socket = house.inside(host, room, realtime_url)
        recorder = Recorder(house, host, room.room.id)
        recording_id = recorder.ask("POST", "/start", {})["recording"]["id"]
        socket.hear("room:recording-started", recordingId=recording_id)
        recorder.begin()
        for number, data in enumerate(parts, start=1):
            if number == len(parts) // 2:
                realtime.kill()
                socket.hear("disconnect")
                fleet.realtime(port=port)
            recorder.send(number, data)
        socket.hear("connect")
        joined = socket.call("room:join", {"roomCode": room.room.room_code})
        assert joined["room"]["recording"]["recordingId"] == recording_id, "the indicator is right at once"
        fleet.dispatcher()
        worker = fleet.worker(threads=1)
        recorder.ask("POST", "/stop")
        socket.hear("room:recording-stopped", recordingId=recording_id)
        recorder.ask("POST", "/complete")
        wait_for(lambda: house.rows(FINALISING)[0]["state"] == "running", what="the end to be worked on")
        worker.kill()
        assert house.rows(FINALISING) == [{"state": "running", "attempt": 1}], "it died in the middle"
        house.rows(END_LEASE)
        fleet.worker(threads=1)
        assert recorder.ready(recording_id)["duration_s"] == pytest.approx(24, abs=1)
        assert house.rows(FINALISING)[0]["attempt"] > 1
        assert house.rows("SELECT count(*) AS parts FROM recording_parts WHERE stored_at IS NOT NULL") == [
            {"parts": len(parts)}
        ]
        assert recorder.conversations() == (1, 0)
