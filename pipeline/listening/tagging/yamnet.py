"""YAMNet, Google's tagger of 521 AudioSet classes (Apache-2.0), from a TensorFlow Lite export.

Its logits are averaged with the built-in tagger's. The two make different errors: YAMNet knows more sounds, and the
built-in one was trained with quiet, distant and compressed ones.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import TAGGER_UNUSABLE, MediaError
from pipeline.listening.tagging.builtin import BuiltinTagger
from pipeline.listening.tagging.tagger import GROUPS, LOGIT_LIMIT, ROW_SAMPLES, Rows, Samples
from pipeline.types import name_tagger

INPUT_SAMPLES: Final = 15_600
"""0.975 s: 96 frames of 25 ms every 10 ms."""
CLASSES: Final = 521
CLASSES_OF: Final[dict[str, tuple[int, ...]]] = {
    "laughter": (13, 14, 15, 16, 17, 18),
    "applause": (58, 62),
    "cheering": (61, 64),
    "shouting": (6, 8, 9, 10),
    "screaming": (11,),
    "crying": (19, 20, 21, 22),
    "coughing": (37, 38, 41, 42, 43, 44, 45, 53, 54),
    "speech": (0, 1, 2, 3),
    "music": (132, 24, 25, 27),
    "alarm": (302, 304, 312, 313, 316, 317, 318, 319, 325, 349, 382, 383, 384, *range(389, 396), 475),
    "whistle": (35, 324, 396, 397),
    "animal": (67, 68, 69, 70, 76, 78, 81, 93, 96, 99, 103, 105, 106, 107, 112, 117, 121, 122, 127),
    "weather": (277, 279, 280, 281, 282, 283, 284, 285, 286, 287, 288, 292, 361, 364, 368),
    "machine": (294, 300, 321, 322, 329, 333, 337, 340, 341, 363, 365, 371, 398, 406, 412, 414, 415, 418),
    "impact": (
        *(348, 352, 353, 354, 378, 380, 402, 420, 421, 426, 435, 437),
        *(439, 454, 455, 460, 461, 462, 463, 464, 483, 485),
    ),
}
"""Indices in YAMNet's class map (`yamnet_class_map.csv`) by group."""
LEAST_SCORE: Final = 1e-6
"""Scores are clamped this far from 0 and 1, so that their logits are finite."""
SHARE: Final = 0.4
"""YAMNet's weight in the mean: the best of 0.3, 0.4, 0.5 and 0.7 on recordings that neither was trained with."""
MAX_MODEL_BYTES: Final = 64 * 1024 * 1024
"""YAMNet has 4 MB (15 MB in full precision); anything much larger is another kind of file."""


class Yamnet:
    """A `Tagger` that runs a YAMNet export with a waveform input of 15,600 samples and 521 class scores.

    Each row is the mean of YAMNet's window around the middle of the row and the built-in tagger's row. Raises
    MediaError (TAGGER_UNUSABLE) for another file.
    """

    window = BuiltinTagger.window

    def __init__(self, path: Path) -> None:
        content = read_model(path)
        self.name = name_tagger(content)
        self._interpreter = _load(path, content)
        given = self._interpreter.get_input_details()
        scores = [d for d in self._interpreter.get_output_details() if int(np.prod(d["shape"])) == CLASSES]
        if len(given) != 1 or int(np.prod(given[0]["shape"])) != INPUT_SAMPLES or not scores:
            raise MediaError(
                TAGGER_UNUSABLE, f"{path} does not take {INPUT_SAMPLES:,} samples and give {CLASSES} scores"
            )
        if given[0]["dtype"] != np.float32 or scores[0]["dtype"] != np.float32:
            raise MediaError(TAGGER_UNUSABLE, f"{path} does not work on 32-bit floats")
        self._builtin = BuiltinTagger()
        self._shape = given[0]["shape"]
        self._input, self._output = given[0]["index"], scores[0]["index"]

    def tag(self, samples: Samples) -> Rows:
        """Return logits of the class groups, as `Tagger.tag`."""
        alone = group_logits(self.scores(samples))
        return np.asarray(SHARE * alone + (1.0 - SHARE) * self._builtin.tag(samples), dtype=np.float32)

    def scores(self, samples: Samples) -> NDArray[np.float32]:
        """Return YAMNet's own class scores [rows, 521] of rows with `window.before` and `window.after` around them."""
        first = self.window.before - (INPUT_SAMPLES - ROW_SAMPLES) // 2
        rows = (len(samples) - self.window.before - self.window.after) // ROW_SAMPLES
        scores = np.empty((rows, CLASSES), dtype=np.float32)
        for row in range(rows):
            part = samples[first + row * ROW_SAMPLES :][:INPUT_SAMPLES]
            self._interpreter.set_tensor(self._input, part.reshape(self._shape))
            self._interpreter.invoke()
            scores[row] = self._interpreter.get_tensor(self._output).reshape(CLASSES)
        return scores


def group_logits(scores: NDArray[np.float32]) -> Rows:
    """Return the log-sum-exp of the logits of each group's classes [rows, len(GROUPS)] for scores [rows, 521]."""
    inside = np.clip(np.nan_to_num(scores, nan=0.0), LEAST_SCORE, 1.0 - LEAST_SCORE)
    logits = np.log(inside / (1.0 - inside))
    groups = [np.logaddexp.reduce(logits[:, list(CLASSES_OF[group])], axis=1) for group in GROUPS]
    return np.asarray(np.clip(np.stack(groups, axis=1), -LOGIT_LIMIT, LOGIT_LIMIT), dtype=np.float32)


def read_model(path: Path) -> bytes:
    """Return a model file's content; MediaError if it cannot be read or is not a TensorFlow Lite file."""
    try:
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise MediaError(TAGGER_UNUSABLE, f"{path} is too large to be YAMNet")
        content = path.read_bytes()
    except OSError as error:
        raise MediaError(TAGGER_UNUSABLE, f"{path} cannot be read ({error.strerror})") from error
    if content[4:8] != b"TFL3":
        raise MediaError(TAGGER_UNUSABLE, f"{path} is not a TensorFlow Lite model")
    return content


def _load(path: Path, content: bytes) -> Any:
    """Return an interpreter with its tensors allocated, one thread."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise MediaError(TAGGER_UNUSABLE, "the package ai-edge-litert does not run on this platform") from error
    try:
        interpreter = Interpreter(model_content=content, num_threads=1)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise MediaError(TAGGER_UNUSABLE, f"{path} is damaged or not a model that can be run here") from error
    return interpreter
