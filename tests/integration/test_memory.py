"""Memory: what many password hashes at once leave behind, and what is not loaded at all."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from concurrent.futures import ThreadPoolExecutor
import psutil
from services.accounts import password
from services.process.memory import return_large_blocks

if sys.argv[1] == "returned":
    return_large_blocks()
password.matches(None, "the first")
before = psutil.Process().memory_info().rss
with ThreadPoolExecutor(16) as threads:
    list(threads.map(lambda number: password.matches(None, f"guess {number}"), range(48)))
    print(psutil.Process().memory_info().rss - before)
"""


def test_guesses_in_parallel_leave_no_memory_behind() -> None:
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM, "returned"], check=True, capture_output=True, text=True, timeout=120
    )
    assert int(told.stdout) < 40 * 1024 * 1024


LEFT_OUT = """
import sys
from services.process.memory import leave_out

unused = ("rich", "pygments", "requests", "valkey", "websocket")
leave_out(*unused, "sys")
import api.processes.sockets
print([name for name in unused if sys.modules[name]], sys.modules["sys"] is sys)
"""


def test_realtime_works_without_the_packages_that_it_leaves_out() -> None:
    told = subprocess.run(
        [sys.executable, "-c", LEFT_OUT], check=True, capture_output=True, text=True, timeout=60, cwd=ROOT
    )
    assert told.stdout == "[] True\n"
