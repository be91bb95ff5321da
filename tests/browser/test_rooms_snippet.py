"""The three lines that join a room run unchanged against `snuggles up`, in Node and in the console of a browser."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from msgspec import Struct
from playwright.sync_api import Browser
from support.api.command import run_snuggles
from support.servers.stack import Stack
from support.sockets.node import WEB, node_program

LIBRARY = WEB / "node_modules/socket.io-client/dist/socket.io.min.js"
SNIPPET = """
const s = io(URL, {auth:{token}}); s.on('room:authenticated', console.log); s.emit('room:join', {roomCode})
"""
SETTLED = "s.on('room:presence-updated', () => setTimeout(done, 1000))"
"""Calls `done` when everything has come, and what should not come twice had the time to."""
ONCE = ("room:joined", "room:messages-history", "room:presence-updated")


class Site(Struct, frozen=True):
    """A running stack, and a room in it."""

    url: str
    token: str
    room_code: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data = tmp_path_factory.mktemp("up") / "stack"
    with Stack(data) as stack:
        url = stack.ready()
        created = run_snuggles(
            "user", "create", "host@example.org", "--tier", "premium", "--data", data, folder=data.parent
        )
        assert created.returncode == 0, created.stderr
        token = run_snuggles("token", "host@example.org", "--data", data, folder=data.parent).stdout.strip()
        body = {"name": "Friday", "max_participants": 10}
        answer = httpx.post(f"{url}/api/rooms/create", json=body, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 201, answer.text
        yield Site(url, token, answer.json()["data"]["room_code"])
        assert stack.stop() == 0


def check(told: list[str], printed: int) -> None:
    assert (told.count("room:authenticated"), printed) == (2, 2)
    assert [told.count(event) for event in ONCE] == [1] * len(ONCE)


def test_snippet_runs_in_node(site: Site, tmp_path: Path) -> None:
    given = f"const URL = {json.dumps(site.url)}, token = {json.dumps(site.token)}, roomCode = '{site.room_code}';"
    script = tmp_path / "snippet.cjs"
    script.write_text(
        f"const {{ io }} = require('socket.io-client');\n{given}{SNIPPET}"
        "const told = []; s.onAny((event) => told.push(event));\n"
        f"const done = () => {{ console.error(JSON.stringify(told)); s.disconnect(); }};\n{SETTLED}\n"
    )
    done = subprocess.run(
        [node_program(), script],
        env=os.environ | {"NODE_PATH": str(WEB / "node_modules")},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    check(json.loads(done.stderr.splitlines()[-1]), done.stdout.count("userId: ") - done.stdout.count("displayName"))


def test_snippet_runs_in_the_console_of_a_browser(site: Site, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    printed: list[str] = []
    page.on("console", lambda said: printed.append(said.text) if "userId" in said.text else None)
    page.goto(f"{site.url}/spaces")
    console = context.new_cdp_session(page)

    def enter(expression: str, *, is_wanted: bool = False) -> object:
        asked = {"expression": expression, "replMode": True, "returnByValue": is_wanted, "awaitPromise": True}
        answer = console.send("Runtime.evaluate", asked)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    enter(LIBRARY.read_text())
    enter(f"const token = {json.dumps(site.token)}, roomCode = '{site.room_code}'; var URL = location.origin;")
    # Listened to in the same breath, because the events may come before the next thing is entered.
    listeners = (
        f"const told = []; s.onAny((event) => told.push(event)); var settled = new Promise((done) => {SETTLED});"
    )
    enter(f"{SNIPPET}\n{listeners}")
    enter("await settled")
    told = enter("told", is_wanted=True)
    enter("s.disconnect()")
    context.close()
    assert isinstance(told, list)
    check(told, len(printed))
