"""Confines a media child before it opens a file: another user, no capabilities, and a filter of system calls.

The worker decides (`choose`) and tells the child in its environment. The child calls `enter` while it has one thread
and before it reads untrusted data. If the system lacks one of these, the child runs without it, and `missing` says so
for `snuggles doctor`.
"""

import ctypes
import errno
import os
import shutil
import signal
import socket
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

if sys.platform == "linux":
    import seccompy
    from seccompy import ArgCmp, CmpOp

UID = "SNUGGLES_CHILD_UID"
MEDIA_UID = 61183
"""Just below systemd's dynamic users (61184 to 65519), in a range that distributions leave unused."""
CAPABILITY_VERSION_3 = 0x20080522  # linux/capability.h
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38  # linux/prctl.h
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
LAST_CAPABILITY = 63
NAMESPACES = 0x7E020080  # CLONE_NEW* (linux/sched.h): mount, cgroup, UTS, IPC, user, PID, network, time
FORBIDDEN = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "process_madvise"),
    *("mount", "umount2", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr"),
    *("pivot_root", "chroot", "unshare", "setns", "swapon", "swapoff", "acct", "quotactl"),
    *("bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register"),
    *("keyctl", "add_key", "request_key", "init_module", "finit_module", "delete_module"),
    *("kexec_load", "kexec_file_load", "reboot", "syslog", "settimeofday", "clock_settime", "clock_adjtime"),
    *("adjtimex", "sethostname", "setdomainname", "iopl", "ioperm", "personality", "vhangup", "fanotify_init"),
    *("open_by_handle_at", "name_to_handle_at", "lookup_dcookie", "bind", "listen", "accept", "accept4"),
)
"""Calls for debugging, mounts, namespaces, kernel code, clocks, keys, raw devices, and servers."""


class Sandbox(Struct, frozen=True, kw_only=True):
    """The confinement of one worker's children."""

    uid: int | None = None
    """Their user; None if they run as the worker's user."""

    def environment(self) -> dict[str, str]:
        """Return the environment variables for a child."""
        return {} if self.uid is None else {UID: str(self.uid)}


def choose(*, reads_urls: bool) -> Sandbox:
    """Return the possible confinement of this process's children; `reads_urls` if recordings are not local files."""
    return Sandbox(uid=MEDIA_UID if reads_urls and why_same_user() is None else None)


def why_same_user() -> str | None:
    """Return why children cannot have their own user; None if they can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "only root can give its children another user"
    closed = [path for path in _needed() if not _is_open(path)]
    return f"others may not read {closed[0]}, which children need" if closed else None


def missing(*, reads_urls: bool) -> list[str]:
    """Return the confinements that this machine lacks, each as a clause."""
    if sys.platform != "linux":
        return ["media children are confined only on Linux"]
    found = []
    if not seccompy.supported():
        found.append("the kernel filters no system calls (seccomp), so media children may open connections")
    if os.geteuid() == 0 and (why := why_same_user()):
        found.append(f"media children share the worker's user: {why}")
    elif os.geteuid() == 0 and not reads_urls:
        found.append("media children share the worker's user: recordings are files in a folder of the worker's")
    elif os.geteuid() != 0:
        found.append("media children share the worker's user, which is not root and so cannot give them another")
    return found


def enter(environment: Mapping[str, str] = os.environ) -> None:
    """Drop what the environment says, and all capabilities, permanently."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    uid = environment.get(UID)
    for capability in range(LAST_CAPABILITY + 1):
        libc.prctl(
            PR_CAPBSET_DROP, capability, 0, 0, 0
        )  # fails without the permission, and on systems without the call
    libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    if uid is not None:
        os.setgroups([])
        os.setresgid(int(uid), int(uid), int(uid))
        os.setresuid(int(uid), int(uid), int(uid))
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # or the process cannot read its own /proc
    _drop_capabilities(libc)
    libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)  # the change of user resets this
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs cannot be set")
    if seccompy.supported():
        _filter().load()


def _filter() -> "seccompy.Filter":
    """Return a filter that refuses calls that media work never needs, including all network connections."""
    calls = seccompy.Filter(default=seccompy.Action.ALLOW)
    for name in FORBIDDEN:
        try:
            calls.errno(name, errno.EPERM)
        except (ValueError, KeyError, seccompy.SeccompError):
            continue  # not a call of this architecture
    # Threads and processes are allowed, namespaces are not. clone3 has its flags in memory, so it is refused; the C
    # library falls back to clone.
    calls.errno("clone3", errno.ENOSYS)
    for bit in (1 << number for number in range(32) if NAMESPACES >> number & 1):
        calls.errno("clone", errno.EPERM, args=[ArgCmp(0, CmpOp.MASKED_EQ, bit, mask=bit)])
    # Only Unix sockets: one leads to storage (`workers.children.relay`).
    calls.errno("socket", errno.EACCES, args=[ArgCmp(0, CmpOp.NE, int(socket.AF_UNIX))])
    return calls


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)()
    if libc.capset(header, data) != 0:
        raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")


def _needed() -> Sequence[Path]:
    """Return the files that a child opens after the change of user: the interpreter, its libraries, the encoder."""
    paths = {Path(sys.executable), Path(sysconfig.get_path("stdlib")), Path(sysconfig.get_path("purelib"))}
    paths |= {Path(sys.base_prefix), Path(__file__).parents[2] / "pipeline"}
    encoder = os.environ.get("IMAGEIO_FFMPEG_EXE") or shutil.which("ffmpeg")
    return sorted({path.resolve() for path in paths} | ({Path(encoder).resolve()} if encoder else set()))


def _is_open(path: Path) -> bool:
    """Return whether any user can reach and read a path."""
    for place in [*path.parents, *([path] if path.is_dir() else [])]:
        if not place.stat().st_mode & 0o001:
            return False
    return bool(path.stat().st_mode & 0o004)
