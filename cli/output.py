"""Output of commands: answers to standard output, everything else to standard error."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from rich.console import Console

# The width of a table in a file or pipe.
PLAIN_WIDTH = 140


def print_json(document: Any) -> None:
    """Print one JSON document, for scripts. Floats that are not finite become null.

    File names whose bytes are not UTF-8 are shown with replacement characters: JSON is UTF-8.
    """
    try:
        encoded = msgspec.json.encode(document)
    except UnicodeEncodeError:
        encoded = msgspec.json.encode(_valid(msgspec.to_builtins(document)))
    sys.stdout.buffer.write(msgspec.json.format(encoded, indent=2) + b"\n")
    sys.stdout.buffer.flush()


def _valid(value: Any) -> Any:
    if isinstance(value, str):
        return os.fsencode(value).decode("utf-8", "replace")
    if isinstance(value, dict):
        return {name: _valid(item) for name, item in value.items()}
    return [_valid(item) for item in value] if isinstance(value, list | tuple) else value


def complain(sentence: str) -> None:
    """Print the reason why the command ends, in one line."""
    print(" ".join(sentence.split()), file=sys.stderr)  # noqa: T201 - this is a command's output


def answers() -> "Console":
    """Return the console for the answer of a command."""
    from rich.console import Console

    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(width=width, highlight=False, markup=False)


def parse_clock(text: str) -> float:
    """Return a time in seconds, given as seconds or as [h:]m:s.f. Raises ValueError for other text."""
    *larger, seconds = text.strip().split(":")
    if len(larger) > 2 or any(not part.isdecimal() for part in larger):  # noqa: PLR2004 - hours and minutes
        raise ValueError(text)
    total = float(seconds)
    if larger and not 0 <= total < 60:  # noqa: PLR2004 - seconds in a minute
        raise ValueError(text)
    if len(larger) == 2 and int(larger[1]) >= 60:  # noqa: PLR2004 - hours and minutes; minutes in an hour
        raise ValueError(text)
    for number, part in enumerate(reversed(larger), start=1):
        total += int(part) * 60.0**number
    return total


def clock(seconds: float) -> str:
    """Format a time of a recording: 1:02:03.4 or 2:03.4."""
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Let a command clean up when Ctrl-C or SIGTERM ends it.

    Yields a function for the work to call between its steps. PyAV prints and drops an exception that is raised in its C
    callbacks, so an interruption during a read is raised again at the next step.
    """
    import signal

    is_asked = False

    def interrupt(_number: int, _frame: object) -> None:
        nonlocal is_asked
        is_asked = True
        raise KeyboardInterrupt

    def hear() -> None:
        if is_asked:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield hear
        hear()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
