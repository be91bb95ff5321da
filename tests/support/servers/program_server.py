"""A fork server whose children run the program that stands in their environment, to see how children end."""

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from workers.children import fork_server
from workers.children.fork_client import ForkedProcess, ForkServer

COMMAND = (sys.executable, "-I", __file__)
PROGRAM = "PROGRAM"


def start(server: ForkServer, program: str, folder: Path, environment: Mapping[str, str]) -> ForkedProcess:
    return server.start(folder, {**environment, PROGRAM: program})


def run() -> int:
    exec(os.environ.pop(PROGRAM), {"__name__": "__main__"})  # noqa: S102 - a test's own
    return 0


if __name__ == "__main__":
    with socket.socket(fileno=0) as requests:
        fork_server.serve(requests, run)
