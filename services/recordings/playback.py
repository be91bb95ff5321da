"""Signed addresses of a recording and its picture, valid for some hours."""

from db.recordings import Recording
from services.errors import NotReadyError
from storage.store import Store

# People pause for lunch and continue, and each seek is a new request to the same URL.
PLAYBACK_URL_S = 6 * 3600
WAITING = ("uploading", "live")


def source_url(recording: Recording, store: Store) -> str:
    """Return the address that plays the recording; NotReadyError until all of it is stored."""
    if recording.status in WAITING or recording.size_bytes is None:
        raise NotReadyError(
            f"The recording is {recording.status}; it can be played once it is stored.", status=recording.status
        )
    return store.presign_get(recording.source_key, expires_s=PLAYBACK_URL_S, content_type=recording.content_type)


def poster_url(recording: Recording, store: Store) -> str | None:
    """Return the URL of the recording's picture, or None."""
    if recording.poster_key is None:
        return None
    return store.presign_get(recording.poster_key, expires_s=PLAYBACK_URL_S, content_type="image/jpeg")
