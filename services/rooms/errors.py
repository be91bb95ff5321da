"""Errors of requests to rooms."""

from services.errors import ConflictError, ForbiddenError


class BannedError(ForbiddenError):
    """The person was banned from this room."""

    code = "banned"


class MutedError(ForbiddenError):
    """The person may listen but not talk."""

    code = "muted"


class RoomFullError(ConflictError):
    """All places in the room are taken."""

    code = "room_full"
    retryable = True


class RoomEndedError(ConflictError):
    """The room has ended."""

    code = "room_ended"


class RoomLockedError(ConflictError):
    """The room is locked."""

    code = "room_locked"
    retryable = True
