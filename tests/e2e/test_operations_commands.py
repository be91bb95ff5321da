"""Every command of docs/operations.md, run as it stands there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from support.api.product import Person, Product
from support.servers.fleet import environment

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
PRELUDE = BLOCKS[0]
COMMANDS = [line for block in BLOCKS[1:] for line in block.splitlines() if line.strip()]
SQL = re.findall(r"`(BEGIN;[^`]*)`", PAGE)

# One fleet serves the tests of this module: keep them in one process.
pytestmark = [pytest.mark.xdist_group("operations"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def failed(product: Product) -> Person:
    """The owner of a job that is there to be found."""
    owner = product.person()
    owner.until(f"/api/recordings/{owner.upload(b'This is no film. ' * 100)}", "failed")
    return owner


def test_commands_were_found() -> None:
    assert len(COMMANDS) > 20
    assert len(SQL) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_command_of_the_page_works_as_it_stands(product: Product, failed: Person, command: str) -> None:
    assert failed.id
    done = subprocess.run(
        ["bash", "-euc", f"{PRELUDE}\n{command}"],
        env={
            **environment(product.settings),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "SNUGGLES": product.url,
            "ADMIN_TOKEN": product.settings.admin_token or "",
            "no_proxy": "127.0.0.1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    if command.startswith("ops "):
        assert json.loads(done.stdout)["success"]


def test_sql_of_the_page_counts_subscriptions_of_all(product: Product, failed: Person) -> None:
    assert failed.id
    with psycopg.connect(product.settings.database_url, autocommit=True) as connection:
        found = []
        for statement in filter(None, (part.strip() for part in SQL[0].split(";"))):
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            found += cursor.fetchall() if cursor.description else []
    assert ("pro", 1) in found
