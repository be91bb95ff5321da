"""Analyses a recording once (probe, timeline, waveform, packet index, poster), and scores a stored timeline."""

import dataclasses
from collections.abc import Callable
from math import ceil
from pathlib import Path

from msgspec.structs import replace

from pipeline.errors import BAD_OPTION, BAD_TASK, TOO_LONG, MediaError
from pipeline.listening.listen import Timeline, TimelineFormatError, build_timeline
from pipeline.listening.tagging.load import load_tagger
from pipeline.listening.tagging.tagger import Tagger, row_count
from pipeline.listening.waveform import write_curve, write_tags, write_waveform
from pipeline.progress import Meter
from pipeline.reading.index import PacketIndex, build_index
from pipeline.reading.probe import probe
from pipeline.rendering.pictures.poster import write_poster
from pipeline.types import (
    DetectResult,
    DetectTask,
    IngestResult,
    IngestTask,
    ListenResult,
    ListenTask,
    Probe,
    Source,
)

TIMELINE = "timeline.bin"
WAVEFORM = "waveform.json"
INDEX = "index.bin"
POSTER = "poster.jpg"
CURVE = "curve.json"
TAGS = "tags.json"


def ingest(task: IngestTask, scratch: Path, meter: Meter) -> IngestResult:
    """Analyse a recording once and write the files that later tasks read instead of the recording.

    MediaError for unusable files. A recording without sound is no error: its timeline is silent, and the probe says so.
    """
    tagger = load_tagger(task.tagger)  # first, so that an unusable model does not cost a decode pass
    index = _index(task.source, meter.stage("index", 0.0, 0.1))
    source = task.source
    if index is not None:
        index.save(scratch / INDEX)
        source = replace(source, index=str(scratch / INDEX))
    report = meter.stage("probe", 0.1, 0.12)
    found = probe(source)
    report(1.0)
    if task.longest_s is not None and found.duration_s > task.longest_s:
        raise MediaError(TOO_LONG, f"{_hours(found.duration_s)}, at most {_hours(task.longest_s)}")
    timeline = _listen(source, found, task, tagger, meter.stage("listen", 0.12, 0.95))
    timeline.save(scratch / TIMELINE)
    write_waveform(
        scratch / WAVEFORM,
        timeline.peaks,
        rate=timeline.rate,
        duration_s=found.duration_s,
        keyframes_s=index.keyframes(found.video) if index is not None and found.video is not None else (),
    )
    if timeline.tagger:
        write_tags(scratch / TAGS, timeline.tags, tagger=timeline.tagger)
    report = meter.stage("poster", 0.95, 1.0)
    has_poster = write_poster(source, found, scratch / POSTER)
    report(1.0)
    return IngestResult(
        probe=replace(found, problems=[*found.problems, *timeline.problems]),
        timeline=TIMELINE,
        waveform=WAVEFORM,
        index=INDEX if index is not None else None,
        poster=POSTER if has_poster else None,
        tagger=timeline.tagger,
        tags=TAGS if timeline.tagger else None,
    )


def listen_again(task: ListenTask, scratch: Path, meter: Meter) -> ListenResult:
    """Write a recording's timeline made by another tagger; MediaError as `ingest`."""
    report = meter.stage("listen", 0.0, 1.0)
    tagger = load_tagger(task.tagger)
    timeline = build_timeline(task.source, stream_index=task.stream, on_progress=report, tagger=tagger)
    timeline = _within(timeline, task.duration_s)
    timeline.save(scratch / TIMELINE)
    write_tags(scratch / TAGS, timeline.tags, tagger=timeline.tagger)
    report(1.0)
    return ListenResult(timeline=TIMELINE, tagger=timeline.tagger, tags=TAGS)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h"


def _listen(
    source: Source, found: Probe, task: IngestTask, tagger: Tagger, report: Callable[[float], None]
) -> Timeline:
    if found.audio is None:
        return Timeline.silent(found.duration_s)
    timeline = build_timeline(
        source,
        stream_index=found.audio,
        on_progress=report,
        tagger=tagger,
        longest_s=task.longest_s,
    )
    return _within(timeline, found.duration_s)


def _within(timeline: Timeline, duration_s: float) -> Timeline:
    """Drop sound after the end of the recording, so that no highlight begins there."""
    rows = ceil(duration_s * timeline.rate)
    if timeline.rows <= rows + timeline.rate:
        return timeline
    return dataclasses.replace(
        timeline,
        features=timeline.features[:rows],
        peaks=timeline.peaks[:rows],
        duration_s=duration_s,
        tags=timeline.tags[: row_count(duration_s)],
    )


def _index(source: Source, report: Callable[[float], None]) -> PacketIndex | None:
    """List the packets; if that fails, cuts read the whole recording, so this is not an error."""
    try:
        return build_index(source, on_progress=report)
    except MediaError:
        return None


def detect(task: DetectTask, scratch: Path, meter: Meter) -> DetectResult:
    """Score a stored timeline: highlights best first, and the score curve as a file."""
    from pipeline.listening.detect import detect as find_highlights
    from pipeline.listening.detect import score_curve
    from pipeline.listening.detection.scoring import OptionsError

    report = meter.stage("score", 0.0, 1.0)
    try:
        timeline = Timeline.load(scratch / task.timeline)
    except (TimelineFormatError, OSError) as exc:
        raise MediaError(BAD_TASK, f"the stored timeline cannot be read: {exc}") from exc
    try:
        found = find_highlights(timeline, task.options, task.activity)
        report(0.7)
        curve = score_curve(timeline, task.options, task.activity)
    except OptionsError as exc:
        raise MediaError(BAD_OPTION, str(exc).rstrip(".")) from exc
    write_curve(scratch / CURVE, curve, rate=timeline.rate)
    report(1.0)
    return DetectResult(highlights=found, curve=CURVE, duration_s=timeline.duration_s)
