"""Damages small recordings and works on them: `python fuzz_worker.py SEEDS SCRATCH FIRST COUNT`.

Runs in a process of its own, because a codec may crash. It prints the number of each mutation before it begins and how
it ended after; anything but a result or a `MediaError` ends the process with a traceback.
"""

import random
import resource
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.errors import MediaError
from pipeline.listening.listen import build_timeline
from pipeline.reading.index import PacketIndex, build_index
from pipeline.reading.probe import probe
from pipeline.rendering.cut import cut

MEMORY_BYTES = 2 << 30
FILE_BYTES = 64 << 20
CPU_S = 600
MAX_DAMAGES = 12


def flip(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 40)):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def number(data: bytearray, chance: random.Random) -> None:
    """Put a telling number where a size, a count or an offset may stand."""
    value = chance.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, chance.getrandbits(32), len(data)])
    at = chance.randrange(max(1, len(data) - 4))
    data[at : at + 4] = value.to_bytes(4, chance.choice(["big", "little"]))


def truncate(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(1, len(data)) :]


def remove(data: bytearray, chance: random.Random) -> None:
    at = chance.randrange(len(data))
    del data[at : at + chance.randint(1, 300)]


def repeat(data: bytearray, chance: random.Random) -> None:
    at, length = chance.randrange(len(data)), chance.randint(1, 300)
    data[at:at] = data[at : at + length]


def blank(data: bytearray, chance: random.Random) -> None:
    at, length = chance.randrange(len(data)), chance.randint(1, 500)
    data[at : at + length] = bytes([chance.choice([0, 255])]) * min(length, len(data) - at)


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip,
    number,
    number,
    truncate,
    remove,
    repeat,
    blank,
)


def mutate(seeds: list[bytes], chance: random.Random) -> bytes:
    data = bytearray(chance.choice(seeds))
    if chance.random() < 0.05:
        other = chance.choice(seeds)
        at = chance.randrange(len(data))
        data[at:] = other[chance.randrange(len(other)) :]
    for _ in range(chance.randint(1, MAX_DAMAGES)):
        if len(data) > 8:
            chance.choice(DAMAGES)(data, chance)
    return bytes(data)


def work(path: Path, out: Path, chance: random.Random) -> str:
    """Do what the pipeline does with a recording; return how it ended."""
    try:
        found = probe(path)
        index = out.with_suffix(".index")
        build_index(path).save(index)
        PacketIndex.load(index)
        if found.audio is not None:
            build_timeline(path)
        if chance.random() < 0.5:
            suffix = ".mp4" if found.video is not None else ".m4a"
            accuracy = chance.choice(["exact", "fast"])
            end_s = max(0.1, min(0.9, found.duration_s))
            cut(path, start_s=0.05, end_s=end_s, out=out.with_suffix(suffix), accuracy=accuracy)  # type: ignore[arg-type] # above
    except MediaError as error:
        return error.code
    return "done"


def main() -> None:
    folder, scratch = Path(sys.argv[1]), Path(sys.argv[2])
    first, count = int(sys.argv[3]), int(sys.argv[4])
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    seeds = [path.read_bytes() for path in sorted(folder.iterdir())]
    for which in range(first, first + count):
        chance = random.Random(which)  # noqa: S311 - repeatable damage, no secret
        path, out = scratch / "damaged.mp4", scratch / "out"
        path.write_bytes(mutate(seeds, chance))
        sys.stdout.write(f"{which} ")
        sys.stdout.flush()
        sys.stdout.write(f"{work(path, out, chance)}\n")
        sys.stdout.flush()
        for left in scratch.iterdir():
            if left.name not in {"damaged.mp4", "out.index", "out.mp4", "out.m4a"}:
                raise AssertionError(f"{left.name} was left behind by mutation {which}")
            left.unlink()


if __name__ == "__main__":
    main()
