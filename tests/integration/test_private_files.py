"""The data folder and what is in it are their owner's alone, also where they were there before with other modes."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.stack.folder import DataFolder, Running
from cli.stack.log import LogFile


@pytest.fixture(autouse=True)
def _careless_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_are_closed_to_others_even_if_they_were_open(tmp_path: Path) -> None:
    for name in ("new", "old"):
        folder = DataFolder(tmp_path / name)
        if name == "old":
            folder.logs.mkdir(parents=True)
            for path in (folder.path, folder.logs):
                path.chmod(0o755)
        folder.create()
        assert (mode(folder.path), mode(folder.logs)) == (0o700, 0o700)


def test_secrets_and_the_list_of_processes_are_files_of_their_owner(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.create()
    (folder.path / "secrets.json").write_text("{}")
    (folder.path / "secrets.json").chmod(0o644)
    with folder.locked():
        folder.secrets()
        folder.write_running(Running())
    files = {path.name: mode(path) for path in folder.path.iterdir() if path.is_file()}
    assert files == {"lock": 0o600, "secrets.json": 0o600, "run.json": 0o600}


def test_log_is_closed_to_others_even_if_it_was_open_and_so_are_its_successors(tmp_path: Path) -> None:
    path = tmp_path / "api.log"
    path.write_text("a reset link\n")
    path.chmod(0o644)
    log = LogFile(path, limit_bytes=10)
    assert mode(path) == 0o600
    log.write(b"more than ten bytes\n")
    log.write(b"again\n")
    log.close()
    assert {each.name: mode(each) for each in tmp_path.iterdir()} == {"api.log": 0o600, "api.log.1": 0o600}


def test_log_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "api.log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        LogFile(tmp_path / "api.log")
    assert not (tmp_path / "elsewhere").exists()
