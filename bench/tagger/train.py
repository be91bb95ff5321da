"""Teaches the built-in tagger on the mixes that `stems.py` made, and writes its weights.

    python bench/tagger/train.py MIXES OUT.npz [--steps 6000] [--minutes M] [--rate 3e-3]

Needs torch (see README.md); one thread. The same mixes, steps and processor give the same weights, unless `--minutes`
ends it before its steps. Mixes that are made meanwhile are taken in.
"""

import argparse
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pipeline.listening.tagging.builtin import KERNELS, MEL_MEAN, MEL_SCALE, PADDED_LAYERS, ROW_FRAMES, STRIDES
from pipeline.listening.tagging.tagger import GROUPS, HIGHLIGHTS

Arrays = dict[str, NDArray[np.floating]]
CHANNELS = (1, 16, 32, 64, 96, 160, 160, 128)
ROWS, BATCH = 10, 32
CONTEXT_FRAMES = 71
"""Frames beside the rows that the network looks at."""
WEIGHT_DECAY = 2e-2
LOGIT_SHARE = 0.02
"""Weight of the squared difference of logits beside cross-entropy: what is surely absent is told apart too."""
FLOOR = -20.7
"""ln of the least power of a spectrogram."""
AVERAGED = 0.995
"""Weights are averaged over some hundred steps."""


class Network(nn.Module):
    """The layers of `pipeline.listening.tagging.builtin`, with batch normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, kernel, stride, padding=(0, int(i < PADDED_LAYERS)), bias=False)
            for i, (a, b, kernel, stride) in enumerate(zip(CHANNELS, CHANNELS[1:], KERNELS, STRIDES, strict=False))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for channels in CHANNELS[1:])
        self.head = nn.Linear(CHANNELS[-1], len(GROUPS))
        self.dropout = nn.Dropout(0.15)

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Return logits [batch, rows, groups] of [batch, 1, frames, bands]."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            spectrograms = functional.relu(norm(layer(spectrograms)))
        return self.head(self.dropout(spectrograms[:, :, :, 0].transpose(1, 2)))


def main() -> None:
    """Train for a while and write the averaged weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mixes", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="the rate falls in time to end by then")
    parser.add_argument("--rate", type=float, default=3e-3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = Network().to(memory_format=torch.channels_last)
    network = train(network, Mixes(arguments.mixes), arguments.steps, arguments.minutes, arguments.rate)
    np.savez(arguments.out, **folded(network))


class Mixes:
    """Spectrograms [frames, bands] and targets [rows, groups] of a folder; each mix was spoilt more than once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: set[Path] = set()
        self.all: list[tuple[Tensor, Tensor]] = []
        self.look()
        if not self.all:
            sys.exit(f"There are no mixes in {folder}; stems.py makes them")

    def look(self) -> None:
        """Take in what is new."""
        for path in sorted(set(self._folder.glob("*.npz")) - self._known):
            try:
                with np.load(path) as mix:
                    self.all += [(torch.from_numpy(x), torch.from_numpy(mix["p"])) for x in mix["x"]]
            except (OSError, ValueError, EOFError, zipfile.BadZipFile):
                continue  # it is being written
            self._known.add(path)


def train(network: Network, mixes: Mixes, steps: int, minutes: float, rate: float) -> Network:
    """Return a network with weights averaged over the last steps."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=WEIGHT_DECAY)
    averaged = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGED), use_buffers=True
    )
    weights = torch.tensor([2.0 if group in HIGHLIGHTS else 1.0 for group in GROUPS])
    started, step, done = time.monotonic(), 0, 0.0
    while done < 1.0:
        step += 1
        done = min(1.0, max(step / steps, (time.monotonic() - started) / (60.0 * minutes)))
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, step / 100) * (0.5 * (1 + np.cos(np.pi * done)) + 0.005)
        spectrograms, targets = batch(mixes.all)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(spectrograms)
        loss = (weights * loss_of(logits.float(), targets)).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        averaged.update_parameters(network)
        if step % 100 == 0:
            print(f"step {step}, {done:.0%}, {len(mixes.all)} mixes, loss {loss.item():.4f}", flush=True)
            mixes.look()
    return averaged.module


def loss_of(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of each row and group."""
    wanted = torch.logit(targets.clamp(1e-3, 1 - 1e-3))
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return entropy + LOGIT_SHARE * (logits.clamp(-7, 7) - wanted) ** 2


def batch(mixes: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return stretches of mixes at other gains and tilts, some with another behind them, some with bands missing."""
    parts = []
    for i in torch.randint(len(mixes), (BATCH,)).tolist():
        spectrogram, target = mixes[i]
        first = int(torch.randint(len(target) - ROWS + 1, ()))
        frames = slice(first * ROW_FRAMES, (first + ROWS) * ROW_FRAMES + CONTEXT_FRAMES)
        parts.append((spectrogram[frames], target[first : first + ROWS]))
    x, p = (torch.stack(column).float() for column in zip(*parts, strict=True))
    x = x + torch.rand(BATCH, 1, 1) * 5 - 4
    knots = torch.randn(BATCH, 1, 4) * 0.9 * _some(0.3)
    x = x + functional.interpolate(knots, size=x.shape[-1], mode="linear", align_corners=True)
    if _some(0.3)[0, 0, 0]:
        other, distance, is_on = torch.randperm(BATCH), torch.rand(BATCH, 1, 1) * 2, _some(0.5)
        x = torch.where(is_on, torch.logaddexp(x, x[other] - distance), x)
        p = torch.where(is_on, torch.maximum(p, p[other] * (1 - 0.25 * distance)), p)
    x = torch.maximum(x, FLOOR + torch.rand(BATCH, 1, 1) * 6 * _some(0.3))
    x = (x - float(MEL_MEAN)) * float(MEL_SCALE)
    for one in x[_some(0.3)[:, 0, 0]]:
        first = int(torch.randint(56, ()))
        one[:, first : first + int(torch.randint(2, 9, ()))] = one.mean()
    return x[:, None].contiguous(memory_format=torch.channels_last), p


def _some(share: float) -> Tensor:
    """Return True [batch, 1, 1] for about this share of a batch."""
    return torch.rand(BATCH, 1, 1) < share


def folded(network: Network) -> Arrays:
    """Return weights as `builtin.py` reads them: batch normalisation folded in, half precision."""
    arrays = {}
    for i, (layer, norm) in enumerate(zip(network.layers, network.norms, strict=True)):
        gain = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
        weights = (layer.weight.detach() * gain[:, None, None, None]).permute(2, 3, 1, 0)
        arrays[f"weights_{i}"] = weights.reshape(-1, weights.shape[-1]).numpy().astype(np.float16)
        arrays[f"bias_{i}"] = (norm.bias - norm.running_mean * gain).detach().numpy().astype(np.float32)
    arrays["weights_head"] = network.head.weight.detach().numpy().T.astype(np.float16)
    arrays["bias_head"] = network.head.bias.detach().numpy()
    return arrays


if __name__ == "__main__":
    main()
