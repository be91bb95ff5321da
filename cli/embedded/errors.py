"""Failures of embedded servers."""

from cli.errors import BrokenEnvironmentError


class EmbeddedError(BrokenEnvironmentError):
    """An embedded server cannot be used here; the message says why and what to do."""
