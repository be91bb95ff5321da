"""The embedded stack, from outside: what it prints, what it survives, what it leaves behind."""

import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import httpx
import imageio_ffmpeg
import psutil
import pytest
from support.api.command import COMMAND, Snuggles
from support.servers.stack import Stack, is_well

from cli.stack.up import port_note

OURS = ("api", "cli", "db", "pipeline", "services", "storage", "workers")
PARTS = ("postgres", "valkey", "api", "dispatcher", "worker")
# One stack serves the tests of this module: keep them in one process.
pytestmark = pytest.mark.xdist_group("stack")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    folder.chmod(0o700)
    with Stack(folder / "data") as stack:
        stack.ready()
        yield stack


def log_in(url: str, email: str, password: str) -> int:
    return httpx.post(f"{url}/api/auth/login", json={"email": email, "password": password}, timeout=20).status_code


def test_all_parts_run_and_the_service_is_ready(running: Stack) -> None:
    url = running.ready()
    assert set(running.pids()) == set(PARTS)
    assert is_well(url)
    assert url.startswith("http://127.0.0.1:")


def test_second_stack_on_the_folder_is_refused_with_a_sentence(running: Stack, snuggles: Snuggles) -> None:
    done = snuggles("up", "--port", "0", "--data", running.data)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert f"Process {running.process.pid} already runs a stack on {running.data}" in done.stderr
    assert is_well(running.ready())


def test_taken_port_is_refused_with_a_sentence(snuggles: Snuggles) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = snuggles("up", "--port", str(port), "--data", "data")
    assert done.returncode == 3
    assert done.stderr == f"Port {port} is taken by another program; choose another with --port (0 finds one)\n"


def test_port_that_nobody_chose_is_explained() -> None:
    assert "port 8000 is taken" in (port_note(None, {}, 8001) or "")
    assert port_note(None, {}, 8000) is None
    assert port_note(0, {}, 8001) is None
    assert port_note(None, {"PORT": "8001"}, 8001) is None


def test_accounts_and_tokens_of_a_running_stack(running: Stack, snuggles: Snuggles) -> None:
    made = snuggles(
        "user",
        "create",
        "ada@example.com",
        "--password",
        "correct horse",
        "--tier",
        "pro",
        "--admin",
        "--data",
        running.data,
    )
    assert made.returncode == 0, made.stderr
    token = snuggles("token", "ada@example.com", "--data", running.data).stdout.strip()
    url = running.ready()
    me = httpx.get(f"{url}/api/me", headers={"Authorization": f"Bearer {token}"}, timeout=20).json()["data"]
    assert me["id"] == made.stdout.strip()
    assert log_in(url, "ada@example.com", "correct horse") == 200
    again = snuggles("user", "create", "ada@example.com", "--data", running.data)
    assert again.returncode == 1
    assert "account with this address" in again.stderr
    assert snuggles("token", "nobody@example.com", "--data", running.data).returncode == 1
    assert snuggles("user", "create", "x@example.com", "--tier", "gold", "--data", running.data).returncode == 1


def command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has ended since
        return []


def user_of(process: psutil.Process) -> int | None:
    try:
        return process.uids().real
    except psutil.Error:  # it has ended since
        return None


def test_secrets_are_private_and_on_no_command_line(running: Stack) -> None:
    folder = running.data
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("secrets.json", "run.json", "valkey/valkey.conf"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE((folder / "logs").stat().st_mode) == 0o700
    for log in (folder / "logs").iterdir():
        assert stat.S_IMODE(log.stat().st_mode) == 0o600, log
    secrets = [word for word in (folder / "secrets.json").read_text().split('"') if len(word) >= 16 and "_" not in word]
    lines = [" ".join(command_of(process)) for process in running.seen.values()]
    assert len([line for line in lines if line]) >= len(PARTS)
    assert not any(secret in line for secret in secrets for line in lines)
    for log in (folder / "logs").iterdir():
        assert not any(secret in log.read_text() for secret in secrets), log


def test_processes_get_only_the_environment_they_need(running: Stack) -> None:
    worker = psutil.Process(running.pids()["worker"]).environ()
    assert "MIGRATION_DATABASE_URL" not in worker
    assert "snuggles_owner" not in " ".join(worker.values())
    assert not any(name.startswith("PYTEST") for name in worker)


@pytest.mark.parametrize("name", PARTS)
def test_killed_part_comes_back_and_accounts_are_kept(running: Stack, name: str) -> None:
    url = running.ready()
    httpx.post(f"{url}/api/auth/signup", json={"email": "kept@example.com", "password": "correct horse"}, timeout=20)
    running.kill(name)
    assert log_in(url, "kept@example.com", "correct horse") == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_leaves_no_process(tmp_path: Path, number: int) -> None:
    with Stack(tmp_path / "data") as stack:
        stack.ready()
        assert stack.stop(number) == 0
        assert stack.survivors() == []
        assert len(stack.seen) > len(PARTS)
        assert "database system is shut down" in (stack.data / "logs/postgres.log").read_text()


def test_killed_supervisor_leaves_no_process_and_the_next_one_finds_everything(
    tmp_path: Path, snuggles: Snuggles
) -> None:
    with Stack(tmp_path / "data") as first:
        url = first.ready()
        httpx.post(f"{url}/api/auth/signup", json={"email": "a@example.com", "password": "correct horse"}, timeout=20)
        first.process.kill()
        first.process.wait()
        first.until(lambda: first.survivors() == [], "the end of every process")
    stopped = snuggles("user", "create", "b@example.com", "--password", "correct horse", "--data", tmp_path / "data")
    assert stopped.returncode == 0, stopped.stderr
    with Stack(tmp_path / "data") as second:
        url = second.ready()
        assert log_in(url, "a@example.com", "correct horse") == 200
        assert log_in(url, "b@example.com", "correct horse") == 200


def test_servers_named_in_the_environment_are_used(owner_url: str, redis_url: str, tmp_path: Path) -> None:
    given = {"DATABASE_URL": owner_url, "REDIS_URL": redis_url}
    with Stack(tmp_path / "data", environment=given) as stack:
        stack.ready()
        assert set(stack.pids()) == {"api", "dispatcher", "worker"}
        assert not (tmp_path / "data/postgres").exists()
        assert stack.stop() == 0


def test_setting_that_cannot_be_used_is_named_before_anything_runs(snuggles: Snuggles) -> None:
    done = snuggles("up", "--port", "0", "--data", "data", environment={"JWT_SECRET": "short"})
    assert done.returncode == 3
    assert done.stderr == "JWT_SECRET is too short; use at least 32 random bytes\n"


def test_data_folder_that_cannot_be_made_is_named(snuggles: Snuggles, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = snuggles("up", "--port", "0", "--data", "file/data")
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "choose another with --data" in done.stderr


def test_account_commands_without_a_stack_say_what_is_missing(snuggles: Snuggles) -> None:
    done = snuggles("token", "ada@example.com")
    assert done.returncode == 3
    assert "start one with `snuggles up`" in done.stderr


@pytest.mark.slow
def test_demo_makes_clips_through_the_api_and_ends(tmp_path: Path) -> None:
    with Stack(tmp_path / "data", "--port", "0", "--demo", "--once") as stack:
        assert stack.process.wait(170) == 0, stack.said
        assert "ready http://127.0.0.1:" in stack.said
        assert "moments worth sharing, best first:" in stack.said
        clips = sorted((tmp_path / "data/demo").glob("clip-*.mp4"))
        assert len(clips) == 4
        assert len(re.findall(r"^  http://127\.0\.0\.1:\d+/c/\S+$", stack.said, re.MULTILINE)) == 4
        for clip in clips:
            decoded = subprocess.run(
                [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "warning", "-i", clip, "-f", "null", "-"],
                capture_output=True,
                text=True,
                check=True,
            )
            assert decoded.stderr == ""
            with av.open(str(clip)) as container:
                assert {stream.type for stream in container.streams} == {"video", "audio"}
        stack.look()
        assert stack.survivors() == []


def test_demo_of_a_file_that_is_no_recording_fails_with_its_cause(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("This is no film.\n" * 100)
    with Stack(tmp_path / "data", "--port", "0", "--file", str(tmp_path / "text.mp4"), "--once") as stack:
        assert stack.process.wait(100) == 1
        assert "The recording failed: This is not a media file" in stack.said


def test_demo_of_an_empty_file_is_refused_before_anything_runs(snuggles: Snuggles, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    done = snuggles("up", "--port", "0", "--file", "empty.mp4", "--data", "data")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "The file empty.mp4 is empty\n")
    assert not (tmp_path / "data").exists()


def open_file(source: str, target: str) -> str:
    """Link a file, or copy it where a link would stay closed to others."""
    mode = stat.S_IMODE(Path(source).stat().st_mode)
    try:
        if mode & stat.S_IROTH:
            os.link(source, target)
            return target
    except OSError:
        pass  # another disk
    shutil.copy2(source, target)
    Path(target).chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))
    return target


def open_tree(source: Path, target: Path, *unneeded: str) -> None:
    ignored = shutil.ignore_patterns("__pycache__", *unneeded)
    shutil.copytree(source, target, ignore=ignored, copy_function=open_file, dirs_exist_ok=True)
    for folder, _, _ in os.walk(target):
        Path(folder).chmod(0o755)


def open_environment(folder: Path) -> Path:
    """Put this interpreter, its packages and ours where everybody can run them; return the interpreter."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    library = folder / "lib" / version
    open_tree(Path(sysconfig.get_path("stdlib")), library, "site-packages", "test", "config-*", "*.a")
    (folder / "bin").mkdir()
    python = folder / "bin" / version
    shutil.copy(Path(sys.executable).resolve(), python)
    python.chmod(0o755)
    for shared in Path(sysconfig.get_config_var("LIBDIR")).glob(f"lib{version}*.so*"):
        shutil.copy(shared, folder / "lib")
    packages = library / "site-packages"
    # Without what would lead back to this checkout.
    open_tree(Path(av.__file__).parents[1], packages, "__editable__*", "mypy*", "*__mypyc*", "pip", "faker")
    for name in OURS:
        open_tree(Path(__file__).parents[2] / name, packages / name)
    return python


def try_run(python: Path, account: pwd.struct_passwd, environment: dict[str, str]) -> str | None:
    """None when this user can run the product with this interpreter, else why not."""
    try:
        subprocess.run(
            [python, "-P", "-c", "import av, psycopg, redis, cli.main"],
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
            env=environment,
            capture_output=True,
            text=True,
            cwd="/",
            check=True,
        )
    except subprocess.CalledProcessError as error:
        return str(error.stderr)
    except PermissionError as error:
        return str(error)
    return None


def test_started_by_an_ordinary_user_everything_runs_as_that_user() -> None:
    is_root = os.geteuid() == 0
    account = pwd.getpwnam("nobody") if is_root else pwd.getpwuid(os.geteuid())
    with tempfile.TemporaryDirectory(prefix="snuggles-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        home = folder / "home"
        home.mkdir(mode=0o700)
        environment = {"HOME": str(home)}
        python = Path(sys.executable)
        if is_root:
            os.chown(home, account.pw_uid, account.pw_gid)
            environment["LD_LIBRARY_PATH"] = str(folder / "python/lib")
            if try_run(python, account, environment) is not None:
                python = open_environment(folder / "python")
                assert try_run(python, account, environment) is None
        command = [str(python), *COMMAND[1:]]
        user = account.pw_uid if is_root else None
        with Stack(home / "data", environment=environment, command=command, user=user) as stack:
            stack.ready()
            assert {user_of(process) for process in stack.seen.values()} - {None} == {account.pw_uid}
            assert stack.stop() == 0
            assert stack.survivors() == []
