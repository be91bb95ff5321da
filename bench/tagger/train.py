"""Teaches the built-in tagger on the mixes that `stems.py` made, and writes its weights.

    python bench/tagger/train.py MIXES OUT.npz [--steps 6000] [--rate 3e-3] [--start builtin.npz [--keep 4] [--blend]]

Needs torch (see README.md); one thread. The same mixes, steps and processor give the same weights. `--start` goes on
from weights that were written before; a group that they do not have starts as absent. `--keep` leaves the first layers
as they are, which costs half of the time. `--blend` writes the mean of the weights before and after: it hears sounds
that neither was taught with better than the later ones alone (Wortsman et al. 2022, "Robust fine-tuning").
"""

import argparse
import sys
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
FIRST_GROUPS = [group for group in GROUPS if group != "coughing"]
"""What the first weights told."""
UNKNOWN = -5.0
"""The logit that a new group starts from."""
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
        self.kept = 0

    def keep(self, count: int) -> None:
        """Leave the first layers as they are from now on."""
        self.kept = count
        for module in (*self.layers[:count], *self.norms[:count]):
            module.eval().requires_grad_(requires_grad=False)

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
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--start", type=Path, default=None)
    parser.add_argument("--keep", type=int, default=0)
    parser.add_argument("--blend", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = Network().to(memory_format=torch.channels_last)
    mixes = load(arguments.mixes)
    if arguments.start is not None:
        adopt(network, arguments.start, mixes)
        network.keep(arguments.keep)
    arrays = folded(train(network, mixes, arguments.steps, arguments.rate))
    np.savez(arguments.out, **(blended(arguments.start, arrays) if arguments.blend else arrays))


def load(folder: Path) -> list[tuple[Tensor, Tensor]]:
    """Return spectrograms [frames, bands] and targets [rows, groups]; each mix was spoilt more than once."""
    found = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as mix:
            found += [(torch.from_numpy(x), torch.from_numpy(mix["p"])) for x in mix["x"]]
    if not found:
        sys.exit(f"There are no mixes in {folder}; stems.py makes them")
    return found


@torch.no_grad()
def adopt(network: Network, path: Path, mixes: list[tuple[Tensor, Tensor]]) -> None:
    """Take weights over that `folded` made, with normalisation that undoes itself on these mixes."""
    x = torch.cat([batch(mixes)[0] for _ in range(8)])
    with np.load(path) as stored:
        for i, (layer, norm) in enumerate(zip(network.layers, network.norms, strict=True)):
            shape = layer.weight.permute(2, 3, 1, 0).shape
            weights = torch.from_numpy(stored[f"weights_{i}"].astype(np.float32)).reshape(shape)
            layer.weight.copy_(weights.permute(3, 2, 0, 1))
            x = layer(x)
            mean, variance = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3))
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
            norm.weight.copy_(torch.sqrt(variance + norm.eps))
            norm.bias.copy_(torch.from_numpy(stored[f"bias_{i}"]) + mean)
            x = functional.relu(norm.eval()(x))
        network.head.weight.zero_()
        network.head.bias.fill_(UNKNOWN)
        for column, group in enumerate(FIRST_GROUPS):
            network.head.weight[GROUPS.index(group)] = torch.from_numpy(stored["weights_head"][:, column].astype("f4"))
            network.head.bias[GROUPS.index(group)] = float(stored["bias_head"][column])
    network.train()


def train(network: Network, mixes: list[tuple[Tensor, Tensor]], steps: int, rate: float) -> Network:
    """Return a network with weights averaged over the last steps."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=WEIGHT_DECAY)
    averaged = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGED), use_buffers=True
    )
    weights = torch.tensor([2.0 if group in HIGHLIGHTS else 1.0 for group in GROUPS])
    for step in range(1, steps + 1):
        done = step / steps
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, step / 100) * (0.5 * (1 + np.cos(np.pi * done)) + 0.005)
        spectrograms, targets = batch(mixes)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(spectrograms)
        loss = (weights * loss_of(logits.float(), targets)).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        averaged.update_parameters(network)
        if step % 100 == 0:
            print(f"step {step}, {done:.0%}, loss {loss.item():.4f}", flush=True)
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


def blended(start: Path, taught: Arrays) -> Arrays:
    """Return the mean of weights before and after; a group that there was not before stays as it was taught."""
    with np.load(start) as stored:
        before = dict(stored)
    for column, group in enumerate(GROUPS):
        if group not in FIRST_GROUPS and len(before["bias_head"]) < len(GROUPS):
            new = taught["weights_head"][:, column]
            before["weights_head"] = np.insert(before["weights_head"], column, new, axis=1)
            before["bias_head"] = np.insert(before["bias_head"], column, taught["bias_head"][column])
    return {
        name: (0.5 * before[name].astype(np.float32) + 0.5 * after.astype(np.float32)).astype(after.dtype)
        for name, after in taught.items()
    }


if __name__ == "__main__":
    main()
