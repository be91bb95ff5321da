"""Joins the parts of a browser's recording, as bytes, to one file.

MediaRecorder writes the header only into the first part. WebM (Chromium, Firefox) continues with clusters, fragmented
MP4 (Safari) with fragments. Both have their own times, so a missing part leaves a gap and shifts nothing.
"""

from collections.abc import Iterable
from pathlib import Path

CLUSTER = bytes.fromhex("1f43b675")
"""EBML id of a Matroska cluster (RFC 9559)."""
FRAGMENT = b"moof"
"""Type of the box that begins a fragment (ISO/IEC 14496-12)."""
EBML = bytes.fromhex("1a45dfa3")
LENGTH_BYTES = 4
COPY_BYTES = 1024 * 1024


def header_of(first: bytes) -> bytes:
    """Return the header in a recording's first bytes, which all other parts need; empty if there is none."""
    if first.startswith(EBML):
        at = first.find(CLUSTER)
        return first if at < 0 else first[:at]
    at = first.find(FRAGMENT)
    return first[: at - LENGTH_BYTES] if at >= LENGTH_BYTES else b""


def join_bytes(parts: Iterable[Path], out: Path, *, header: bytes = b"") -> int:
    """Write a header and parts one after the other; return the bytes written. Empty parts add nothing."""
    size = len(header)
    with out.open("wb") as file:
        file.write(header)
        for part in parts:
            with part.open("rb") as source:
                while piece := source.read(COPY_BYTES):
                    size += file.write(piece)
    return size
