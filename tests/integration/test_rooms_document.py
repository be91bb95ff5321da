"""The examples of docs/rooms.md run as they stand."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from support.sockets.house import House
from support.sockets.node import WEB, node_program

DOCUMENT = Path(__file__).parents[2] / "docs/rooms.md"
SHELL = re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
EXAMPLES = re.findall(r"```js\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
SAYS = (
    [r"\{ userId: '[0-9a-f-]{36}' \}", r"participants: \["],
    ["said Hello as number 2", r"winners \[ '2' \]"],
    ["missed 0", "missed 0"],
    [r"stored \[\[1,2\]\] next 3"],
)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_example_runs_and_says_what_it_should(house: House, number: int) -> None:
    host = house.member(tier="premium")
    room = house.room(host)
    given = {"URL": house.url, "TOKEN": host.token, "ROOM": room.room.room_code, "NODE_PATH": str(WEB / "node_modules")}
    done = subprocess.run(
        [node_program(), "-e", EXAMPLES[number]],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for words in SAYS[number]:
        assert re.search(words, done.stdout), done.stdout


def test_every_example_is_run() -> None:
    assert len(EXAMPLES) == len(SAYS)


def test_shell_lines_open_a_room(house: House) -> None:
    host = house.member(tier="premium")
    (given,) = SHELL
    open_room = given[given.index("curl") : given.index("export ROOM")]
    done = subprocess.run(
        ["sh", "-euc", open_room],
        env={**os.environ, "URL": house.url, "TOKEN": host.token},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert re.search(r'"room_code":"[A-Z2-9]{6}"', done.stdout), done.stdout
