"""Starting and stopping the servers that tests run against."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from cli.embedded.errors import EmbeddedError
from cli.embedded.program import Program, spawn

SERVER_START_S = 60


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + SERVER_START_S
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            raise EmbeddedError(f"the server did not start: {log.read_text(errors='replace')[-1000:]}")
        time.sleep(0.02)


def start(program: Program, ready: Callable[[], bool], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        process = spawn(program, stdout=output, stderr=output)
    try:
        wait_until(ready, process, log)
    except BaseException:
        stop(process)
        raise
    return process


def stop(process: subprocess.Popen[bytes], signal: int = 15) -> None:
    process.send_signal(signal)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
