"""Failures of embedded servers."""

from cli.errors import BrokenEnvironmentError


class EmbeddedError(BrokenEnvironmentError):
    """An embedded server cannot run here; the message has the reason and a remedy."""
