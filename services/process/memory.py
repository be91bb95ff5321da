"""Saves memory: returns what is freed, and leaves out what libraries load without need."""

import ctypes
import sys
from typing import Final

M_MMAP_THRESHOLD: Final = -3  # malloc.h of glibc
MAPPED_FROM_BYTES: Final = 1024 * 1024


def return_large_blocks() -> None:
    """Make glibc map large blocks by themselves, so that freeing one returns it; elsewhere do nothing.

    By default the limit rises with every freed block, up to 32 MiB. After that, each thread keeps the 19 MiB of its
    last password hash: 32 threads kept 600 MiB.
    """
    try:
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, MAPPED_FROM_BYTES)
    except (OSError, AttributeError):  # not glibc
        return


def leave_out(*packages: str) -> None:
    """Let imports of these optional packages fail, for the libraries that do without them; not if one is loaded."""
    for name in packages:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # Python's own mark of a module that is not there
