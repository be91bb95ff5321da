"""Reads the curves of a recording that ingest and detection stored."""

import math
from collections.abc import Sequence
from typing import TypeVar

import msgspec
from msgspec import Struct

from db.recordings import Recording
from services.errors import NotReadyError, UnavailableError
from storage.store import Store

# Our files have at most some ten thousand points; a larger one was not written by us.
MAX_FILE_BYTES = 4 * 1024 * 1024

UNREADABLE = "The stored waveform cannot be read; it may be being replaced. Try again."

Number = TypeVar("Number", int, float)


class Waveform(Struct, kw_only=True):
    """Greatest magnitudes, `rate` a second, 0 (silence) to 255 (full scale)."""

    rate: float
    duration_s: float
    peaks: list[int]
    keyframes_s: list[float] = []


class Curve(Struct, kw_only=True):
    """Scores from 0 to 1, `rate` a second."""

    rate: float
    values: list[float]


class Tags(Struct, kw_only=True):
    """The tagger's confidence in each class group in percent, `rate` values a second."""

    name: str
    rate: float
    groups: dict[str, list[int]]


class Drawing(Struct, frozen=True, kw_only=True):
    """Waveform, score curve and tagger rows, and the times of keyframes."""

    duration_s: float
    waveform: Waveform
    curve: Curve | None
    tagger: Tags | None
    keyframes_s: list[float]


def read(recording: Recording, store: Store, *, points: int | None = None) -> Drawing:
    """Return the data to draw, each curve reduced to at most `points` values.

    NotReadyError until the recording is analysed, StorageError.
    """
    if recording.waveform_key is None or recording.duration_s is None:
        raise NotReadyError(
            f"The recording is {recording.status}; there is nothing to draw until it was listened to.",
            status=recording.status,
        )
    waveform = _waveform(store.get_range(recording.waveform_key, 0, MAX_FILE_BYTES))
    curve_file, tags_file = _find(store, recording.curve_key), _find(store, recording.tags_key)
    try:
        curve = None if curve_file is None else msgspec.json.decode(curve_file, type=Curve)
        tags = None if tags_file is None else msgspec.json.decode(tags_file, type=Tags)
    except msgspec.DecodeError as error:
        raise UnavailableError(UNREADABLE) from error
    keyframes_s, waveform.keyframes_s = waveform.keyframes_s, []
    waveform.peaks, waveform.rate = reduce(waveform.peaks, waveform.rate, points)
    if curve is not None:
        curve.values, curve.rate = reduce(curve.values, curve.rate, points)
    if tags is not None:
        reduced = {group: reduce(values, tags.rate, points) for group, values in tags.groups.items()}
        tags.groups = {group: values for group, (values, _) in reduced.items()}
        tags.rate = min((rate for _, rate in reduced.values()), default=tags.rate)
    return Drawing(
        duration_s=recording.duration_s, waveform=waveform, curve=curve, tagger=tags, keyframes_s=keyframes_s
    )


def stretch(key: str, store: Store, *, start_s: float, end_s: float, points: int) -> list[int]:
    """Return the peaks of a stretch of a recording, 0 to 255, at most `points` of them.

    Long recordings have few points a second, so a short stretch may have none. UnavailableError, StorageError.
    """
    waveform = _waveform(store.get_range(key, 0, MAX_FILE_BYTES))
    first, end = round(start_s * waveform.rate), round(end_s * waveform.rate)
    peaks, _ = reduce(waveform.peaks[max(0, first) : end], waveform.rate, points)
    return peaks


def _waveform(data: bytes) -> Waveform:
    try:
        return msgspec.json.decode(data, type=Waveform)
    except msgspec.DecodeError as error:
        raise UnavailableError(UNREADABLE) from error


def _find(store: Store, key: str | None) -> bytes | None:
    return None if key is None else store.get_range(key, 0, MAX_FILE_BYTES)


def reduce(values: Sequence[Number], rate: float, points: int | None) -> tuple[list[Number], float]:
    """Return at most `points` values, each the maximum of an equal number of neighbours, and their rate."""
    step = 1 if points is None else max(1, math.ceil(len(values) / points))
    if step == 1:
        return list(values), rate
    return [max(values[start : start + step]) for start in range(0, len(values), step)], rate / step
