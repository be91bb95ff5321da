"""Text sanitising: names, titles and file names without deceptive characters."""

import re
import unicodedata

from services.errors import InvalidFieldError, UnsupportedMediaTypeError
from storage.keys import download_name

MAX_FILENAME_LENGTH = 255
MAX_TITLE_LENGTH = 300
MEDIA_TYPES = re.compile(r"(?:video|audio)/[a-z0-9][a-z0-9.+-]{0,80}", re.IGNORECASE)
# The names that browsers and phones give to containers of sound or video.
OTHER_TYPES = frozenset({"application/octet-stream", "application/mp4", "application/ogg", "application/mxf"})
DEFAULT_CONTENT_TYPE = "application/octet-stream"

JOINERS = frozenset("\u200c\u200d")
"""Invisible characters that emoji and several scripts need."""
SPACING = frozenset({"Cc", "Zl", "Zp"})
DECEPTIVE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of characters that show nothing, or that change how the text around them is shown."""


def is_deceptive(text: str) -> bool:
    """Return whether a text has control characters, or ones that reverse or hide their surroundings."""
    return any(unicodedata.category(char) in DECEPTIVE and char not in JOINERS for char in text)


def clean_name(name: str) -> str:
    """Return a name on one line, without control and bidirectional characters and outer spaces; may be empty."""
    kept = (" " if unicodedata.category(char) in SPACING else char for char in name)
    visible = "".join(char for char in kept if char in JOINERS or unicodedata.category(char) not in DECEPTIVE)
    return " ".join(visible.split()).strip("".join(JOINERS))


def clean_filename(name: str) -> str:
    """Return the last segment of a name, safe as a file name; never empty."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return download_name(last, fallback="recording")[:MAX_FILENAME_LENGTH]


def clean_title(title: str) -> str:
    """Return a title as `clean_name` does; InvalidFieldError if nothing is left."""
    text = clean_name(title)
    if not text:
        raise InvalidFieldError("title", "A title has at least one visible character.")
    return text[:MAX_TITLE_LENGTH]


def is_media_type(content_type: str) -> bool:
    """Return whether a content type may be that of a recording."""
    bare = content_type.partition(";")[0].strip().lower()
    return bool(MEDIA_TYPES.fullmatch(bare)) or bare in OTHER_TYPES


def clean_content_type(content_type: str) -> str:
    """Return a content type without its parameters; UnsupportedMediaTypeError unless it is one of media."""
    if not is_media_type(content_type):
        raise UnsupportedMediaTypeError(
            "Recordings are video or audio; send one with a content type such as video/mp4 or audio/mpeg.",
            field="content_type",
        )
    return content_type.partition(";")[0].strip().lower()


def title_of(filename: str) -> str:
    """Return a title for a file that came without one."""
    stem = filename.rpartition(".")[0].strip() or filename
    return stem[:MAX_TITLE_LENGTH]
