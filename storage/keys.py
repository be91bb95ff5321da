"""Keys of objects, and file names of downloads.

Every key starts with its owner's id. Objects that jobs write carry the number of the attempt, so a second attempt never
overwrites what the first one published.
"""

import re
import unicodedata
from typing import Final, Literal
from urllib.parse import quote
from uuid import UUID

from storage.store import InvalidKeyError

ClipFormat = Literal["mp4", "webm", "mp3", "jpeg", "webp"]

CLIP_FILE_NAMES: Final[dict[ClipFormat, str]] = {
    "mp4": "clip.mp4",
    "webm": "clip.webm",
    "mp3": "clip.mp3",
    "jpeg": "thumbnail.jpg",
    "webp": "preview.webp",
}
"""The last part of a clip's key, by format."""

MAX_KEY_BYTES = 1024  # S3's own limit
MAX_SEGMENT_BYTES = 255  # the longest file name of ext4, XFS and APFS
MAX_NAME_BYTES = 140  # leaves room for " (1)" and a browser's ".part" in 255, and fits encrypted home folders (143)

_JOINERS = "\u200c\u200d"  # invisible, but Persian, Indic scripts and emoji need them
_UNSAFE = re.compile(r'[/\\:*?"<>|]+')
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file: device names, with any extension
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(?:\.|$)", re.IGNORECASE)
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,8}\Z")
_ATTR_CHARS = "!#$&+-.^_`|~"  # RFC 5987 attr-char besides letters and digits


def check_key(key: str) -> str:
    """Return `key` if it is valid in every adapter; raise InvalidKeyError otherwise."""
    segments = key.split("/")
    if not all(_is_segment(segment) for segment in segments):
        raise InvalidKeyError(f"{key!r} is not an object key: a segment is empty, dotted, over-long or unprintable.")
    if len(key.encode()) > MAX_KEY_BYTES:
        raise InvalidKeyError(f"An object key may have at most {MAX_KEY_BYTES} bytes; this one is longer.")
    return key


def _is_segment(segment: str) -> bool:
    if segment in {"", ".", ".."} or "\\" in segment:
        return False
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in segment):
        return False
    return len(segment.encode()) <= MAX_SEGMENT_BYTES


def _key(*segments: object) -> str:
    parts = [str(segment) for segment in segments]
    for part in parts:
        if "/" in part or not _is_segment(part):
            raise InvalidKeyError(f"{part!r} is not a valid segment of an object key.")
    return check_key("/".join(parts))


def user_prefix(user_id: UUID) -> str:
    """Return the start of every key that belongs to a user, in either bucket."""
    return _key(user_id) + "/"


def recording_prefix(user_id: UUID, recording_id: UUID) -> str:
    """Return the start of every key of one recording: its source and everything derived from it."""
    return _key(user_id, recording_id) + "/"


def source_key(user_id: UUID, recording_id: UUID) -> str:
    """Return the key of the uploaded file itself."""
    return _key(user_id, recording_id, "source")


def ingest_key(user_id: UUID, recording_id: UUID, attempt: int, name: str) -> str:
    """Return the key of a file that an ingest attempt writes: timeline, packet index, waveform, poster."""
    return _key(user_id, recording_id, "ingest", attempt, name)


def live_part_key(user_id: UUID, recording_id: UUID, track_id: UUID, number: int) -> str:
    """Return the key of a part that a browser stores while a room is recorded."""
    return _key(user_id, recording_id, "live", track_id, f"{number:06d}")


def detect_key(user_id: UUID, recording_id: UUID, job_id: UUID, *, attempt: int, name: str) -> str:
    """Return the key of a file that a detect attempt writes: the score curve."""
    return _key(user_id, recording_id, "detect", job_id, attempt, name)


def export_key(user_id: UUID, export_id: UUID, attempt: int) -> str:
    """Return the key of the archive of everything that a user has."""
    return _key(user_id, "exports", export_id, attempt, "big-snuggles-export.zip")


def clip_prefix(user_id: UUID, render_id: UUID) -> str:
    """Return the start of every key of one render, over all attempts."""
    return _key(user_id, render_id) + "/"


def clip_key(user_id: UUID, render_id: UUID, attempt: int, name: str) -> str:
    """Return the key of a file that a render attempt writes; `name` is one of CLIP_FILE_NAMES."""
    return _key(user_id, render_id, attempt, name)


def download_name(title: str, *, extension: str = "", fallback: str = "download") -> str:
    """Return a readable file name that every system accepts, from a title that may be hostile.

    Letters of all scripts stay. Control and direction characters, path separators and the characters that Windows
    refuses become spaces; leading and trailing dots are removed; device names get an underscore in front. `extension`
    (such as ".mp4") is added unless the title ends with it. At most 140 bytes of UTF-8.
    """
    stem = unicodedata.normalize("NFC", "".join(map(_visible, title)))
    stem = _tidy(_UNSAFE.sub(" ", stem))
    if extension and stem.lower().endswith(extension.lower()):
        stem = _tidy(stem[: -len(extension)])
    stem = _tidy(_shorten(stem, MAX_NAME_BYTES - len(extension.encode()))) or fallback
    if _RESERVED.match(stem):
        stem = f"_{stem}"
    return stem + extension


def content_disposition(name: str, *, inline: bool = False) -> str:
    """Return a Content-Disposition value for a file name (RFC 6266, RFC 5987): ASCII only, safe in any header.

    Old clients read `filename`, an ASCII rendering; all current ones prefer `filename*`, which is exact.
    """
    kind = "inline" if inline else "attachment"
    plain = _ascii(name)
    if plain == name:
        return f'{kind}; filename="{plain}"'
    exact = quote(name, safe=_ATTR_CHARS, encoding="utf-8", errors="replace")
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{exact}"


def answer_headers(filename: str | None, content_type: str | None) -> dict[str, str]:
    """Return the query parameters of a GET that set headers of its answer."""
    wanted = {
        "response-content-disposition": None if filename is None else content_disposition(filename),
        "response-content-type": content_type,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _visible(character: str) -> str:
    if character in _JOINERS:
        return character
    return " " if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} else character


def _tidy(name: str) -> str:
    return " ".join(name.split()).strip(". ")


def _shorten(name: str, max_bytes: int) -> str:
    return name.encode()[:max_bytes].decode(errors="ignore")


def _ascii(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    # Some clients decode a percent sign; a quote or backslash would end or escape the quoted string.
    plain = "".join(c if c.isprintable() and c not in '"\\%/' else "_" for c in letters).strip()
    extension = _EXTENSION.search(plain)
    if extension and extension.start() == 0:
        return f"download{plain}"
    return plain or "download"
