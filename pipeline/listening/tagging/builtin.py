"""The built-in tagger: a small convolutional network in numpy, trained on YAMNet's output (see `bench/tagger`)."""

import functools
import importlib.resources
import io
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pipeline.listening.tagging.mel import BANDS, FRAME_SAMPLES, HOP_SAMPLES, log_mel
from pipeline.listening.tagging.tagger import LOGIT_LIMIT, ROW_SAMPLES, Rows, Samples, Window
from pipeline.types import BUILTIN_TAGGER

WEIGHTS_FILE: Final = "builtin.npz"
ROW_FRAMES: Final = ROW_SAMPLES // HOP_SAMPLES
FIELD_FRAMES: Final = 95
"""Frames that one row depends on (1.9 s), from the layers below."""
LEAD_FRAMES: Final = 36
"""Number of those frames before the row."""
WINDOW_ROWS: Final = 30
"""Rows computed at once: 14 s, whose arrays fit the processor's cache."""
MEL_MEAN: Final = np.float32(-11.0)
MEL_SCALE: Final = np.float32(1.0 / 4.5)
"""Scale log-mel values to about zero mean and unit variance; the training uses the same constants."""

Layer = tuple[NDArray[np.float32], NDArray[np.float32]]
Maps = NDArray[np.float32]
"""[frames, bands, channels]."""
STRIDES: Final = ((2, 2), (2, 2), (2, 2), (1, 2), (1, 1), (1, 1), (3, 1))
"""Steps in frames and bands of each layer."""
KERNELS: Final = ((3, 3), (3, 3), (3, 3), (3, 3), (3, 4), (3, 1), (5, 1))
PADDED_LAYERS: Final = 4
"""The first four layers pad each edge with one band of zeros. No layer pads in time."""


class BuiltinTagger:
    """A `Tagger` that needs only numpy."""

    name = BUILTIN_TAGGER
    _frames = WINDOW_ROWS * ROW_FRAMES + FIELD_FRAMES - ROW_FRAMES
    _before = LEAD_FRAMES * HOP_SAMPLES + (FRAME_SAMPLES - HOP_SAMPLES) // 2
    window = Window(
        rows=WINDOW_ROWS,
        before=_before,
        after=(_frames - 1) * HOP_SAMPLES + FRAME_SAMPLES - _before - WINDOW_ROWS * ROW_SAMPLES,
    )

    def __init__(self) -> None:
        self._layers, self._head = _load_weights()

    def tag(self, samples: Samples) -> Rows:
        """Return logits of the class groups, as `Tagger.tag`."""
        maps = ((log_mel(samples) - MEL_MEAN) * MEL_SCALE)[:, :, None]
        for number, (layer, kernel, stride) in enumerate(zip(self._layers, KERNELS, STRIDES, strict=True)):
            maps = _convolve(maps, layer, kernel, stride, padding=1 if number < PADDED_LAYERS else 0)
        weights, bias = self._head
        logits = maps[:, 0, :] @ weights + bias
        return np.asarray(np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT), dtype=np.float32)


def _convolve(maps: Maps, layer: Layer, kernel: tuple[int, int], stride: tuple[int, int], *, padding: int) -> Maps:
    """Return max(0, convolution + bias): patches are collected, then multiplied at once."""
    if padding:
        maps = np.pad(maps, ((0, 0), (padding, padding), (0, 0)))
    patches = sliding_window_view(maps, kernel, axis=(0, 1))[:: stride[0], :: stride[1]]
    weights, bias = layer
    frames, bands = patches.shape[:2]
    gathered = patches.transpose(0, 1, 3, 4, 2).reshape(frames * bands, -1)
    out = gathered @ weights
    out += bias
    np.maximum(out, 0.0, out=out)
    return out.reshape(frames, bands, -1)


@functools.cache
def _load_weights() -> tuple[list[Layer], Layer]:
    """Return the layers [kernel rows * columns * channels, outputs] and the head, in single precision."""
    content = importlib.resources.files("pipeline.listening.tagging").joinpath(WEIGHTS_FILE).read_bytes()
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = {name: np.asarray(stored[name], dtype=np.float32) for name in stored.files}
    layers = [(arrays[f"weights_{n}"], arrays[f"bias_{n}"]) for n in range(len(KERNELS))]
    return layers, (arrays["weights_head"], arrays["bias_head"])


assert KERNELS[PADDED_LAYERS][1] == BANDS >> PADDED_LAYERS  # noqa: S101 - the fifth layer covers all remaining bands
