"""What can be wrong with a request to a room."""

from services.errors import ConflictError, ForbiddenError


class BannedError(ForbiddenError):
    """The person may not come back into this room."""

    code = "banned"


class MutedError(ForbiddenError):
    """The person may listen, and not talk."""

    code = "muted"


class RoomFullError(ConflictError):
    """Every place in the room is taken."""

    code = "room_full"
    retryable = True


class RoomEndedError(ConflictError):
    """The room has ended."""

    code = "room_ended"


class RoomLockedError(ConflictError):
    """The room takes nobody in."""

    code = "room_locked"
    retryable = True
