"""What a page needs to draw a recording, read from where ingest and detection left it."""

import msgspec
from msgspec import Raw, Struct

from db.recordings import Recording
from services.errors import NotReadyError, UnavailableError
from storage.store import Store

# Both files hold at most some thousand points (tens of kilobytes); more than this was not written by us.
MAX_FILE_BYTES = 4 * 1024 * 1024


class Drawing(Struct, frozen=True, kw_only=True):
    """Waveform and score curve as they were stored, and the times of keyframes."""

    duration_s: float
    waveform: Raw
    curve: Raw | None
    keyframes_s: list[float]


class _Waveform(Struct):
    keyframes_s: list[float] = []


def read(recording: Recording, store: Store) -> Drawing:
    """Return what there is to draw; NotReadyError until the recording was listened to, StorageError."""
    if recording.waveform_key is None or recording.duration_s is None:
        raise NotReadyError(
            f"The recording is {recording.status}; there is nothing to draw until it was listened to.",
            status=recording.status,
        )
    waveform = store.get_range(recording.waveform_key, 0, MAX_FILE_BYTES)
    curve = None if recording.curve_key is None else store.get_range(recording.curve_key, 0, MAX_FILE_BYTES)
    try:
        keyframes_s = msgspec.json.decode(waveform, type=_Waveform).keyframes_s
        if curve is not None:
            msgspec.json.decode(curve)
    except msgspec.DecodeError as error:
        raise UnavailableError("The stored waveform cannot be read; it may be being replaced. Try again.") from error
    return Drawing(
        duration_s=recording.duration_s,
        waveform=Raw(waveform),
        curve=None if curve is None else Raw(curve),
        keyframes_s=keyframes_s,
    )
