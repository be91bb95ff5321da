"""Renders a clip: cuts or encodes each format, checks every file, and makes the pictures that go with it."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from pipeline.cutting.cut import CutReport, Refusal, cut_by_copy
from pipeline.errors import (
    BAD_OPTION,
    DECODE_FAILED,
    ENCODE_FAILED,
    OUT_OF_RANGE,
    TOO_LARGE,
    VERIFY_FAILED,
    MediaError,
)
from pipeline.progress import Emit, Meter, split
from pipeline.reading.probe import probe
from pipeline.rendering import describe, presets
from pipeline.rendering.check.resemblance import Likeness, original
from pipeline.rendering.check.verify import Expectation, LoudnessMissedError, verify
from pipeline.rendering.compose import PATH, SCRIPT, STRIP, Composer
from pipeline.rendering.cut import cut
from pipeline.rendering.eligibility import NOTES, encoding_notes, named, refuse_impossible, why_encode
from pipeline.rendering.encoding import encode, loudness, subtitle
from pipeline.rendering.encoding.ffmpeg import FONTS_CONF, decoding_errors
from pipeline.rendering.material import Material, Segment, fetch, look_at
from pipeline.rendering.pictures import audiogram, thumbnail
from pipeline.rendering.pictures.watcher import Watcher, is_plain
from pipeline.types import Accuracy, Format, Output, Partial, Problem, RenderResult, RenderTask, Source

SEGMENT = "segment"
EARLY = "early.mp4"
EARLY_SLACK_S = 0.5
THUMBNAIL, PREVIEW, STORYBOARD = "thumbnail.jpg", "preview.webp", "storyboard.jpg"
NAMES: dict[Format, str] = {"mp4": "clip.mp4", "webm": "clip.webm", "mp3": "clip.mp3"}
DECODING_HELPS = frozenset({VERIFY_FAILED, ENCODE_FAILED, DECODE_FAILED})
"""Causes that can result from a decoder's start in the wrong place, or a loss in a container."""
ENCODING_HELPS = frozenset({VERIFY_FAILED, ENCODE_FAILED, TOO_LARGE, OUT_OF_RANGE})
"""Causes that can affect a copy but not an encoded clip (with a lower bit rate, in the last case)."""
STEREO = 2
STILL_TOLERANCE_S = 0.15
"""The waveform is shown ten times a second, so that a clip may be longer by one picture."""
SPARE_PICTURES = 4
"""Extra pictures: the one before the stretch, and the last one repeated."""
MIN_LUFS, MAX_LUFS = -40.0, -9.0
"""A target outside this range is a mistake: broadcasters use -24 to -23, platforms -19 to -14."""
LEFTOVERS = (SCRIPT, PATH, STRIP, FONTS_CONF)
COST: dict[Format, float] = {"mp4": 3.0, "webm": 8.0, "mp3": 0.3}
"""The relative times of the formats, for a realistic progress bar."""


def render(task: RenderTask, scratch: Path, meter: Meter, emit: Emit) -> RenderResult:
    """Make the files of a RenderTask in `scratch`; every file in the result has been decoded and has passed its check.

    MediaError for times outside the recording, invalid options, outputs that are impossible for this recording, and
    files that cannot be read or encoded.
    """
    try:
        return _Rendering(task, scratch, meter, emit).run()
    finally:
        for path in [*(scratch / name for name in LEFTOVERS), *scratch.glob(f"{SEGMENT}.*")]:
            path.unlink(missing_ok=True)
        shutil.rmtree(scratch / subtitle.FONT_CACHE, ignore_errors=True)


class _Rendering:
    """The state of one task: the source's properties, the finished files, and the notes."""

    def __init__(self, task: RenderTask, scratch: Path, meter: Meter, emit: Emit) -> None:
        self.task = task
        self.scratch = scratch
        self.meter = meter
        self.emit = emit
        self.options = presets.parse_options(task.preset, task.options)
        self.formats = list(dict.fromkeys(task.formats))
        self.cues = subtitle.parse(self.options.subtitles) if self.options.subtitles else []
        self.notes: list[Problem] = []
        self.outputs: list[Output] = []
        self.accuracy: Accuracy = "encode"
        self.segment: Segment
        self._level: loudness.Level | None = None
        self._watcher: Watcher | None = None

    def run(self) -> RenderResult:
        """Make everything; if the recording's packets do not decode well, again from decoded pictures."""
        try:
            return self._make(must_decode=False)
        except MediaError as exc:
            if exc.cause not in DECODING_HELPS or not self._may_decode():
                raise
        self._start_again()
        return self._make(must_decode=True)

    def _make(self, *, must_decode: bool) -> RenderResult:
        self.segment = segment = self._fetch(self.meter.stage("fetch", 0.0, 0.1), must_decode=must_decode)
        self.material = segment.material
        self._composer = Composer(self.task, self.options, self.cues, self.scratch, segment.material)
        self.notes += segment.notes
        refuse_impossible(self.task, segment)
        if self.material.video is None and not self._draws_audiogram():
            self._draw_waveform()
        rest = self.formats
        why = why_encode(self.task, self.options, segment)
        if why is None:
            rest = [kind for kind in rest if kind != "mp4" or not self._copy()]
            if rest and "mp4" not in rest and self.task.accuracy != "encode":
                self._note("format_encoded", NOTES["format_encoded"])
        elif self.task.accuracy != "encode":
            self.notes.append(why)
        if rest:
            self.notes += encoding_notes(segment)
            self._find_level()
            self._encode(rest, self.meter.stage("encode", 0.3, 0.9))
        self._draw(self.meter.stage("pictures", 0.9, 1.0))
        return RenderResult(
            outputs=self.outputs, bytes_read=segment.bytes_read, accuracy=self.accuracy, notes=self.notes
        )

    def _may_decode(self) -> bool:
        """Return whether the pictures were copied, so that decoding from an earlier place may help."""
        return hasattr(self, "segment") and self.segment.decoded is None and self.material.video is not None

    def _start_again(self) -> None:
        self.notes, self.outputs, self.accuracy = [], [], "encode"
        self._level = self._watcher = None

    def _draws_audiogram(self) -> bool:
        return self.task.preset == "audiogram" and bool({"mp4", "webm"} & set(self.formats))

    def _copy(self) -> bool:
        """Make the MP4 by copying, an early version first; False to encode it.

        A `fast` clip is published early too: it can be played while the check decodes it.
        """
        task, name = self.task, NAMES["mp4"]
        self._show_early(self.meter.stage("preview", 0.03, 0.08))
        if task.accuracy == "encode":
            return False
        try:
            report = cut(
                Source(location=str(self.segment.path), cache_dir=task.source.cache_dir),
                start_s=self.segment.start_s,
                end_s=self.segment.end_s,
                out=self.scratch / name,
                accuracy=task.accuracy,
                on_progress=self.meter.stage("cut", 0.08, 0.25),
            )
            copied_s, encoded_s = report.copied_s, report.encoded_s
            self._list(
                "mp4",
                name,
                duration_s=report.end_s - report.start_s,
                copied_s=copied_s,
                encoded_s=encoded_s,
                likeness=self._likeness("mp4", copied=report),
            )
        except MediaError as exc:
            if exc.cause not in ENCODING_HELPS:
                raise
            why = f"The recording's own packets did not make a good file: {exc.detail or exc.cause.meaning}."
            self._note("copy_failed", f"{why} So it was encoded.")
            return False
        self.notes += [named(note, self.segment) for note in report.notes]
        self.accuracy = report.accuracy
        return True

    def _show_early(self, report: Callable[[float], None]) -> None:
        """Publish a copy cut at keyframes, to play while the clip is being made; its failure is ignored."""
        try:
            done = cut_by_copy(
                self.segment.path,
                start_s=self.segment.start_s,
                end_s=self.segment.end_s,
                out=self.scratch / EARLY,
                accuracy="fast",
                on_progress=report,
            )
            if isinstance(done, Refusal):
                return
            planned_s = done.end_s - done.start_s
            output = self._described("mp4", EARLY, duration_s=planned_s, copied_s=done.copied_s, encoded_s=0.0)
            # A full decode would cost the seconds that an early version saves. Its length and first pictures were
            # checked, its packets are the recording's own, and the checked clip replaces it.
            length_s = probe(self.scratch / EARLY).duration_s
        except MediaError:
            return
        if output.size_bytes <= self.task.max_bytes and abs(length_s - planned_s) < EARLY_SLACK_S:
            self.emit(Partial(outputs=[output]))

    def _fetch(self, report: Callable[[float], None], *, must_decode: bool) -> Segment:
        """Extract the stretch of the clip to the scratch folder; all later steps work on that copy."""
        for path in self.scratch.glob(f"{SEGMENT}.*"):
            path.unlink()
        task = self.task
        return fetch(
            task.source,
            out=self.scratch / SEGMENT,
            start_s=task.start_s,
            end_s=task.end_s,
            must_decode=must_decode,
            on_progress=report,
        )

    def _find_level(self) -> None:
        """Measure the sound and choose the filters for the requested loudness."""
        target = self.task.loudness
        if target is None or self.material.audio is None:
            return
        if not MIN_LUFS <= target <= MAX_LUFS:
            raise MediaError(BAD_OPTION, f"loudness must be between {MIN_LUFS:g} and {MAX_LUFS:g} LUFS")
        self._level = loudness.level(self.scratch, self.material, self.options, target)
        if self._level is None:
            self._note("silence", "The clip is silent: its level was left alone.")

    def _encode(self, formats: list[Format], report: Callable[[float], None]) -> None:
        reports = split(report, [COST[kind] for kind in formats])
        for kind, part in zip(formats, reports, strict=True):
            try:
                self._encode_one(kind, self._level, part)
            except LoudnessMissedError as missed:
                self._correct(kind, missed, part)

    def _encode_one(self, kind: Format, level: loudness.Level | None, report: Callable[[float], None]) -> None:
        """Encode a format and check it, including its level."""
        name, length_s = NAMES[kind], self.material.duration_s
        stream = self._composer.stream(kind, level)
        out = self.scratch / name
        log = encode.encode(kind, stream, out=out, max_bytes=self.task.max_bytes, report=report)
        self._refuse_damage(log)
        self._list(
            kind, name, duration_s=length_s, encoded_s=length_s, level=level, likeness=self._likeness(kind, level=level)
        )

    def _refuse_damage(self, log: list[str]) -> None:
        """Raise MediaError DECODE_FAILED if a decoder that may have begun too late logged errors."""
        video = self.material.video
        if video is None or self.segment.decoded is not None:
            return
        errors = decoding_errors(log, {video.codec})
        if errors:
            raise MediaError(DECODE_FAILED, errors[0], stream=video.index)

    def _correct(self, kind: Format, missed: LoudnessMissedError, report: Callable[[float], None]) -> None:
        """Encode once more with a corrected level; if the clip is still off, add a note."""
        level = self._level.corrected(missed.found) if self._level is not None else None
        try:
            if level is not None:
                self._encode_one(kind, level, report)
                return
        except LoudnessMissedError as again:
            missed = again
        self._note("loudness_missed", f"The {kind.upper()} does not have the requested loudness: {missed.detail}.")
        length_s = self.material.duration_s
        likeness = self._likeness(kind, level=level or self._level)
        self._list(kind, NAMES[kind], duration_s=length_s, encoded_s=length_s, likeness=likeness)

    def _draw_waveform(self) -> None:
        """Draw the waveform: without moving images, it is the thumbnail and the picture of a video."""
        width, height = audiogram.write_waveform_picture(self.scratch, self.material, THUMBNAIL)
        self._list_picture(THUMBNAIL, width, height)
        if self.task.preset == "original" and {"mp4", "webm"} & set(self.formats):
            self._note("still_picture", "There are no moving images: the video shows the waveform as a still picture.")

    def _draw(self, report: Callable[[float], None]) -> None:
        """Make thumbnail, preview and storyboard from the clip."""
        if self.material.video is None and not self._draws_audiogram():
            return  # nothing moves
        reports = split(report, [1.0, 2.0, 3.0])
        if self._watcher is not None:
            self._list_picture(THUMBNAIL, *self._watcher.write_thumbnail(self.scratch / THUMBNAIL))
            reports[0](1.0)
            self._list_preview(*self._watcher.write_preview(self.scratch / PREVIEW))
        else:
            shown = self._shown()
            at = thumbnail.telling_time(self.scratch, shown)
            self._list_picture(THUMBNAIL, *thumbnail.write_thumbnail(self.scratch, shown, at, THUMBNAIL))
            reports[0](1.0)
            self._list_preview(*thumbnail.write_preview(self.scratch, shown, at, PREVIEW))
        reports[1](1.0)
        if self.options.storyboard:
            self._list_picture(STORYBOARD, *thumbnail.write_storyboard(self.scratch, self._shown(), STORYBOARD))
        reports[2](1.0)

    def _shown(self) -> Material:
        """Return the finished video, or the source if only sound was made."""
        made = next((o for o in self.outputs if o.format in {"mp4", "webm"}), None)
        if made is None:
            return self.material
        found = probe(self.scratch / made.path)
        start = Fraction(found.start_s)
        video = found.stream(found.video) if found.video is not None else None
        end = start + Fraction(found.duration_s).limit_denominator(1_000_000)
        return look_at(self.scratch, made.path, start=start, end=end, streams=(video, None))

    def _list(  # noqa: PLR0913 - keyword-only
        self,
        kind: Format,
        name: str,
        *,
        duration_s: float,
        copied_s: float = 0.0,
        encoded_s: float = 0.0,
        level: loudness.Level | None = None,
        likeness: Likeness,
    ) -> None:
        """Decode a finished file, compare it with its plan, and add it to the outputs."""
        expected = Expectation(
            duration_s=duration_s,
            tolerance_s=STILL_TOLERANCE_S if self._is_still(kind) else None,
            video=kind != "mp3",
            max_bytes=self.task.max_bytes,
            lufs=level.target_lufs if level is not None else None,
            max_true_peak_db=loudness.MAX_TRUE_PEAK_DB if level is not None else None,
            likeness=likeness,
        )
        watcher = self._watcher_for(kind, duration_s, is_copied=copied_s > 0)
        report = verify(self.scratch / name, expected, watch=watcher.take if watcher is not None else None)
        if watcher is not None and watcher.has_seen:
            self._watcher = watcher
        self.outputs.append(
            self._described(kind, name, duration_s=report.duration_s, copied_s=copied_s, encoded_s=encoded_s)
        )

    def _is_still(self, kind: Format) -> bool:
        """Return whether a file shows the waveform."""
        return kind != "mp3" and self.material.video is None and self.task.preset == "original"

    def _likeness(
        self, kind: Format, *, level: loudness.Level | None = None, copied: CutReport | None = None
    ) -> Likeness:
        """Return the expected resemblance of a file to the recording."""
        whole = original(self.segment, moved_s=self.segment.moved_s, length_s=self.material.duration_s)
        if copied is not None:
            moved_s = Fraction(copied.start_s - self.segment.start_s).limit_denominator(1_000_000)
            return original(self.segment, moved_s=moved_s, length_s=copied.end_s - copied.start_s)
        is_drawn = self.task.preset == "audiogram" or self.material.video is None
        counted = None if is_drawn else self.segment.reference.most_pictures
        return replace(
            whole,
            most_pictures=None if counted is None else counted + counted // 10 + SPARE_PICTURES,
            gain_db=level.gain_db if level is not None else 0.0,
            is_limited=level is not None and level.ceiling_db is not None,
            is_mixed=self.material.audio is not None and (self.material.audio.channels or 0) > STEREO,
            fade_in_s=self.options.fade_in_s,
            fade_out_s=self.options.fade_out_s,
            has_picture=kind != "mp3" and not is_drawn,
            is_whole=self.task.preset in {"original", "720p"},
            is_toned=self.material.video is not None and self.material.video.hdr is not None,
        )

    def _watcher_for(self, kind: Format, duration_s: float, *, is_copied: bool) -> Watcher | None:
        """Return the watcher of this check's pictures; None if another check has it, or they need conversion."""
        if kind == "mp3" or self._watcher is not None:
            return None
        video = self.material.video
        if is_copied and video is not None and not is_plain(video):
            return None
        return Watcher(duration_s)

    def _described(self, kind: Format, name: str, *, duration_s: float, copied_s: float, encoded_s: float) -> Output:
        return describe.clip(self.scratch, name, kind, duration_s=duration_s, copied_s=copied_s, encoded_s=encoded_s)

    def _list_picture(self, name: str, width: int, height: int) -> None:
        self.outputs.append(describe.still(self.scratch, name, width, height))

    def _list_preview(self, width: int, height: int, duration_s: float) -> None:
        self.outputs.append(describe.preview(self.scratch, PREVIEW, width, height, duration_s))

    def _note(self, code: str, message: str) -> None:
        self.notes.append(Problem(code=code, message=message))
