"""The timeline of a recording as a value and as a file: small, versioned, and safe to read from anyone."""

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pipeline.listening.features import FEATURES, ROWS_PER_S, SILENCE_DB
from pipeline.listening.tagging.tagger import GROUPS, LOGIT_LIMIT, row_count
from pipeline.types import Problem

MAGIC: Final = b"SNUGTL"
VERSION: Final = 2
"""Version 2 added the tagger's rows; files of version 1 are read as timelines without them."""
VERSIONS: Final = (1, 2)
MAX_ROWS: Final = 72 * 3600 * ROWS_PER_S
"""Three days: longer than any accepted recording, and so small (180 MB) that a forged header cannot fill memory."""
MAX_HEADER_BYTES: Final = 256 * 1024
MAX_GROUPS: Final = 64
"""More classes than any tagger here has."""
MAX_PROBLEMS: Final = 100
"""Most problems in a file; a file damaged everywhere need not list every place."""
PEAK_STEPS: Final = 255
"""Waveform peaks are stored in eight bits, enough for any screen."""
ZLIB_LEVEL: Final = 0
"""Stored with a checksum but uncompressed: compression saves a seventh of 2.3 MB an hour, and decompression took a
sixth
of the time of a new scoring."""


class TimelineFormatError(ValueError):
    """A timeline file could not be read: damaged, forged, or of another version. Analyse the recording again."""


class _Header(Struct, frozen=True):
    rows: int
    duration_s: float
    start_s: float
    names: list[str]
    problems: list[Problem]
    tagger: str = ""
    groups: list[str] = []


@dataclass(frozen=True, eq=False)
class Timeline:
    """The timeline of a recording: `features` [rows, names] float32, ten rows a second from time 0.

    Time 0 is the recording's start (the container's start time), at which a player shows 0:00; `start_s` is that start
    on the container's clock. `peaks` [rows] float32 0..1 is the greatest magnitude in each row, for drawing. `problems`
    lists places of damaged or missing sound, which are silent here. `tags` [tag rows, GROUPS] float32 are the logits of
    `tagger`, one row for each 0.48 s; without a tagger it has no rows.
    """

    features: NDArray[np.float32]
    peaks: NDArray[np.float32]
    duration_s: float
    start_s: float = 0.0
    problems: tuple[Problem, ...] = ()
    names: tuple[str, ...] = FEATURES
    rate: float = field(default=float(ROWS_PER_S))
    tags: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, len(GROUPS)), dtype=np.float32))
    tagger: str = ""

    @property
    def rows(self) -> int:
        """Number of rows: one for each started tenth of a second."""
        return len(self.features)

    def column(self, name: str) -> NDArray[np.float32]:
        """Return one feature [rows]; ValueError for an unknown name."""
        return self.features[:, self.names.index(name)]

    @classmethod
    def silent(cls, duration_s: float) -> "Timeline":
        """Return the timeline of `duration_s` seconds without sound, for recordings that have only images."""
        rows = min(MAX_ROWS, int(np.ceil(max(0.0, duration_s) * ROWS_PER_S - 1e-6)))
        features = np.zeros((rows, len(FEATURES)), dtype=np.float32)
        features[:, [name.endswith("_db") for name in FEATURES]] = SILENCE_DB
        return cls(features=features, peaks=np.zeros(rows, dtype=np.float32), duration_s=max(0.0, duration_s))

    def save(self, path: Path) -> None:
        """Write the timeline: 2.5 MB an hour, all in half precision, as `TimelineBuilder` made it."""
        header = msgspec.json.encode(
            _Header(
                rows=self.rows,
                duration_s=self.duration_s,
                start_s=self.start_s,
                names=list(self.names),
                problems=list(self.problems),
                tagger=self.tagger,
                groups=list(GROUPS) if self.tagger else [],
            ),
        )
        columns = np.ascontiguousarray(self.features.T, dtype="<f2")
        tags = np.ascontiguousarray(self.tags.T, dtype="<f2")
        peaks = np.round(np.clip(self.peaks, 0.0, 1.0) * PEAK_STEPS).astype(np.uint8)
        prefix = MAGIC + VERSION.to_bytes(2, "big") + len(header).to_bytes(4, "big")
        path.write_bytes(
            prefix + header + zlib.compress(columns.tobytes() + peaks.tobytes() + tags.tobytes(), ZLIB_LEVEL)
        )

    @classmethod
    def load(cls, path: Path) -> "Timeline":
        """Read a timeline; TimelineFormatError when the file is not one that this version wrote."""
        header, body = _read_parts(path.read_bytes())
        names, rows = tuple(header.names), header.rows
        values = rows * len(names)
        tag_rows = row_count(header.duration_s) if header.tagger else 0
        size = 2 * values + rows + 2 * tag_rows * len(header.groups)
        raw = _unpack(body, size)
        features = _columns(raw, 0, rows, len(names))
        tags = _in_order(_columns(raw, 2 * values + rows, tag_rows, len(header.groups)), header.groups)
        if not (np.isfinite(features).all() and np.isfinite(tags).all()):
            raise TimelineFormatError(
                "The timeline file contains values that are not numbers; analyse the recording again"
            )
        return cls(
            features=features,
            peaks=(np.frombuffer(raw, dtype=np.uint8, offset=2 * values, count=rows) / PEAK_STEPS).astype(np.float32),
            duration_s=header.duration_s,
            start_s=header.start_s,
            problems=tuple(header.problems),
            names=names,
            tags=tags,
            tagger=header.tagger,
        )


def _unpack(body: bytes, size: int) -> bytes:
    """Return the arrays' bytes; TimelineFormatError unless there are exactly `size`."""
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(body, max_length=size + 1)
    except zlib.error as error:
        raise TimelineFormatError("The timeline file is damaged; analyse the recording again") from error
    if len(raw) != size or not unpacker.eof:
        raise TimelineFormatError("The timeline file ends too early; analyse the recording again")
    return raw


def _columns(raw: bytes, offset: int, rows: int, names: int) -> NDArray[np.float32]:
    """Return an array [rows, names] that was written column by column in half precision."""
    stored = np.frombuffer(raw, dtype="<f2", offset=offset, count=rows * names)
    return stored.reshape(names, rows).T.astype(np.float32)


def _in_order(tags: NDArray[np.float32], groups: list[str]) -> NDArray[np.float32]:
    """Return a tagger's columns in the order of GROUPS; a missing group counts as not heard."""
    if tuple(groups) == GROUPS:
        return tags
    ordered = np.full((len(tags), len(GROUPS)), -LOGIT_LIMIT, dtype=np.float32)
    for column, group in enumerate(groups):
        if group in GROUPS:
            ordered[:, GROUPS.index(group)] = tags[:, column]
    return ordered


def _read_parts(data: bytes) -> tuple[_Header, bytes]:
    """Check everything before the arrays; return the header and the compressed rest."""
    fixed = len(MAGIC) + 6
    if len(data) < fixed or not data.startswith(MAGIC):
        raise TimelineFormatError("This is not a timeline file; analyse the recording again")
    version = int.from_bytes(data[len(MAGIC) : len(MAGIC) + 2], "big")
    if version not in VERSIONS:
        raise TimelineFormatError(f"The timeline is of version {version}, not {VERSION}; analyse the recording again")
    size = int.from_bytes(data[len(MAGIC) + 2 : fixed], "big")
    if size > MAX_HEADER_BYTES:
        raise TimelineFormatError("The timeline's header is too large; analyse the recording again")
    try:
        header = msgspec.json.decode(data[fixed : fixed + size], type=_Header)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise TimelineFormatError("The timeline's header is damaged; analyse the recording again") from error
    fits = abs(header.duration_s * ROWS_PER_S - header.rows) <= 2.0  # noqa: PLR2004 - rounding of the last row
    if not 0 <= header.rows <= MAX_ROWS or not fits or tuple(header.names) != FEATURES:
        raise TimelineFormatError("The timeline's header contradicts itself; analyse the recording again")
    if bool(header.tagger) != bool(header.groups) or len(header.groups) > MAX_GROUPS:
        raise TimelineFormatError("The timeline's header contradicts itself; analyse the recording again")
    return header, data[fixed + size :]
