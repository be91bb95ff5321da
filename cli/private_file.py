"""Files that only their owner can read."""

import os
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write the file completely or not at all, readable only by its owner."""
    building = path.with_name(f"{path.name}.new")
    building.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(building, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        building.replace(path)
    except OSError:
        building.unlink(missing_ok=True)
        raise
