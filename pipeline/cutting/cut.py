"""Cuts a clip by copying packets and encoding only the pictures at its edges."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from msgspec import Struct

from pipeline.cutting.assemble import assemble, why_encode_sound
from pipeline.cutting.draft import Draft
from pipeline.cutting.mux import SOUND_ONLY, format_of, takes
from pipeline.cutting.plan import CROPPED, NO_TIMES, REASONS, STANDSTILL_S, TRANSPARENT, CutPlan, plan_cut
from pipeline.cutting.splice.splicer import Splicer
from pipeline.cutting.stretch.pictures import has_alpha
from pipeline.cutting.survey import Survey, survey, ticks
from pipeline.errors import NO_STREAMS, OUT_OF_RANGE, UNSUPPORTED_OUTPUT, MediaError
from pipeline.reading.container.cropping import find_crop
from pipeline.reading.demux import Demuxer
from pipeline.reading.index import open_indexed
from pipeline.reading.media import Media
from pipeline.reading.selection import choose_streams
from pipeline.reading.streams import Selection
from pipeline.reading.times import check_range, is_counted, known_duration
from pipeline.types import Accuracy, Problem, Source

ROUNDING_S = Fraction(1, 1000)
"""People and JSON round to milliseconds, so a picture this little after the start counts as the one at the start."""
CLIP_FORMATS = frozenset({"mp4", "ipod", "mov", "matroska", "webm", "mp3"})


class CutReport(Struct, frozen=True, kw_only=True):
    """The result of `cut`. `start_s` and `end_s` are the clip's actual place in the recording.

    `accuracy` is the accuracy reached; if it differs from the requested one, `notes` says why.
    """

    accuracy: Accuracy
    start_s: float
    end_s: float
    copied_s: float
    encoded_s: float
    bytes_read: int
    notes: list[Problem]
    decoded: int = 0
    """Pictures decoded in order to encode those at a copy's edges; none if another clip's could be reused."""


class Refusal(Struct, frozen=True, kw_only=True):
    """The reason why a stretch cannot be copied, the bytes read so far, and the place to read it again."""

    problem: Problem
    bytes_read: int
    source: Source | str | Path


def cut_by_copy(  # noqa: PLR0913 - one parameter for each option of a cut
    source: Source | str | Path | Media,
    *,
    start_s: float,
    end_s: float,
    out: Path,
    accuracy: Accuracy = "exact",
    on_progress: Callable[[float], None],
) -> CutReport | Refusal:
    """Cut [start_s, end_s) of a recording into `out`, or return why all of it must be encoded.

    Raises MediaError: OUT_OF_RANGE, UNSUPPORTED_OUTPUT, DECODE_FAILED, ENCODE_FAILED, or one of opening the recording.
    """
    if format_of(out) not in CLIP_FORMATS:
        raise MediaError(UNSUPPORTED_OUTPUT, f"the suffix {out.suffix} is not for clips")
    with open_indexed(source) as media:
        before = media.bytes_read if media is source else 0
        begin, end = check_range(media, start_s, end_s, known_duration(media))
        found = _Cut(media, _selection(media, out), begin, end, out, accuracy).prepare()
        if not isinstance(found, Draft):
            return Refusal(problem=found, bytes_read=media.bytes_read - before, source=media.source)
        decoded = assemble(found, out, on_progress)
        on_progress(1.0)
        return _report(found, accuracy, media.bytes_read - before, decoded, why_encode_sound(found, out))


@dataclass
class _Cut:
    """The state of one cut."""

    media: Media
    selection: Selection
    begin: Fraction
    end: Fraction
    out: Path
    accuracy: Accuracy

    def __post_init__(self) -> None:
        video = self.selection.video
        self.demuxer = Demuxer(self.media, self.selection)
        self.splicer = Splicer(video) if video is not None else None

    def prepare(self) -> "Draft | Problem":
        """Survey and plan; return the clip's draft, or why everything must be encoded."""
        refusal = self._refusal()
        if refusal is not None:
            return refusal
        found = survey(self.demuxer, self.begin, self.end, self.splicer)
        if found.changes:
            return Problem(code="changes_midway", message=REASONS["changes_midway"])
        if found.is_packed:
            return Problem(code="packed", message=REASONS["packed"])
        plan = self._plan(found)
        if plan.reason is not None:
            return Problem(code=plan.reason, message=REASONS[plan.reason])
        if not found.sounds and not plan.segments:
            raise MediaError(OUT_OF_RANGE, "nothing is recorded between these times")
        return self._draft(found, plan)

    def _refusal(self) -> Problem | None:
        if self.accuracy == "encode":
            return Problem(code="asked", message="Encoding was asked for.")
        if self.splicer is None:
            return None
        stream = self.splicer.stream
        applies = (
            ("no_times", NO_TIMES, is_counted(self.media.container)),
            ("transparent", TRANSPARENT, has_alpha(stream)),
            ("cropped", CROPPED, find_crop(self.media, stream) is not None),
        )
        for code, message, is_so in applies:
            if is_so:
                return Problem(code=code, message=message)
        if not takes(self.out, self.splicer.codec):
            message = f"{self.splicer.codec} video cannot be kept in {self.out.suffix}."
            return Problem(code="codec_not_allowed", message=message, stream=stream.index)
        why = self.splicer.why_not() if self.accuracy == "exact" else None
        return None if why is None else Problem(code="cannot_join", message=why, stream=stream.index)

    def _plan(self, found: Survey) -> CutPlan:
        video = self.selection.video
        if video is None:
            return CutPlan(0, 0, ())
        start, stop = ticks(self.begin, video.time_base), ticks(self.end, video.time_base)
        meant = start + ticks(ROUNDING_S, video.time_base)
        start = min((u.pts for u in found.pictures if start <= u.pts <= meant), default=start)
        standstill = ticks(STANDSTILL_S, video.time_base)
        return plan_cut(found.pictures, start, stop, self.accuracy, standstill=standstill)

    def _draft(self, found: Survey, plan: CutPlan) -> "Draft":
        """Set the times of the clip: those of its pictures, if it has any."""
        start, end = self.begin, self.end
        if plan.segments and self.selection.video is not None:
            base = self.selection.video.time_base or Fraction(1)
            start = plan.start * base
            moved = max(Fraction(0), self.begin - start) if self.accuracy == "exact" else Fraction(0)
            end = max(plan.end * base, self.end - moved)
        return Draft(
            demuxer=self.demuxer,
            splicer=self.splicer,
            survey=found,
            plan=plan,
            asked=(self.begin, self.end),
            start=start,
            end=end,
            is_exact=self.accuracy == "exact",
        )


def _report(draft: Draft, accuracy: Accuracy, bytes_read: int, decoded: int, sound_note: Problem | None) -> CutReport:
    video = draft.demuxer.selection.video
    copied, encoded = draft.end - draft.start, Fraction(0)
    if video is None and sound_note is not None:
        copied, encoded = encoded, copied
    if draft.plan.segments and video is not None:
        base = video.time_base or Fraction(1)
        copied, encoded = draft.plan.copied_ticks * base, draft.plan.encoded_ticks * base
    zero = draft.demuxer.zero
    return CutReport(
        accuracy=accuracy,
        start_s=float(draft.start - zero),
        end_s=float(draft.end - zero),
        copied_s=float(copied),
        encoded_s=float(encoded),
        bytes_read=bytes_read,
        notes=[] if sound_note is None else [sound_note],
        decoded=decoded,
    )


def _selection(media: Media, out: Path) -> Selection:
    selection = choose_streams(media)
    if format_of(out) not in SOUND_ONLY:
        return selection
    if selection.audio is None:
        raise MediaError(NO_STREAMS, "a sound file was requested, and this recording has no sound")
    return Selection(video=None, audio=selection.audio)
