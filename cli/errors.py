"""Errors that end a command with one sentence and an exit status."""

from typing import ClassVar


class CommandError(Exception):
    """The input is not usable."""

    exit_status: ClassVar[int] = 1


class UsageError(CommandError):
    """The arguments are wrong."""

    exit_status = 2


class BrokenEnvironmentError(CommandError):
    """A part of this machine that the command needs is missing or broken."""

    exit_status = 3
