"""What can be wrong with a request to a poll."""

from services.errors import ConflictError


class PollClosedError(ConflictError):
    """The poll is over."""

    code = "poll_closed"
