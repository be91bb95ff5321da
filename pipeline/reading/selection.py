"""Chooses the streams of a recording that clips are made from, or says why there are none."""

from pipeline.errors import ENCRYPTED, NO_STREAMS, UNSUPPORTED, MediaError
from pipeline.reading.container.headers import Track, is_protected, read_tracks
from pipeline.reading.media import Media
from pipeline.reading.streams import Selection, codec_name, find_streams, has_decoder, is_cover


def choose_streams(media: Media) -> Selection:
    """Return the best usable video and audio stream; MediaError ENCRYPTED, UNSUPPORTED or NO_STREAMS."""
    tracks = read_tracks(media)
    if is_protected(media, tracks):
        raise MediaError(ENCRYPTED)
    selection = find_streams(media.container)
    if selection is None:
        raise _why_none(media, tracks)
    return selection


def _why_none(media: Media, tracks: list[Track]) -> MediaError:
    streams = list(media.container.streams)
    unknown = [s for s in streams if s.type in {"video", "audio"} and not is_cover(s) and not has_decoder(s)]
    if unknown:
        names = [f"{s.type} {_name(s.index, tracks) or codec_name(s)}" for s in unknown]
        return MediaError(UNSUPPORTED, ", ".join(names), stream=unknown[0].index)
    kinds = sorted({"cover picture" if is_cover(s) else f"{s.type} without content" for s in streams})
    return MediaError(NO_STREAMS, f"it contains only: {', '.join(kinds)}" if kinds else "")


def _name(index: int, tracks: list[Track]) -> str:
    return tracks[index].tag if index < len(tracks) else ""
