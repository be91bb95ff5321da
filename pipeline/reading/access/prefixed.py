"""Reads a file as if other bytes came before it: a new index for media data whose own is lost."""

from pipeline.reading.access.reader import PositionedReader, Reader


class PrefixedReader(PositionedReader):
    """A reader of `beginning` followed by the whole of another reader, which it closes with itself."""

    def __init__(self, beginning: bytes, inner: Reader) -> None:
        super().__init__()
        self._beginning = beginning
        self._inner = inner

    @property
    def bytes_read(self) -> int:
        """Bytes read from disk or network."""
        return self._inner.bytes_read

    @property
    def size_bytes(self) -> int:
        """The size of both parts."""
        return len(self._beginning) + self._inner.size_bytes

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes."""
        if size < 0:
            size = max(0, self.size_bytes - self._position)
        content = self._beginning[self._position : self._position + size]
        if len(content) < size:
            place = max(0, self._position - len(self._beginning))
            if self._inner.tell() != place:
                self._inner.seek(place)
            content += self._inner.read(size - len(content))
        self._log.note(self._position, len(content))
        self._position += len(content)
        return content

    def prefetch(self, start: int, length: int) -> None:
        """Fetch a range that will be needed, if that saves requests."""
        begin = start - len(self._beginning)
        self._inner.prefetch(max(0, begin), length + min(0, begin))

    def close(self) -> None:
        """Close the underlying file."""
        self._inner.close()
        super().close()
