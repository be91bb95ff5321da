"""Upgrades from polling to a WebSocket that stop halfway."""

import json
from collections.abc import Iterator

import httpx
import pytest
from support.api.server import listening
from support.servers.fleet import add_user
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from api.realtime.limits import Limits
from db.connection import Database
from services.accounts.token import Tokens
from services.process.settings import Settings

WAIT_S = 20.0
PATH = "/socket.io/"


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    with listening(settings, Limits(connect_within_s=0.5)) as (url, _):
        yield url


@pytest.mark.parametrize("probe", [None, "2probe"])
def test_silent_upgrade_is_ended_and_polling_goes_on(
    url: str, probe: str | None, settings: Settings, database: Database
) -> None:
    token = Tokens(settings.jwt_secret).issue(add_user(database)).token
    where = {"EIO": "4", "transport": "polling"}
    with httpx.Client(base_url=url, timeout=WAIT_S) as client:
        where["sid"] = json.loads(client.get(PATH, params=where).text[1:])["sid"]
        client.post(PATH, params=where, content=f'40{{"token":"{token}"}}')
        poll_for("room:authenticated", client, where)
        address = f"{url.replace('http', 'ws')}{PATH}?EIO=4&transport=websocket&sid={where['sid']}"
        with connect(address) as upgrade, pytest.raises(ConnectionClosed):  # noqa: PT012 - the answer to a probe comes first
            if probe is not None:
                upgrade.send(probe)
                assert upgrade.recv(timeout=WAIT_S) == "3probe"
            upgrade.recv(timeout=5)
        client.post(PATH, params=where, content='421["room:leave"]')
        poll_for("431[", client, where)


def poll_for(words: str, client: httpx.Client, where: dict[str, str]) -> None:
    for _ in range(3):
        if words in client.get(PATH, params=where).text:
            return
    pytest.fail(f"no {words}")
