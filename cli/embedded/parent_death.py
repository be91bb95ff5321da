"""Run a program, optionally as another user, that the kernel kills when this process's parent dies.

Run as a script: `python -I -S parent_death.py PARENT SIGNAL UID GID PROGRAM [ARGUMENT…]`; `-` keeps the current user.
This is a script and not a hook between fork and exec because such hooks are unsafe in a process with threads, and
because the target user may be unable to read this interpreter's own files.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(arguments: list[str]) -> None:
    """Drop privileges, set the parent death signal, and exec the program."""
    parent, death_signal, uid, gid, *command = arguments
    if uid != "-":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    # Set after setuid, because the kernel clears it when credentials change (prctl(2)). Other systems have no parent
    # death signal; there the next start stops leftover processes.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    # The parent may have died before PR_SET_PDEATHSIG took effect.
    if os.getppid() == int(parent):
        os.execv(command[0], command)  # noqa: S606 - this script exists to become that program


if __name__ == "__main__":
    main(sys.argv[1:])
