"""What a recording may be called, and what kind of content it may be."""

import re

from services.errors import InvalidFieldError, UnsupportedMediaTypeError
from storage.keys import download_name

MAX_FILENAME_LENGTH = 255
MAX_TITLE_LENGTH = 300
MEDIA_TYPES = re.compile(r"(?:video|audio)/[a-z0-9][a-z0-9.+-]{0,80}", re.IGNORECASE)
# How browsers and phones name containers that hold sound or moving images.
OTHER_TYPES = frozenset({"application/octet-stream", "application/mp4", "application/ogg", "application/mxf"})
TYPE_IN_THE_DARK = "application/octet-stream"


def clean_filename(name: str) -> str:
    """Return the last segment of a name, without anything that leads elsewhere; never empty."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return download_name(last, fallback="recording")[:MAX_FILENAME_LENGTH]


def clean_title(title: str) -> str:
    """Return a title without control characters and outer spaces; InvalidFieldError when nothing is left."""
    text = " ".join("".join(char if char.isprintable() else " " for char in title).split())
    if not text:
        raise InvalidFieldError("title", "A title has at least one visible character.")
    return text[:MAX_TITLE_LENGTH]


def is_media_type(content_type: str) -> bool:
    """Say whether a content type may be that of a recording."""
    bare = content_type.partition(";")[0].strip().lower()
    return bool(MEDIA_TYPES.fullmatch(bare)) or bare in OTHER_TYPES


def clean_content_type(content_type: str) -> str:
    """Return a content type without its parameters; UnsupportedMediaTypeError when it is not one of media."""
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
