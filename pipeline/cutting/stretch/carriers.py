"""The codecs that each container carries without loss in the file of a stretch; others are decoded while reading.

A test copies a stretch of each entry and compares the decoded result with the recording. Codecs with parameters
elsewhere (palettes, block sizes, ADPCM tables) are not listed: a copy would lose those without an error.
"""

from av.audio.stream import AudioStream
from av.video.stream import VideoStream

ANYWHERE = frozenset({"h264", "hevc", "vp8", "vp9", "av1", "mpeg1video", "mpeg2video", "mpeg4"})
PICTURES: dict[str, frozenset[str]] = {
    ".mkv": ANYWHERE | {"mjpeg", "prores"},
    ".mp4": ANYWHERE - {"vp8", "mpeg1video"},
    ".mov": frozenset({"mjpeg", "prores", "dnxhd", "dvvideo"}),
    ".nut": (ANYWHERE - {"av1"}) | {"mjpeg", "dvvideo"},
}
SOUNDS: dict[str, frozenset[str]] = {
    ".mkv": frozenset({"aac", "mp3", "opus", "vorbis", "flac", "ac3", "eac3"}),
    ".mp4": frozenset({"aac", "mp3", "opus", "flac", "ac3", "eac3"}),
    ".mov": frozenset({"aac", "mp3", "ac3", "alac"}),
    ".nut": frozenset({"aac", "mp3", "opus", "vorbis", "flac", "ac3"}),
}
SPLIT_PACKETS = frozenset({"wav", "w64", "avi", "asf"})
"""Containers whose packets of sound are not whole frames of their codec."""
LEVELLED_PROFILE = "xHE-AAC"
"""Decoders differ in applying the level that it states; the clip's must be that of the reference."""
LAYOUTS = frozenset(
    {"mono", "stereo", "2.1", "3.0", "4.0", "quad", "5.0", "5.0(side)", "5.1", "5.1(side)", "6.1", "7.1"}
)
"""Channel layouts that every filter and encoder knows; sound in others is decoded and converted to one of them."""


def carries_pictures(suffix: str, stream: VideoStream) -> bool:
    """Return whether a file with this suffix keeps all that a decoder needs of the stream."""
    return stream.codec_context.codec.canonical_name in PICTURES[suffix]


def carries_sound(suffix: str, stream: AudioStream, container: str) -> bool:
    """Return whether a file with this suffix keeps all that a decoder needs of a stream that comes from `container`."""
    if SPLIT_PACKETS & set(container.split(",")) or stream.codec_context.profile == LEVELLED_PROFILE:
        return False
    return stream.codec_context.codec.canonical_name in SOUNDS[suffix] and stream.layout.name in LAYOUTS


def suffix_for(container: str, video: VideoStream | None) -> str:
    """Return the suffix of the container that keeps most of the source's properties, including times."""
    formats = set(container.split(","))
    if "matroska" in formats:
        return ".mkv"
    if "mov" not in formats or video is None:
        return ".nut"
    return ".mp4" if carries_pictures(".mp4", video) else ".mov"
