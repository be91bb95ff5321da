"""Become another program, perhaps as another user, that dies with the process that asked for it.

Run as a script: `python -I -S tether.py PARENT SIGNAL UID GID PROGRAM [ARGUMENT…]`, with `-` for no change of user.
A script rather than a hook between fork and exec, because such hooks are unsafe in a process with threads, and because
only root may be able to read this interpreter's own files.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(arguments: list[str]) -> None:
    """Drop privileges, ask the kernel to be told of the parent's death, and exec."""
    parent, death_signal, uid, gid, *command = arguments
    if uid != "-":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    # After setuid: the kernel forgets the wish when credentials change (prctl(2)). Elsewhere than on Linux there is no
    # such wish, and what is left behind is found at the next start.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
    if os.getppid() == int(parent):
        os.execv(command[0], command)  # noqa: S606 - becoming that program is the purpose


if __name__ == "__main__":
    main(sys.argv[1:])
