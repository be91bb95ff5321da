"""The recording that a command is given."""

from pathlib import Path

from cli.errors import CommandError
from pipeline.reading.media import is_url
from pipeline.types import Source


def open_source(location: str) -> Source:
    """Return the source of a file or an http(s) URL; CommandError when the file does not exist."""
    if is_url(location):
        return Source(location=location)
    if not location:
        raise CommandError("INPUT is empty; name a file or an http(s) address")
    path = Path(location)
    try:
        if not path.is_file():
            if "://" in location and not path.exists():
                raise CommandError(f"{location} is neither a file nor an http(s) address")
            raise CommandError(f"{location} is not a file" if path.exists() else f"There is no file {location}")
        return Source(location=str(path.absolute()), size_bytes=path.stat().st_size)
    except (OSError, ValueError) as error:
        raise CommandError(f"{location!r} cannot be read: {error}") from error
