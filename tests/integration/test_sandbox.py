"""What a media child has given up before it reads a file, tried in processes that gave it up."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from workers.children import sandbox

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are confined on Linux alone")

TRIES = """
import ctypes, errno, json, os, socket, subprocess, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
from workers.children import sandbox
sandbox.enter(json.loads(sys.argv[1]))

def attempt(call):
    try:
        result = call()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "ok" if result is None or result != -1 else errno.errorcode[ctypes.get_errno()]

status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
thread = threading.Thread(target=lambda: None)
thread.start(); thread.join()
print(json.dumps({
    "uid": os.getresuid(), "groups": os.getgroups(), "new_privileges": status["NoNewPrivs"].strip(),
    "filter": status["Seccomp"].strip(),
    "capabilities": {status[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16},
    "unshare": attempt(lambda: libc.unshare(0x20000)),
    "new user namespace": attempt(lambda: libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0)),
    "ptrace": attempt(lambda: libc.ptrace(16, os.getppid(), 0, 0)),
    "mount": attempt(lambda: libc.mount(b"none", b"/mnt", b"tmpfs", 0, None)),
    "tcp": attempt(lambda: socket.socket(socket.AF_INET).close()),
    "tcp6": attempt(lambda: socket.socket(socket.AF_INET6).close()),
    "udp": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()),
    "netlink": attempt(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()),
    "packet": attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()),
    "pair": attempt(lambda: socket.socketpair()[0].close()),
    "program": attempt(lambda: subprocess.run(["/bin/true"], check=True) and None),
    "parent's environment": attempt(lambda: open(f"/proc/{os.getppid()}/environ").read() and None),
}))
"""


def confined(environment: Mapping[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-c", TRIES, json.dumps(dict(environment))]
    # A file rather than a pipe: a process that changed its user may not open what it inherits by name.
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_child_has_no_capabilities_gains_none_and_calls_nothing_dangerous() -> None:
    seen = confined({})
    assert (seen["capabilities"], seen["new_privileges"], seen["filter"]) == (True, "1", "2")
    for call in ("unshare", "ptrace", "mount", "new user namespace"):
        assert seen[call] == "EPERM", call
    for family in ("tcp", "tcp6", "udp", "netlink", "packet"):
        assert seen[family] == "EACCES", family
    assert (seen["pair"], seen["program"]) == ("ok", "ok")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its user")
def test_child_of_root_has_a_user_of_its_own_who_reads_nothing_of_the_workers() -> None:
    seen = confined({sandbox.UID: str(sandbox.MEDIA_UID)})
    assert (seen["uid"], seen["groups"]) == ([sandbox.MEDIA_UID] * 3, [])
    assert seen["capabilities"] is True
    assert seen["parent's environment"] == "EACCES"
    assert seen["program"] == "ok"


def test_worker_changes_the_user_only_where_children_can_read_what_they_need(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    open_path, closed = tmp_path / "open", tmp_path / "closed"
    for folder, mode in ((open_path, 0o755), (closed, 0o700)):
        folder.mkdir()
        folder.chmod(mode)
    for parent in [tmp_path, *tmp_path.parents]:
        if parent.stat().st_uid == os.getuid() and str(parent).startswith(str(tmp_path.parents[2])):
            parent.chmod(0o755)
    monkeypatch.setattr(sandbox, "_needed", lambda: [open_path])
    assert sandbox.choose(reads_urls=True).uid == sandbox.MEDIA_UID
    assert sandbox.choose(reads_urls=False).uid is None
    monkeypatch.setattr(sandbox, "_needed", lambda: [closed])
    assert sandbox.choose(reads_urls=True).uid is None
    assert "others may not read" in " ".join(sandbox.missing(reads_urls=True))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "not root" in " ".join(sandbox.missing(reads_urls=True))
