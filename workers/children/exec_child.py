"""Runs as the media child: asks the kernel to kill it when the worker dies, then becomes `pipeline.task`.

Started by its path as `python -I exec_child.py PARENT_PID`. This is a script and not a hook between fork and exec,
because such hooks are unsafe in a process with threads.
"""

import ctypes
import os
import runpy
import signal
import sys

from workers.children import sandbox

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(parent: int) -> None:
    """Tie this process to its parent and run the task."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        return  # the worker died before PR_SET_PDEATHSIG took effect
    sandbox.enter()
    sys.argv = ["pipeline.task"]
    runpy.run_module("pipeline.task", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
