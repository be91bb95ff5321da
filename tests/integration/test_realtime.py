"""Socket.IO as its clients see it: real clients, over a real port, on real rows."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from msgspec import Struct
from socketio.exceptions import ConnectionError as RefusedError
from support.api.listener import Listener, close, new_client
from support.api.server import listening
from support.servers.fleet import add_ready_recording, add_user, rows, wait_for
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.sync.client import connect

from api.http.edge import EdgeLimits
from api.realtime.limits import MAX_MESSAGE_BYTES, Limits
from db.connection import SERVICE, Database
from services.accounts.token import Tokens
from services.billing import tier as tiers
from services.clips import service as clips
from services.clips.service import Clip, ClipStyle
from services.process.settings import Settings
from services.webhooks import event as events
from storage.factory import Buckets

WAIT_S = 20.0
TOO_LONG = 1009  # RFC 6455, 7.4.1


class Site(Struct, frozen=True, kw_only=True):
    """A service with one person in it, who has one clip that is to be made."""

    url: str
    settings: Settings
    database: Database
    tokens: Tokens
    owner: UUID
    clip: Clip

    @property
    def token(self) -> str:
        return self.tokens.issue(self.owner).token

    def end(self, tell: Callable[..., None]) -> None:
        """Let something happen to the clip."""
        with self.database.transaction(SERVICE) as tx:
            tell(tx, self.clip)

    def stranger(self) -> UUID:
        return add_user(self.database)


@pytest.fixture
def site(
    request: pytest.FixtureRequest, settings: Settings, database: Database, buckets: Buckets, tmp_path: Path
) -> Iterator[Site]:
    limits: Limits | None = getattr(request, "param", None)
    owner = add_user(database, tier="pro")
    source = tmp_path / "talk.mp4"
    source.write_bytes(b"bytes that nobody reads")
    recording_id = add_ready_recording(database, buckets.recordings, owner, source, duration_s=60)
    with database.transaction(SERVICE) as tx:
        tier = tiers.tier_of(tx, user_id=owner)
        clip, _ = clips.create(
            tx, user_id=owner, tier=tier, recording_id=recording_id, start_s=5, end_s=20, style=ClipStyle()
        )
    with listening(settings, limits) as (url, _):
        yield Site(
            url=url,
            settings=settings,
            database=database,
            tokens=Tokens(settings.jwt_secret),
            owner=owner,
            clip=clip,
        )


def errors_of_server(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What was logged as an error, but for the test's own client."""
    return [record for record in caplog.records if record.levelno >= logging.ERROR and record.name != "engineio.client"]


def can_connect(site: Site) -> bool:
    try:
        with Listener(site.url, site.token) as listener:
            listener.hear("room:authenticated")
    except RefusedError:
        return False
    return True


@contextmanager
def refused(url: str, given: object) -> Iterator[list[Any]]:
    """Connect in vain, and yield what the client was told."""
    told: list[Any] = []
    client = new_client()
    client.on("connect_error", told.append)
    try:
        with pytest.raises(RefusedError):
            client.connect(url, auth=given, wait_timeout=10)
        yield told
    finally:
        close(client)


@pytest.mark.parametrize("transports", [["websocket"], None])
def test_owner_is_told_of_his_clip_as_a_webhook_is_and_nobody_else(site: Site, transports: list[str] | None) -> None:
    stranger = site.stranger()
    with (
        Listener(site.url, site.token, transports=transports) as mine,
        Listener(site.url, site.tokens.issue(stranger).token) as other,
    ):
        assert mine.hear("room:authenticated") == {"userId": str(site.owner)}
        assert other.hear("room:authenticated") == {"userId": str(stranger)}
        site.end(events.clip_completed)
        told = mine.hear("clip:completed")
        assert (told["clipId"], told["recordingId"]) == (str(site.clip.id), str(site.clip.recording_id))
        assert (told["type"], told["data"]["clip"]["id"]) == ("clip.completed", str(site.clip.id))
        stored = rows(site.database, "SELECT id, seq FROM events WHERE clip_id = %(id)s", id=site.clip.id)
        assert [(told["id"], told["eventId"])] == [(str(row["id"]), str(row["seq"])) for row in stored]
        site.end(events.clip_failed)
        assert mine.hear("clip:failed")["clipId"] == str(site.clip.id)
        other.round_trip()
        assert other.heard() == []


def test_client_that_comes_back_is_told_what_it_missed(site: Site) -> None:
    token = site.token
    with Listener(site.url, token) as listener:
        listener.hear("room:authenticated")
        site.end(events.clip_failed)
        last = listener.hear("clip:failed")["eventId"]
    site.end(events.clip_completed)
    with Listener(site.url, token, lastEventId=last) as back:
        assert back.hear("clip:completed")["clipId"] == str(site.clip.id)


def test_progress_of_an_open_clip_reaches_its_owner(site: Site) -> None:
    with (
        Listener(site.url, site.token) as mine,
        Listener(site.url, site.tokens.issue(site.stranger()).token) as other,
    ):
        mine.hear("room:authenticated")
        other.hear("room:authenticated")
        with site.database.transaction(SERVICE) as tx:
            tx.execute("UPDATE jobs SET progress = 40, stage = 'cutting' WHERE id = %s", (site.clip.job_id,))
        told = mine.hear("clip:progress")
        assert {name: told[name] for name in ("clipId", "jobId", "progress", "stage")} == {
            "clipId": str(site.clip.id),
            "jobId": str(site.clip.job_id),
            "progress": 40,
            "stage": "cutting",
        }
        other.round_trip()
        assert other.heard() == []


@pytest.mark.parametrize(
    ("auth", "words"),
    [
        (None, "Send the token"),
        ("a string", "Send the token"),
        ({"token": 5}, "Send the token"),
        ({"token": ""}, "Send the token"),
        ({"token": "no.such.token"}, "token"),
        ({"token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiIwMDAwMDAwMC0wMDAwLTAwMDAtMDAwMC0wMDAwMDAwMDAwMDAifQ."}, "token"),
    ],
)
def test_bad_token_is_refused_in_the_handshake(site: Site, auth: object, words: str) -> None:
    with refused(site.url, auth) as told:
        assert told[0]["message"] == "unauthorized"
        assert words in told[0]["data"]["message"]


def test_operators_token_and_foreign_event_id_are_refused(site: Site) -> None:
    with refused(site.url, {"token": site.settings.admin_token}) as told:
        assert told[0]["message"] == "forbidden"
    with refused(site.url, {"token": site.token, "lastEventId": "five"}) as told:
        assert told[0]["message"] == "invalid_field"
        assert "not the id of an event" in told[0]["data"]["message"]


def test_session_that_is_logged_out_elsewhere_is_disconnected(site: Site) -> None:
    with httpx.Client(base_url=site.url) as client:
        body = {"email": "ada@example.org", "password": "correct horse battery staple"}
        token = client.post("/api/auth/signup", json=body).json()["data"]["token"]
        with Listener(site.url, token) as listener:
            listener.hear("room:authenticated")
            client.post("/api/auth/logout", headers={"Authorization": f"Bearer {token}"}).raise_for_status()
            listener.hear("gone")


def test_session_that_expires_is_disconnected(site: Site) -> None:
    session = Tokens(site.settings.jwt_secret).issue(site.owner, expires_at=datetime.now(UTC) + timedelta(seconds=4))
    with Listener(site.url, session.token) as listener:
        listener.hear("room:authenticated")
        listener.hear("gone")


def test_event_that_does_not_exist_is_answered(site: Site) -> None:
    with Listener(site.url, site.token) as listener:
        listener.hear("room:authenticated")
        answer = listener.client.call("room:fly", {"to": "the moon"}, timeout=10)
        assert answer == {
            "success": False,
            "error": {
                "code": "not_found",
                "message": "There is no event 'room:fly'.",
                "retryable": False,
                "details": {},
            },
        }


@pytest.mark.parametrize(
    "packet",
    [
        b"\x00\x01",
        '51-["room:join",{"_placeholder":true,"num":0}]',
        "2" + "[" * 50_000,
        "x",
        "2[]",
        '2{"a":1}',
        '2[["a"]]',
        '2["*","a"]',
        '2["disconnect","a reason"]',
        '2["connect",{},{"token":"TOKEN"}]',
    ],
)
def test_hostile_packet_ends_the_connection_without_a_traceback(
    site: Site, packet: bytes | str, caplog: pytest.LogCaptureFixture
) -> None:
    token = site.token
    with Listener(site.url, token) as listener:
        listener.hear("room:authenticated")
        listener.client.eio.send(packet.replace("TOKEN", token) if isinstance(packet, str) else packet)
        listener.hear("gone")
        with Listener(site.url, token) as second:
            assert second.hear("room:authenticated") == {"userId": str(site.owner)}
    assert not errors_of_server(caplog)


@pytest.mark.parametrize("site", [Limits(max_connections=1)], indirect=True)
def test_account_has_so_many_connections_and_a_free_place_can_be_taken(site: Site) -> None:
    token = site.token
    with Listener(site.url, token) as only:
        only.hear("room:authenticated")
        with refused(site.url, {"token": token}) as told:
            assert told[0]["message"] == "too_many_connections"
    wait_for(lambda: can_connect(site), what="the place of a client that left")


def test_page_of_another_origin_may_not_connect(site: Site) -> None:
    def status(**headers: str) -> int:
        where = {"EIO": "4", "transport": "polling"}
        return httpx.get(f"{site.url}/socket.io/", params=where, headers=headers).status_code

    assert status(Origin="http://evil.example") == 400
    assert status(Origin="http://[") == 400
    assert status(Origin=site.url) == 200
    assert status() == 200


def test_message_that_is_too_long_is_not_read_to_its_end(site: Site) -> None:
    address = f"{site.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket"
    with connect(address) as connection, pytest.raises(ConnectionClosedError) as closed:  # noqa: PT012 - it is told late
        connection.send("4" + "x" * MAX_MESSAGE_BYTES)
        while True:
            connection.recv(timeout=WAIT_S)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == TOO_LONG


@pytest.mark.parametrize("frame", ["x", "9", "", "2probe"])
def test_frame_that_is_no_packet_ends_the_connection_without_a_traceback(
    site: Site, frame: str, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"{site.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket"
    with connect(address) as connection, pytest.raises(ConnectionClosed):  # noqa: PT012 - it is told late
        connection.send(frame)
        while True:
            connection.recv(timeout=WAIT_S)
    assert not errors_of_server(caplog)


class Poller:
    """A client that polls when the test says so, and reads nothing until then."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._where = {"EIO": "4", "transport": "polling"}
        opened = client.get("/socket.io/", params=self._where).text
        self._where["sid"] = json.loads(opened.removeprefix("0"))["sid"]

    def send(self, packet: str) -> bool:
        """Whether it was taken."""
        return self._client.post("/socket.io/", params=self._where, content=packet).is_success

    def poll(self) -> str | None:
        """Return new packets; None if the server no longer knows this client."""
        answer = self._client.get("/socket.io/", params=self._where)
        return answer.text if answer.is_success else None


@pytest.mark.parametrize("transports", [["websocket"], ["polling", "websocket"]])
def test_websocket_outlives_the_time_for_the_head_of_a_request(settings: Settings, transports: list[str]) -> None:
    database = Database(settings.database_url)
    database.open(wait_s=20)
    token = Tokens(settings.jwt_secret).issue(add_user(database)).token
    database.close()
    with (
        listening(settings, edge=EdgeLimits(head_s=0.4)) as (url, _),
        Listener(url, token, transports=transports) as listener,
    ):
        listener.hear("room:authenticated")
        time.sleep(1.2)
        assert "gone" not in listener.heard()
        listener.round_trip()


def test_client_behind_a_proxy_that_knows_no_websocket_is_told_by_polling(site: Site) -> None:
    with httpx.Client(base_url=site.url, timeout=WAIT_S) as client:
        poller = Poller(client)
        assert poller.send(f'40{{"token":"{site.token}"}}')
        told = ""
        while "room:authenticated" not in told:
            told += poller.poll() or ""
        site.end(events.clip_completed)
        while "clip:completed" not in told:
            told += poller.poll() or ""
        assert poller.send("41")


@pytest.mark.parametrize("site", [Limits(connect_within_s=0.3)], indirect=True)
def test_transport_that_never_says_who_it_is_is_closed(site: Site) -> None:
    with httpx.Client(base_url=site.url, timeout=WAIT_S) as client:
        poller = Poller(client)
        wait_for(lambda: poller.poll() is None, what="its end")


@pytest.mark.parametrize("site", [Limits(max_queued=3)], indirect=True)
def test_slow_reader_is_cut_off(site: Site) -> None:
    with httpx.Client(base_url=site.url, timeout=WAIT_S) as client:
        poller = Poller(client)
        assert poller.send(f'40{{"token":"{site.token}"}}')
        for _ in range(6):
            site.end(events.clip_failed)
        wait_for(lambda: not poller.send('42["x"]'), what="its end")


@pytest.mark.parametrize("site", [Limits(max_connections=1)], indirect=True)
def test_client_that_leaves_while_its_token_is_checked_keeps_no_place(site: Site) -> None:
    with (
        psycopg.connect(site.settings.migration_database_url, autocommit=True) as owner,
        httpx.Client(base_url=site.url, timeout=WAIT_S) as client,
    ):
        poller = Poller(client)
        sending = threading.Thread(target=poller.send, args=[f'40{{"token":"{site.token}"}}'])
        with owner.transaction():
            owner.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
            sending.start()
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'users'::regclass"
            wait_for(lambda: owner.execute(waiting).fetchone() == (1,), what="the check of the token")
            assert poller.send("1")
        sending.join()
    wait_for(lambda: can_connect(site), what="the place of a client that left")


@pytest.mark.parametrize("site", [Limits(connect_within_s=600.0)], indirect=True)
def test_client_that_signs_off_keeps_no_transport(site: Site) -> None:
    with httpx.Client(base_url=site.url, timeout=WAIT_S) as client:
        poller = Poller(client)
        assert poller.send(f'40{{"token":"{site.token}"}}')
        assert poller.send("41")
        wait_for(lambda: not poller.send('42["x"]'), what="its end")


@pytest.mark.parametrize("site", [Limits(max_queued=20)], indirect=True)
def test_client_that_reads_no_answers_is_cut_off(site: Site) -> None:
    with httpx.Client(base_url=site.url, timeout=WAIT_S) as client:
        poller = Poller(client)
        assert poller.send(f'40{{"token":"{site.token}"}}')
        taken = [poller.send(f'42{number}["x"]') for number in range(30)]
    assert not taken[-1]
