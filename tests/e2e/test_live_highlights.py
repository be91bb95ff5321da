"""A room hears of a moment while it is recorded, and the finished recording has it too."""

from pathlib import Path

from support.api.capture import Recorder, conversation, overlaps, parts_of
from support.servers.fleet import Fleet, wait_for
from support.sockets.house import House, serves
from support.sockets.node import driver

from db.connection import Database
from services.process.settings import Settings

MOMENT_S, LENGTH_S = 24, 40
SOON_S = 30.0
"""Ten seconds are promised on a machine of its own; tests share theirs."""


def test_provisional_highlight_reaches_the_room_and_the_final_ones_contain_it(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    parts = parts_of(tmp_path / "talk.webm", conversation(LENGTH_S, MOMENT_S))
    with Fleet(settings, tmp_path) as fleet, driver() as node:
        fleet.api(port=settings.port, options=["--with-sockets"])
        wait_for(lambda: serves(settings.public_url), what="the API")
        house = House(url=settings.public_url, settings=settings, database=database, driver=node)
        host, other = house.member(tier="premium"), house.member()
        room = house.room(host)
        recorder = Recorder(house, host, room.room.id)
        fleet.dispatcher()
        fleet.worker(threads=1)
        listener = house.inside(other, room)
        recording_id = recorder.ask("POST", "/start", {})["recording"]["id"]
        assert listener.hear("room:recording-started")["recordingId"] == recording_id
        recorder.begin()
        for number, data in enumerate(parts[: (MOMENT_S + 8) // 2], start=1):
            recorder.send(number, data)
        told = listener.hear("highlight:detected", timeout_s=SOON_S)
        assert (told["roomId"], told["recordingId"], told["provisional"]) == (str(room.room.id), recording_id, True)
        assert MOMENT_S - 8 < told["highlight"]["peakS"] < MOMENT_S + 8
        for number, data in enumerate(parts[(MOMENT_S + 8) // 2 :], start=(MOMENT_S + 8) // 2 + 1):
            recorder.send(number, data)
        recorder.ask("POST", "/stop")
        recorder.ask("POST", "/complete")
        recording = recorder.ready(recording_id)
        assert LENGTH_S - 1 < recording["duration_s"] < LENGTH_S + 1
        path = f"/api/recordings/{recording_id}/highlights?sensitivity=0.5"
        final = house.http(host, "GET", path).json()["data"]["items"]
        assert any(overlaps(told["highlight"], each) for each in final), (told, final)
        assert recorder.conversations() == (1, 0)
