"""The causes of failed media work, each with a code, a meaning, a remedy, and whether trying again can help."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """A kind of failure: its stable code and the advice that goes with it."""

    code: str
    meaning: str
    remedy: str
    retryable: bool = False


class MediaError(Exception):
    """Media work failed. `str()` is one sentence for a person; the fields are for programs.

    `stream` is the container index of the stream at fault and `time_s` the place, if known. `remedy` replaces the
    cause's own advice if more is known.
    """

    def __init__(
        self,
        cause: Cause,
        detail: str = "",
        *,
        stream: int | None = None,
        time_s: float | None = None,
        remedy: str | None = None,
    ) -> None:
        self.cause = cause
        self.detail = detail
        self.remedy = cause.remedy if remedy is None else remedy
        """What the person with the file can do."""
        self.stream = stream
        self.time_s = time_s
        super().__init__(self.message)

    @property
    def code(self) -> str:
        """The stable code, such as `no_streams`."""
        return self.cause.code

    @property
    def retryable(self) -> bool:
        """Whether the same work on the same file may succeed later."""
        return self.cause.retryable

    @property
    def message(self) -> str:
        """What happened and what to do, in plain words."""
        return f"{self.finding} {self.remedy}"

    @property
    def finding(self) -> str:
        """What happened, in plain words; for those who show the remedy beside it."""
        where = "" if self.stream is None else f" (stream {self.stream})"
        when = "" if self.time_s is None else f" at {self.time_s:.3f} s"
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.cause.meaning}{where}{when}{detail}."


EMPTY = Cause("empty_file", "The file is empty", "Send the recording again; the upload carried no bytes.")
TOO_LONG = Cause(
    "recording_too_long",
    "The recording is longer than the tier allows",
    "Cut it into shorter recordings, or choose a higher tier.",
)
NOT_MEDIA = Cause(
    "not_media",
    "This is not a media file that can be read",
    "Send a video or audio file such as MP4, MOV, MKV, WebM, TS, MP3, M4A, OGG, WAV or FLAC.",
)
FORBIDDEN_FORMAT = Cause(
    "forbidden_format",
    "Playlists and files that point to other files are not accepted",
    "Send the media itself, not a list or link to it.",
)
TRUNCATED = Cause("truncated", "The file ends before its content does", "Send the whole file again.")
NO_INDEX = Cause(
    "moov_missing",
    "The file's index (moov) is missing: the recorder stopped before it could write it",
    "Send the file again after repairing it, and record in a format that survives a crash (MKV, fragmented MP4).",
)
ENCRYPTED = Cause("encrypted", "The recording is encrypted", "Send it without copy protection.")
STILL_IMAGE = Cause("still_image", "This is a still picture, not a recording", "Send a video or audio recording.")
NO_STREAMS = Cause("no_streams", "The file holds neither sound nor moving images", "Send a video or audio recording.")
NO_AUDIO = Cause(
    "no_audio", "There is no sound to listen to", "Clips can still be cut by hand from start and end times."
)
OUT_OF_RANGE = Cause(
    "out_of_range", "The requested times lie outside the recording", "Choose a start and an end inside it."
)
DECODE_FAILED = Cause(
    "decode_failed", "The stream could not be decoded", "The file is damaged here; send a better copy."
)
ENCODE_FAILED = Cause(
    "encode_failed", "The clip could not be encoded", "Convert the recording to H.264 and AAC first, or report this."
)
UNSUPPORTED = Cause(
    "unsupported_codec", "No decoder for this codec is available", "Convert the file to H.264 and AAC first."
)
UNSUPPORTED_OUTPUT = Cause(
    "unsupported_output", "This output cannot be made from this recording", "Ask for another format or preset."
)
TOO_LARGE = Cause("output_too_large", "The clip is larger than the limit", "Choose a shorter clip or a smaller preset.")
TOO_SHORT = Cause(
    "clip_too_short", "The requested times are too close together for a clip", "Choose times that are further apart."
)
# A copy that fails its check is encoded automatically, so the advice is not to encode.
VERIFY_FAILED = Cause(
    "verify_failed",
    "The finished clip did not pass its check",
    "Choose other times, further apart if the clip is short; if that fails too, convert the recording first.",
)
LOUDNESS_MISSED = Cause(
    "loudness_missed",
    "The finished clip does not have the requested loudness",
    "Ask for another loudness, or leave the level alone.",
)
READ_FAILED = Cause("read_failed", "The recording could not be read", "Try again in a moment.", retryable=True)
TIMED_OUT = Cause(
    "timed_out", "The work took longer than allowed", "Choose a shorter clip, or ask the operator to raise the limit."
)
OUT_OF_MEMORY = Cause(
    "out_of_memory", "The work needed more memory than allowed", "Convert the file to a smaller resolution first."
)
NO_SPACE = Cause(
    "no_space", "The worker's scratch disk is full", "Try again later; the operator has been told.", retryable=True
)
CRASHED = Cause(
    "crashed",
    "The media process died on this file",
    "If it happens again the file is damaged; send a better copy.",
    retryable=True,
)
CANCELLED = Cause("cancelled", "The work was cancelled", "Start it again when you need it.")
BAD_TASK = Cause("bad_task", "The media task could not be understood", "This is a fault of the service; report it.")
TAGGER_UNUSABLE = Cause(
    "tagger_unusable",
    "The audio tagger cannot be used",
    "Name a YAMNet export (yamnet.tflite) by its path, or none for the built-in tagger.",
)
BAD_OPTION = Cause("invalid_option", "An option cannot be used", "Correct the option named here, or leave it out.")
