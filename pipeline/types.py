"""The pipeline's interface: the requests that a media child reads and the results that it writes, as JSON by msgspec.

Times are seconds (float) at this border only; inside, plans use `Fraction` or integer ticks with a time base.
"""

import hashlib
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

Kind = Literal["humor", "celebration", "surprise", "emotional", "engagement"]
Format = Literal["mp4", "webm", "mp3"]
Accuracy = Literal["exact", "fast", "encode"]
Preset = Literal["original", "720p", "vertical", "square", "audiogram"]
StreamKind = Literal["video", "audio", "subtitle", "data", "attachment"]


BUILTIN_TAGGER: Final = "built-in-2"
"""The name of the built-in audio tagger; its number rises with each new set of weights."""


def name_tagger(model: bytes | None) -> str:
    """Return the name of the tagger with this model file; None means the built-in one.

    The name contains a digest of the model, because timelines of different models are not comparable. YAMNet is used
    together with the built-in tagger.
    """
    return BUILTIN_TAGGER if model is None else f"yamnet-{hashlib.sha256(model).hexdigest()[:12]}+{BUILTIN_TAGGER}"


class Source(Struct, frozen=True, kw_only=True):
    """The location of a recording's bytes: a local path, or an http(s) URL that supports byte ranges."""

    location: str
    size_bytes: int | None = None
    index: str | None = None
    """Path of the packet index that ingest stored, if any: with it, cuts read only the ranges they need."""
    cache_dir: str | None = None
    """Cache folder for this recording's blocks and encoded parts, shared by all its clips; its creator removes it."""
    relay: str | None = None
    """Path of a Unix socket that leads to the server of `location`, for processes that may open no other connection."""


class Problem(Struct, frozen=True, kw_only=True):
    """A problem of a file that is still usable."""

    code: str
    message: str
    stream: int | None = None
    time_s: float | None = None


class StreamInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One stream of a container, as the decoder will see it."""

    index: int
    kind: StreamKind
    codec: str
    profile: str | None = None
    time_base: str = "1/1"
    start_s: float | None = None
    duration_s: float | None = None
    bit_rate: int | None = None
    language: str | None = None
    is_default: bool = False
    is_cover: bool = False
    """An attached picture (cover art), not a moving image."""
    width: int | None = None
    height: int | None = None
    rotation: int = 0
    """Clockwise degrees to turn the decoded picture for display: 0, 90, 180 or 270."""
    sample_aspect: str = "1/1"
    frame_rate: float | None = None
    is_vfr: bool = False
    pix_fmt: str | None = None
    bit_depth: int | None = None
    hdr: Literal["pq", "hlg"] | None = None
    is_interlaced: bool = False
    sample_rate: int | None = None
    channels: int | None = None
    layout: str | None = None


class Probe(Struct, frozen=True, kw_only=True):
    """The contents of a file. `video` and `audio` are the streams that clips are made from."""

    container: str
    duration_s: float
    start_s: float
    size_bytes: int | None
    bit_rate: int | None
    streams: list[StreamInfo]
    video: int | None
    audio: int | None
    problems: list[Problem]

    def stream(self, index: int) -> StreamInfo:
        """Return the stream with this container index; KeyError when there is none."""
        for stream in self.streams:
            if stream.index == index:
                return stream
        raise KeyError(index)


class Reason(Struct, frozen=True, kw_only=True):
    """A named part of a highlight's score; the contributions of all reasons sum to the score."""

    signal: str
    weight: float
    contribution: float


class Highlight(Struct, frozen=True, kw_only=True):
    """A moment worth sharing. Core is the moment itself; start and end are padded and snapped to pauses."""

    start_s: float
    end_s: float
    core_start_s: float
    core_end_s: float
    peak_s: float
    score: Annotated[float, Meta(ge=0, le=1)]
    kind: Kind
    kind_confidence: float
    reasons: list[Reason]


class ActivityEvent(Struct, frozen=True, kw_only=True):
    """An action of the audience at a time of the recording."""

    time_s: float
    signal: Literal["message", "reaction", "vote", "join", "mark", "replay"]
    weight: float = 1.0


SIGNALS: Final = (
    "laughter",
    "applause",
    "cheering",
    "shouting",
    "screaming",
    "loudness",
    "novelty",
    "steadiness",
    "tone",
    "pauses",
    "contrast",
    "audience",
)
"""The parts of a score, each of which can be weighted. `steadiness` and `pauses` count without an audio tagger, the
first
five and `novelty` with one."""
DEFAULT_MIN_S = 5.0
DEFAULT_MAX_S = 60.0


class DetectOptions(Struct, frozen=True, kw_only=True):
    """Options for picking highlights. `sensitivity` is the least score (0.5 most moments, 0.9 only peaks)."""

    sensitivity: Annotated[float, Meta(ge=0, le=1)] = 0.7
    top: Annotated[int, Meta(ge=1, le=500)] | None = None
    min_s: Annotated[float, Meta(ge=1, le=300)] = DEFAULT_MIN_S
    max_s: Annotated[float, Meta(ge=1, le=300)] = DEFAULT_MAX_S
    weights: dict[str, float] = {}
    """Factors by signal name (0 silences a signal, 2 doubles it); unknown names are refused."""


Colour = Annotated[str, Meta(pattern="^#[0-9a-fA-F]{6}$")]
FadeSeconds = Annotated[float, Meta(ge=0, le=10)]
SubtitleText = Annotated[str, Meta(max_length=1_000_000)]
SubtitlesOrigin = Literal["clip", "recording"]
Follow = Literal["motion", "centre"]
VerticalHeight = Literal[1280, 1920]
SquareSize = Literal[720, 1080]
Shape = Literal["landscape", "square", "vertical"]
ThemeName = Literal["dark", "light", "warm"]


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of every preset."""

    fade_in_s: FadeSeconds = 0.0
    fade_out_s: FadeSeconds = 0.0
    subtitles: SubtitleText = ""
    """SRT or WebVTT text to burn in."""
    subtitles_origin: SubtitlesOrigin = "clip"
    """Time 0 of the subtitles: the first frame of the clip, or of the recording it is cut from."""
    keep_codec: bool = False
    """Let an MP4 keep a codec other than H.264 and AAC (HEVC, AV1 …) when the cut can copy it."""
    storyboard: bool = False
    """Also make `storyboard.jpg`: one picture with evenly spaced frames, for scrubbing."""


class OriginalOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`original`: the picture of the source."""


class Hd720Options(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`720p`: at most 720 lines (or columns of an upright picture)."""


class VerticalOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`vertical`: 9:16 for phones."""

    blurred_sides: bool = False
    """Show the whole picture over a blurred copy of itself, instead of cropping it to the frame."""
    follow: Follow = "motion"
    height: VerticalHeight | None = None


class SquareOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`square`: 1:1."""

    blurred_sides: bool = False
    follow: Follow = "motion"
    size: SquareSize | None = None


class AudiogramOptions(Options, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`audiogram`: moving waveform, title and progress bar instead of a picture."""

    shape: Shape = "square"
    theme: ThemeName = "dark"
    background: Colour | None = None
    wave: Colour | None = None
    text: Colour | None = None
    progress: Colour | None = None
    show_progress: bool = True


PRESET_OPTIONS: dict[Preset, type[Options]] = {
    "original": OriginalOptions,
    "720p": Hd720Options,
    "vertical": VerticalOptions,
    "square": SquareOptions,
    "audiogram": AudiogramOptions,
}


class Output(Struct, frozen=True, kw_only=True):
    """A finished file that has passed `verify`."""

    path: str
    format: Literal["mp4", "webm", "mp3", "jpeg", "webp"]
    content_type: str
    size_bytes: int
    duration_s: float | None = None
    width: int | None = None
    height: int | None = None
    copied_s: float = 0.0
    """Seconds of the main stream copied without encoding."""
    encoded_s: float = 0.0


class IngestTask(Struct, frozen=True, kw_only=True, tag="ingest", tag_field="task"):
    """Analyse a new recording once: probe, timeline, packet index, waveform, tags, poster."""

    source: Source
    tagger: str | None = None
    """Path of a YAMNet export; None is the built-in tagger."""
    longest_s: float | None = None
    """A longer recording is refused; None means no limit."""


class IngestResult(Struct, frozen=True, kw_only=True, tag="ingest", tag_field="task"):
    """The results of ingest. File names are relative to the scratch folder; `index`, `tags`, `poster` may be None."""

    probe: Probe
    timeline: str
    waveform: str
    index: str | None
    poster: str | None
    tagger: str = ""
    """The name of the tagger used."""
    tags: str | None = None
    """The tagger's rows, for drawing."""


class ListenTask(Struct, frozen=True, kw_only=True, tag="listen", tag_field="task"):
    """Listen to a recording again, with another tagger."""

    source: Source
    stream: int | None
    """The sound stream that ingest chose."""
    duration_s: float
    tagger: str | None = None


class ListenResult(Struct, frozen=True, kw_only=True, tag="listen", tag_field="task"):
    """The part of `IngestResult` that comes from listening."""

    timeline: str
    tagger: str
    tags: str


class DetectTask(Struct, frozen=True, kw_only=True, tag="detect", tag_field="task"):
    """Score a stored timeline."""

    timeline: str
    options: DetectOptions = DetectOptions()
    activity: list[ActivityEvent] = []


class DetectResult(Struct, frozen=True, kw_only=True, tag="detect", tag_field="task"):
    """Highlights best first, and the score curve (10 values a second, 0..1) as a JSON file."""

    highlights: list[Highlight]
    curve: str
    duration_s: float = 0.0
    """The length of the timeline."""


class RenderTask(Struct, frozen=True, kw_only=True, tag="render", tag_field="task"):
    """Cut one clip and make the requested formats, a thumbnail and, if there is video, an animated preview."""

    source: Source
    start_s: float
    end_s: float
    formats: list[Format] = msgspec.field(default_factory=lambda: ["mp4"])
    preset: Preset = "original"
    accuracy: Accuracy = "exact"
    title: str = ""
    loudness: float | None = None
    """Target in LUFS (EBU R128), such as -14; None leaves the level alone."""
    options: dict[str, Any] = {}
    """Preset options: fade_in_s, fade_out_s, blurred_sides, subtitles, theme …"""
    max_bytes: int = 100 * 1024 * 1024


class RenderResult(Struct, frozen=True, kw_only=True, tag="render", tag_field="task"):
    """The results of a render. `preview` and `thumbnail` are among `outputs` (formats webp and jpeg)."""

    outputs: list[Output]
    bytes_read: int
    accuracy: Accuracy
    """The accuracy reached; it differs from the requested one if no exact copy is possible (see `notes`)."""
    notes: list[Problem]


class JoinTrack(Struct, frozen=True, kw_only=True):
    """A track of a live recording: a file in the scratch folder, and its start by the clocks, in seconds."""

    path: str
    start_s: float


class JoinTask(Struct, frozen=True, kw_only=True, tag="join", tag_field="task"):
    """Make one file of the tracks of a live recording."""

    tracks: list[JoinTrack]


class JoinResult(Struct, frozen=True, kw_only=True, tag="join", tag_field="task"):
    """The file, relative to the scratch folder, and the start of each track in it, in seconds (pictures first)."""

    path: str
    content_type: str
    delays_s: list[float]


Task = IngestTask | ListenTask | DetectTask | RenderTask | JoinTask
TaskResult = IngestResult | ListenResult | DetectResult | RenderResult | JoinResult


class Progress(Struct, frozen=True, kw_only=True, tag="progress", tag_field="event"):
    """The progress of the whole task, 0 to 1."""

    stage: str
    fraction: float
    eta_s: float | None = None


class Partial(Struct, frozen=True, kw_only=True, tag="partial", tag_field="event"):
    """An early version to publish while the task continues: a `fast` clip before the exact one."""

    outputs: list[Output]


class Done(Struct, frozen=True, kw_only=True, tag="done", tag_field="event"):
    """The last event of a child that succeeded."""

    result: TaskResult


class Failed(Struct, frozen=True, kw_only=True, tag="failed", tag_field="event"):
    """The last event of a child that failed: the fields of a `MediaError`."""

    code: str
    message: str
    remedy: str
    retryable: bool
    stream: int | None = None
    time_s: float | None = None


Event = Progress | Partial | Done | Failed

task_decoder: msgspec.json.Decoder[Task] = msgspec.json.Decoder(Task)
event_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
