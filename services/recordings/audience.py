"""The audience's activity during a recording, small enough to draw: counts by stretch, and saved moments."""

import math

from msgspec import Struct

from db import recording_audience as rows
from db.connection import Transaction, as_service
from db.recording_audience import CountedKind, MomentRow
from db.recordings import Recording

__all__ = ["MomentRow"]

MAX_BINS = 1200
"""One for each pixel of a wide timeline: 18 s of six hours, and at most four signals in each."""
LEAST_BIN_S = 1
MAX_MOMENTS = 500


class Activity(Struct, frozen=True, kw_only=True):
    """Counts of people's activity in the stretch that begins at `time_s`."""

    time_s: float
    signal: CountedKind
    count: int


class Audience(Struct, frozen=True, kw_only=True):
    """People's activity in stretches of `bin_s` seconds; empty stretches are left out."""

    bin_s: float
    activity: list[Activity]
    moments: list[MomentRow]


def read(tx: Transaction, recording: Recording, *, points: int | None = None) -> Audience:
    """Return the activity of a recording's audience, in at most `points` stretches (default MAX_BINS).

    Both lists are empty for recordings that were not made in a room.
    """
    end_s = recording.duration_s or 0.0
    bin_s = float(max(LEAST_BIN_S, math.ceil(end_s / min(points or MAX_BINS, MAX_BINS))))
    with as_service(tx):
        counted = rows.count_activity(
            tx, recording_id=recording.id, user_id=recording.user_id, bin_s=bin_s, end_s=end_s
        )
        moments = rows.list_moments(
            tx, recording_id=recording.id, user_id=recording.user_id, end_s=end_s, limit=MAX_MOMENTS
        )
    activity = [Activity(time_s=row.bin * bin_s, signal=row.kind, count=row.number) for row in counted]
    return Audience(bin_s=bin_s, activity=activity, moments=moments)
