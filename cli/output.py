"""Where commands write: answers to standard output, everything else to standard error."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from rich.console import Console

# Of a table in a file or a pipe, where nobody says how wide it may be.
PLAIN_WIDTH = 140


def print_json(document: Any) -> None:
    """Print one JSON document, for scripts. Floats that are no number become null, as JSON has none."""
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    sys.stdout.buffer.flush()


def complain(sentence: str) -> None:
    """Say in one line why the command ends."""
    print(" ".join(sentence.split()), file=sys.stderr)  # noqa: T201 - this is a command's output


def answers() -> Console:
    """Return the console for a command's answer."""
    width = None if sys.stdout.isatty() else PLAIN_WIDTH
    return Console(width=width, highlight=False, markup=False)


def clock(seconds: float) -> str:
    """Write a time of a recording as people read it: 1:02:03.4 or 2:03.4."""
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{rest:04.1f}" if hours else f"{minutes}:{rest:04.1f}"


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Let Ctrl-C and SIGTERM end a command so that it clears up after itself.

    Yields what the work calls between its steps: an exception that is raised while a decoder reads through PyAV's C
    callbacks is printed and dropped there, so an interruption that went unheard is raised again at the next step.
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
