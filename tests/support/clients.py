"""What others build on our OpenAPI document with, in an environment of its own."""

import os
import subprocess
from pathlib import Path

from support.servers.requirement import unavailable

TESTS = Path(__file__).parents[1]
VENV = Path(os.environ.get("CLIENTS_VENV", TESTS.parent / ".cache" / "clients-venv"))


def run_tool(name: str, *arguments: str | Path, folder: Path, timeout_s: float = 240) -> str:
    """Run a program of that environment in a folder and return what it printed; AssertionError when it fails."""
    program = VENV / "bin" / name
    if not program.exists():
        unavailable(f"{name} is missing: run tests/venv.sh clients")
    environment = {**os.environ, "PATH": f"{VENV / 'bin'}:{os.environ['PATH']}", "NO_COLOR": "1"}
    ended = subprocess.run(
        [program, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-3000:]
    return ended.stdout + ended.stderr
