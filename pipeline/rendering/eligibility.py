"""Decides which clips a recording allows: those that are impossible, and those that must be encoded.

Every browser must play a copied clip.
"""

from msgspec.structs import replace

from pipeline.errors import TOO_SHORT, UNSUPPORTED_OUTPUT, MediaError
from pipeline.rendering.material import Segment
from pipeline.types import Options, Problem, RenderTask

SHORTEST_S = 0.05
"""One or two pictures at usual rates. LAME fails on less, with an error about memory."""
EVERYWHERE = frozenset({"yuv420p", "yuvj420p"})
"""The format that every browser's H.264 decoder shows; 10 bit and 4:4:4 are black in most."""
KEPT_BY_MP4 = frozenset({"mp3", "opus", "flac"})
"""Codecs of sound that a cut copies into an MP4 but not every player decodes; it converts others to AAC."""
OTHER_NOTES = {
    "alpha_flattened": "Transparency is not kept: black shows where a picture is transparent.",
    "copy_failed": "A copy did not pass its check; the message says what was wrong with it.",
    "loudness_missed": "The clip does not have the requested loudness; the message says how loud it is.",
    "silence": "The clip is silent: its level was left alone.",
    "still_picture": "There are no moving images: the video shows the waveform as a still picture.",
    "tone_mapped": "The recording is in HDR; the clip has ordinary brightness and colours (SDR).",
}
"""Notes of clips other than the reasons for encoding."""
VIDEO_FORMAT = "mp4"
NOTES = {
    "format_encoded": "WebM and MP3 are always encoded.",
    "preset_encoded": "Presets other than `original` make new pictures.",
    "sound_encoded": "The sound was encoded: its packets cannot be copied, or there are no moving images to copy.",
    "pixel_shape": "A copy would lose the shape of the recording's pixels.",
    "option_encoded": "Loudness, fades and subtitles are worked into the clip by encoding it.",
}


def encoding_notes(segment: Segment) -> list[Problem]:
    """Return changes by encoding a stretch, other than the codec."""
    video = segment.material.video
    if video is None or video.hdr is None:
        return []
    return [Problem(code="tone_mapped", message=OTHER_NOTES["tone_mapped"])]


def named(note: Problem, segment: Segment) -> Problem:
    """Return a note of a cut about the recording's own codec, not the one that its sound was stored in meanwhile."""
    if note.code != "sound_encoded" or segment.decoded_sound is None:
        return note
    return replace(note, message=f"{segment.decoded_sound} sound cannot be kept in a copy; it was encoded.")


def refuse_impossible(task: RenderTask, segment: Segment) -> None:
    """Raise MediaError TOO_SHORT or UNSUPPORTED_OUTPUT for an impossible clip, before any work is done."""
    length_s = segment.material.duration_s
    if length_s < SHORTEST_S:
        raise MediaError(TOO_SHORT, f"{length_s:.3f} s, and {SHORTEST_S:g} s is the least")
    pictures = [kind for kind in task.formats if kind != "mp3"]
    if segment.probe.audio is None and "mp3" in task.formats:
        raise MediaError(UNSUPPORTED_OUTPUT, "an MP3 needs sound, and there is none in this stretch")
    if segment.probe.audio is None and task.preset == "audiogram":
        raise MediaError(UNSUPPORTED_OUTPUT, "an audiogram needs sound, and there is none in this stretch")
    if segment.probe.video is None and pictures and task.preset in {"720p", "vertical", "square"}:
        raise MediaError(UNSUPPORTED_OUTPUT, f"preset `{task.preset}` needs a picture; use `audiogram` for sound alone")


def why_encode(task: RenderTask, options: Options, segment: Segment) -> Problem | None:
    """Return why the recording's packets cannot be copied into an MP4, or None."""
    wanted = (
        (VIDEO_FORMAT not in task.formats, "format_encoded"),
        (task.preset != "original", "preset_encoded"),
        (segment.material.video is None, "sound_encoded"),
    )
    for applies, code in wanted:
        if applies:
            return _note(code)
    if segment.decoded is not None:
        return segment.decoded
    if not segment.is_faithful:
        return _note("pixel_shape")
    if task.loudness is not None or options.subtitles or options.fade_in_s or options.fade_out_s:
        return _note("option_encoded")
    return None if options.keep_codec else _why_unplayable(segment)


def _why_unplayable(segment: Segment) -> Problem | None:
    video, audio = segment.material.video, segment.material.audio
    if video is not None and (video.codec != "h264" or video.pix_fmt not in EVERYWHERE or video.is_interlaced):
        kind = f"{'interlaced ' if video.is_interlaced else ''}{video.codec} ({video.pix_fmt})"
        message = f"Not every browser plays {kind} in an MP4, so it was converted to H.264."
        return Problem(code="codec_not_allowed", message=message, stream=video.index)
    if audio is not None and audio.codec in KEPT_BY_MP4:
        message = f"Not every player plays {audio.codec} in an MP4, so it was converted to AAC."
        return Problem(code="codec_not_allowed", message=message, stream=audio.index)
    return None


def _note(code: str) -> Problem:
    return Problem(code=code, message=NOTES[code])
