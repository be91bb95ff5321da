"""The result of a search in a file without an index."""

from msgspec import Struct

from pipeline.types import Problem


class Recovery(Struct, frozen=True):
    """Makes a file readable: the bytes to put before it, and the problems that remain."""

    beginning: bytes
    problems: list[Problem]
