"""Limits on the size of request bodies, which are read and parsed whole."""

from typing import Final

DEFAULT_BYTES: Final = 128 * 1024
"""The longest title and description take 64 KiB when every character is escaped."""
SUBTITLES_BYTES: Final = 5 * 1024 * 1024
"""For requests that make clips: a million characters of subtitles of up to four bytes each."""
PARTS_BYTES: Final = 2 * 1024 * 1024
"""For completing an upload: 10,000 parts with their ETags, which are 32 to 64 characters in practice."""
