"""Errors of requests to polls."""

from services.errors import ConflictError


class PollClosedError(ConflictError):
    """The poll is over."""

    code = "poll_closed"
