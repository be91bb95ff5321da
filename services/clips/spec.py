"""Clip specifications: bounds within the recording and the tier, and defaults that fit the recording."""

import math
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from db.clips import ClipSpec
from db.highlights import HighlightRow
from db.recordings import Recording
from pipeline.types import PRESET_OPTIONS
from services import sanitising
from services.billing.tier import UNLIMITED, Tier
from services.errors import ConflictError, InvalidFieldError, NotReadyError

MIN_CLIP_S = 5.0
MAX_CLIP_S = 300.0
# Times are rounded decimals, and to the user a clip of 4.9999 s has 5 s.
TOLERANCE_S = 0.001
# A client that wants everything to the end rounds the duration, by up to half a frame at 25 a second.
END_TOLERANCE_S = 0.05
OPTION_NAMES: dict[str, tuple[str, ...]] = {preset: kind.__struct_fields__ for preset, kind in PRESET_OPTIONS.items()}
VIDEO_PRESETS = ("720p", "vertical", "square")


class ClipStyle(Struct, frozen=True, kw_only=True):
    """The look and sound of a clip; with `preset` None, the recording decides."""

    preset: str | None = None
    formats: list[str] | None = None
    accuracy: str = "exact"
    loudness: float | None = None
    options: dict[str, Any] = {}


def check_times(start_s: float, end_s: float, *, duration_s: float, tier: Tier) -> float:
    """Return the end, clamped to the recording's if it is slightly beyond; InvalidFieldError names what is wrong."""
    for field, value in (("start_s", start_s), ("end_s", end_s)):
        if not math.isfinite(value) or value < 0:
            raise InvalidFieldError(field, f"{field} must be a number of seconds from the start, 0 or more.")
    if end_s <= start_s:
        raise InvalidFieldError("end_s", "end_s must be after start_s.")
    if start_s >= duration_s:
        raise InvalidFieldError(
            "start_s",
            f"start_s is after the end of the recording, which has {duration_s:.3f} s.",
            duration_s=duration_s,
        )
    if end_s > duration_s + END_TOLERANCE_S:
        raise InvalidFieldError(
            "end_s", f"end_s is after the end of the recording, which has {duration_s:.3f} s.", duration_s=duration_s
        )
    end_s = min(end_s, duration_s)
    _check_length(end_s - start_s, tier)
    return end_s


def longest_clip_s(tier: Tier) -> float:
    """Return the longest clip that a tier may make."""
    longest_s = tier.limit("clip_length_s")
    return MAX_CLIP_S if longest_s == UNLIMITED else min(float(longest_s), MAX_CLIP_S)


def require_probed(recording: Recording) -> float:
    """Return the recording's duration; ConflictError until it has been read, or when that failed."""
    if recording.status == "failed":
        reason = recording.error.message if recording.error else "it could not be read"
        raise ConflictError(f"This recording failed: {reason}", status=recording.status, reason="recording_failed")
    if recording.status not in ("processing", "ready") or recording.duration_s is None:
        raise NotReadyError(
            f"The recording is {recording.status}; wait until it has been read and ask again.", status=recording.status
        )
    return recording.duration_s


def require_room(recording: Recording) -> None:
    """Raise ConflictError if the recording is shorter than the shortest clip, or not read yet."""
    duration_s = require_probed(recording)
    if duration_s < MIN_CLIP_S:
        raise ConflictError(
            f"This recording has {duration_s:.3f} s; the shortest clip has {MIN_CLIP_S:g} s.",
            reason="recording_too_short",
        )


def _check_length(length_s: float, tier: Tier) -> None:
    longest_s = longest_clip_s(tier)
    if length_s < MIN_CLIP_S - TOLERANCE_S:
        raise InvalidFieldError(
            "end_s", f"A clip has at least {MIN_CLIP_S:g} s; this one has {length_s:.3f} s.", reason="clip_too_short"
        )
    if length_s > longest_s + TOLERANCE_S:
        raise InvalidFieldError(
            "end_s",
            f"A clip has at most {longest_s:g} s on the {tier.display_name} tier; this one has {length_s:.3f} s.",
            max_s=longest_s,
            reason="clip_too_long",
        )


def spec_of(recording: Recording, style: ClipStyle, *, start_s: float, end_s: float) -> ClipSpec:
    """Return the clip's full specification, with defaults that fit the recording; InvalidFieldError if impossible."""
    has_video, has_audio = recording.has_video is not False, recording.has_audio is not False
    formats = list(dict.fromkeys(style.formats if style.formats is not None else ["mp4"]))
    if not formats:
        raise InvalidFieldError("formats", "Name at least one format of mp4, webm and mp3.")
    if "mp3" in formats and not has_audio:
        raise InvalidFieldError(
            "formats", "This recording has no sound, so there is nothing to put into an mp3.", reason="no_sound"
        )
    preset = style.preset or ("original" if has_video else "audiogram")
    if preset in VIDEO_PRESETS and not has_video:
        raise InvalidFieldError(
            "preset", f"This recording has no picture for {preset}; use audiogram, or only mp3.", reason="no_picture"
        )
    if preset == "audiogram" and not has_audio:
        raise InvalidFieldError("preset", "This recording has no sound to draw an audiogram from.", reason="no_sound")
    _check_options(preset, style.options)
    return ClipSpec(
        start_s=start_s,
        end_s=end_s,
        preset=preset,
        formats=formats,
        accuracy=style.accuracy,
        loudness=style.loudness,
        options=style.options,
    )


def _check_options(preset: str, options: dict[str, Any]) -> None:
    for name in options:
        if name not in OPTION_NAMES[preset]:
            takers = [taker for taker, names in OPTION_NAMES.items() if name in names]
            known = f"use it with {' or '.join(takers)}" if takers else "no preset does"
            raise InvalidFieldError(f"options.{name}", f"The preset {preset} takes no {name}; {known}.")


def spec_of_highlight(
    recording: Recording, style: ClipStyle, highlight: HighlightRow, *, number: int, tier: Tier
) -> ClipSpec:
    """Return the clip of a highlight: bounds that the tier allows, and a title from its kind."""
    start_s, end_s = _fit(highlight, duration_s=require_probed(recording), longest_s=longest_clip_s(tier))
    _check_length(end_s - start_s, tier)
    title = f"{recording.title}: {highlight.kind} {number}"
    if len(title) > sanitising.MAX_TITLE_LENGTH:
        title = recording.title
    return replace(spec_of(recording, style, start_s=start_s, end_s=end_s), title=title, highlight_id=highlight.id)


def _fit(highlight: HighlightRow, *, duration_s: float, longest_s: float) -> tuple[float, float]:
    """Return a highlight's bounds as those of a clip: extended to the least length, or cut around the peak."""
    start_s, end_s = highlight.start_s, min(highlight.end_s, duration_s)
    if end_s - start_s > longest_s:
        start_s = max(start_s, min(highlight.peak_s - longest_s / 2, end_s - longest_s))
        end_s = start_s + longest_s
    if end_s - start_s < MIN_CLIP_S:
        start_s = max(0.0, min(start_s - (MIN_CLIP_S - (end_s - start_s)) / 2, duration_s - MIN_CLIP_S))
        end_s = min(duration_s, start_s + MIN_CLIP_S)
    return start_s, end_s
