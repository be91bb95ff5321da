"""The audio tagger's protocol: 16 kHz mono sound in, one row of class-group logits for each 0.48 s out."""

from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Rows = NDArray[np.float32]

SAMPLE_RATE: Final = 16_000
ROW_SAMPLES: Final = 7_680
"""Half a YAMNet window: the hop that its authors use."""
ROW_S: Final = ROW_SAMPLES / SAMPLE_RATE

HIGHLIGHTS: Final = ("laughter", "applause", "cheering", "shouting", "screaming")
"""Groups that make a highlight."""
DISTRACTORS: Final = (
    "crying",
    "coughing",
    "speech",
    "music",
    "alarm",
    "whistle",
    "animal",
    "weather",
    "machine",
    "impact",
)
"""Groups that are mistaken for a highlight, or fill the recording."""
GROUPS: Final = (*HIGHLIGHTS, *DISTRACTORS)
LOGIT_LIMIT: Final = 16.0
"""Larger logits mean nothing more, and up to here half precision is exact to a hundredth."""


class Window(NamedTuple):
    """The sound for one call of a tagger: `rows` rows with the samples before and after them."""

    rows: int
    before: int
    """Samples before the first row."""
    after: int
    """Samples after the last row."""

    @property
    def samples(self) -> int:
        """Number of samples for a call."""
        return self.before + self.rows * ROW_SAMPLES + self.after


class Tagger(Protocol):
    """Tags sound in windows of a fixed size, so that a row depends only on the samples near it."""

    name: str
    """The tagger's name, with the version of its weights. Timelines with different names are not comparable."""
    window: Window

    def tag(self, samples: Samples) -> Rows:
        """Return logits [window.rows, len(GROUPS)], finite and within LOGIT_LIMIT, of [window.samples] samples."""
        ...


class TagStream:
    """Feeds a tagger with sound as it arrives; the rows are identical for any portions."""

    def __init__(self, tagger: Tagger) -> None:
        self._tagger = tagger
        window = tagger.window
        self._step = window.rows * ROW_SAMPLES
        self._pending: list[Samples] = [np.zeros(window.before, dtype=np.float32)]
        self._pending_samples = window.before
        self._blocks: list[Rows] = []
        self._silence: Rows | None = None

    def push(self, samples: Samples) -> None:
        """Add sound: float32 [n] in -1..1."""
        self._pending.append(samples)
        self._pending_samples += len(samples)
        size = self._tagger.window.samples
        while self._pending_samples >= size:
            pending = np.concatenate(self._pending)
            self._blocks.append(self._tag(pending[:size]))
            self._pending = [pending[self._step :].copy()]
            self._pending_samples -= self._step

    def _tag(self, samples: Samples) -> Rows:
        """Tag a window; silence is tagged once."""
        if samples.any():
            return self._tagger.tag(samples)
        if self._silence is None:
            self._silence = self._tagger.tag(samples)
        return self._silence

    def rows(self, count: int) -> Rows:
        """Return the first `count` rows [count, len(GROUPS)] as if silence followed; more sound may be pushed later."""
        blocks = list(self._blocks)
        pending = np.concatenate(self._pending)
        while sum(map(len, blocks)) < count:
            block = np.zeros(self._tagger.window.samples, dtype=np.float32)
            known = pending[: len(block)]
            block[: len(known)] = known
            blocks.append(self._tag(block))
            pending = pending[self._step :]
        return np.concatenate([np.empty((0, len(GROUPS)), dtype=np.float32), *blocks])[:count]


def row_count(duration_s: float) -> int:
    """Return the number of rows of a recording of this length: one for each started 0.48 s."""
    return max(0, int(np.ceil(duration_s / ROW_S - 1e-6)))
