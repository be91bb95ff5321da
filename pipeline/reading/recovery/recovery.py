"""What a search in a file without an index found."""

from msgspec import Struct

from pipeline.types import Problem


class Recovery(Struct, frozen=True):
    """What makes a file readable: the bytes to put before it, and what is lost all the same."""

    beginning: bytes
    problems: list[Problem]
