"""The `snuggles` command as a person or a script runs it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

COMMAND = (sys.executable, "-P", "-m", "cli.main")
# Nothing of the developer's own settings: what is not given is not there.
PLAIN = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
Snuggles = Callable[..., subprocess.CompletedProcess[str]]


def run_snuggles(
    *arguments: str | Path,
    folder: Path,
    timeout_s: float = 120,
    environment: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end in a folder."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=PLAIN | (environment or {}),
        cwd=folder,
        check=False,
    )
