"""What ends a command: one sentence for a person and an exit status for a script."""

from typing import ClassVar


class CommandError(Exception):
    """The input cannot be used."""

    exit_status: ClassVar[int] = 1


class UsageError(CommandError):
    """The command was called in a way that makes no sense."""

    exit_status = 2


class BrokenEnvironmentError(CommandError):
    """Something that the command needs is missing on this machine, or does not work."""

    exit_status = 3
