"""What the pipeline needs of a file, wherever it is."""

from typing import Protocol


class Reader(Protocol):
    """A seekable file that counts what it reads."""

    @property
    def bytes_read(self) -> int:
        """Bytes taken from disk or network so far."""

    @property
    def size_bytes(self) -> int:
        """The size of the file."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move the position."""

    def tell(self) -> int:
        """Return the position."""

    def ranges_read(self) -> list[tuple[int, int]]:
        """Return what has been read so far as (first byte, byte after the last), merged, in order."""

    def close(self) -> None:
        """Let go of the file."""
