"""Opens recordings: local files and http(s) URLs in known media formats, without references to other files.

FFmpeg gets a file object and no address, so it can open nothing by itself (no nested protocol, playlist entry or
external data reference), whatever a file says.
"""

import contextlib
import errno
import io
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TypeVar, cast

import av
import av.container
import av.error
from av.stream import Stream

from pipeline.errors import (
    DECODE_FAILED,
    EMPTY,
    FORBIDDEN_FORMAT,
    NO_INDEX,
    NO_SPACE,
    NOT_MEDIA,
    OUT_OF_MEMORY,
    READ_FAILED,
    STILL_IMAGE,
    TRUNCATED,
    Cause,
    MediaError,
)
from pipeline.reading.access.prefixed import PrefixedReader
from pipeline.reading.access.reader import NO_SUCH_PLACE, RangeLog, Reader
from pipeline.reading.format.isobmff import Layout, read_layout
from pipeline.reading.format.still import is_still
from pipeline.reading.packets import PacketIndex
from pipeline.reading.recovery.recovery import Recovery
from pipeline.reading.streams import is_usable
from pipeline.types import Source

BUFFER_BYTES = 128 * 1024
"""Size of FFmpeg's reads; a larger one changes nothing measurable, a smaller one needs more calls into Python."""
SNIFF_BYTES = 4096
AV_ERRORS: tuple[type[Exception], ...] = (av.error.FFmpegError, ValueError, LookupError, ArithmeticError)
"""PyAV's errors on damaged media: its own, and Python's if counts, ids or clocks in a file are wrong."""
ALLOWED_FORMATS = (
    "mov,matroska,mpegts,mpeg,avi,flv,live_flv,ogg,wav,w64,flac,mp3,aac,ac3,eac3,dts,aiff,caf,asf,amr,au,mxf,gxf,"
    "nut,ivf,dv,wv,tta,ape,mpc,mpc8,rm,voc,dsf,h264,hevc,m4v,mpegvideo,obu,latm,loas,truehd,mlp,oma,adp,gsm,"
    "gif,apng,yuv4mpegpipe,mjpeg,tak,wtv,xwma,vqf,shn,nuv,smk,bink,nsv,pva,sox,ircam,vc1,vc1test,h261,h263,cavsvideo,"
    "dirac,dnxhd,vvc,av1,roq,film_cpk,4xm,flic,vmd,idcin,wsvqa,ea,psxstr,thp,smjpeg,iff,cine,rpl,nistsphere,qcp,adx,ast,"
    "brstm,xa,wve,vivo,mlv,ty,dtshd,osq,wavarc,bonk,hca,apac"
)
"""FFmpeg's demuxers for self-contained media, without playlists (hls, dash, concat, sdp), image sequences, subtitle
texts, devices, and raw samples without a header."""
_PLAYLIST = re.compile(
    rb"\s*(#EXTM3U|ffconcat|\[playlist\]|<asx|<smil|<MPD|<SmoothStreamingMedia|RTSPtext|v=0\s*\no=|"
    rb"(file|https?|rtsp|rtmp|concat|subfile|crypto|data|ftp|tcp|udp):|<\?xml[^>]*>\s*(<!--.*?-->\s*)*<(MPD|smil|playlist|asx))",
    re.IGNORECASE | re.DOTALL,
)
_CONTAINER_OPTIONS = {"format_whitelist": ALLOWED_FORMATS, "protocol_whitelist": ""}


AnyStream = TypeVar("AnyStream", bound=Stream)


class FileReader(io.FileIO):
    """A local file that counts what is read from it."""

    is_remote = False

    def __init__(self, path: str | Path) -> None:
        super().__init__(os.fspath(path), "rb")
        self.bytes_read = 0
        self._log = RangeLog()
        self.size_bytes = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes."""
        try:
            content = super().read(-1 if size is None else size) or b""
        except OSError as exc:
            raise MediaError(READ_FAILED, exc.strerror or str(exc)) from exc
        self.bytes_read += len(content)
        self._log.note(self.tell() - len(content), len(content))
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move the position; for an impossible one (in damaged files), return what FFmpeg expects."""
        try:
            return super().seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return NO_SUCH_PLACE

    def ranges_read(self) -> list[tuple[int, int]]:
        """Return the ranges read so far, merged, in order."""
        return self._log.merged()

    def know(self, parts: Iterable[tuple[int, bytes]]) -> None:
        """Ignore known bytes: reading them again costs nothing here."""

    def prefetch(self, start: int, length: int) -> None:
        """Do nothing: the disk needs no requests."""


class Media:
    """An open recording: the container for PyAV and the reader below it.

    `recovery` makes a file readable whose index is lost; its bytes then come before the file's.
    """

    def __init__(
        self,
        source: Source,
        container: "av.container.InputContainer",
        reader: Reader,
        index: PacketIndex | None = None,
        recovery: Recovery | None = None,
    ) -> None:
        self.source = source
        self.container = container
        self.reader = reader
        self.index = index
        self.recovery = recovery
        self._former: list[av.container.InputContainer] = []
        self.is_reopened = False
        """Whether there was no read or seek since the container was opened."""

    def reopen(self) -> None:
        """Open the container again: new streams with new decoders, at the start. MediaError as `open_media`.

        Some demuxers cannot seek to the start, or send a palette only once, and some decoders do not work after a
        flush. Streams of the previous container remain usable for decoding.
        """
        self._former.append(self.container)
        self.reader.seek(0)
        try:
            self.container = _open_with_av(self.reader)
        except AV_ERRORS as exc:
            raise as_media_error(exc) from exc
        for former, stream in zip(self._former[-1].streams, self.container.streams, strict=False):
            stream.discard = former.discard
        self.is_reopened = True

    def current(self, streams: Iterable[AnyStream]) -> list[AnyStream]:
        """Return the streams of the open container with the same numbers as those given."""
        found = self.container.streams
        return [cast("AnyStream", found[stream.index]) for stream in streams if stream.index < len(found)]

    def close(self) -> None:
        """Close the container and the previous ones."""
        for container in [*self._former, self.container]:
            container.close()

    @property
    def bytes_read(self) -> int:
        """Bytes read from disk or network so far."""
        return self.reader.bytes_read

    @property
    def size_bytes(self) -> int:
        """The size of the data read: the file, and the bytes of a recovery before it."""
        return self.reader.size_bytes

    @property
    def file_bytes(self) -> int:
        """The size of the file itself."""
        return self.size_bytes - (len(self.recovery.beginning) if self.recovery is not None else 0)


def as_source(source: Source | str | Path) -> Source:
    """Return a Source for any form in which a recording is given."""
    return source if isinstance(source, Source) else Source(location=os.fspath(source))


def is_url(location: str) -> bool:
    """Return whether a location is an HTTP address, not a path."""
    return location.lower().startswith(("http://", "https://"))


@contextmanager
def open_media(source: Source | str | Path, *, index: PacketIndex | None = None) -> Iterator[Media]:
    """Open a recording for the block and yield it with its byte counter.

    With its packet index, the header is not read from the source again (see `pipeline.reading.index.open_indexed`).

    MediaError: EMPTY, NOT_MEDIA, FORBIDDEN_FORMAT (playlists and the like), TRUNCATED, NO_INDEX, READ_FAILED.
    """
    source = as_source(source)
    reader = open_reader(source)
    if index is not None and index.size_bytes != reader.size_bytes:
        index = None  # the index is of another file
    if index is not None:
        reader.know(index.header)
    found = index.recovery if index is not None else None
    try:
        container = None if found is not None else _open_container(reader)
        if container is None:
            found = found or _recovery(reader, source)
            reader = PrefixedReader(found.beginning, reader)
            container = _open_recovered(reader)
        media = Media(source, container, reader, index, found)
        try:
            yield media
        finally:
            media.close()
    finally:
        reader.close()


@contextmanager
def open_container(source: Source | str | Path) -> Iterator["av.container.InputContainer"]:
    """Open a recording and yield the PyAV container; see `open_media` for errors."""
    with open_media(source) as media:
        yield media.container


def open_reader(source: Source | str | Path) -> Reader:
    """Open the bytes of a recording; MediaError READ_FAILED or EMPTY."""
    source = as_source(source)
    reader: Reader
    if is_url(source.location):
        from pipeline.reading.access.ranges import RangeReader

        cache_dir = Path(source.cache_dir) if source.cache_dir is not None else None
        reader = RangeReader(source.location, size_bytes=source.size_bytes, cache_dir=cache_dir, relay=source.relay)
    else:
        reader = _open_file(source.location)
    try:
        is_empty = reader.size_bytes == 0
    except BaseException:
        reader.close()
        raise
    if is_empty:
        reader.close()
        raise MediaError(EMPTY)
    return reader


def _open_file(location: str) -> FileReader:
    path = Path(location)
    if path.exists() and not path.is_file():
        raise MediaError(READ_FAILED, f"{path.name} is not a regular file")
    try:
        return FileReader(path)
    except FileNotFoundError as exc:
        raise MediaError(READ_FAILED, f"there is no file {path.name}") from exc
    except (OSError, ValueError) as exc:
        raise MediaError(READ_FAILED, f"{path.name}: {getattr(exc, 'strerror', None) or exc}") from exc


def _refuse_nested(url: str, _flags: int, _options: dict[str, str]) -> NoReturn:
    raise MediaError(FORBIDDEN_FORMAT, f"it refers to {url[:80]!r}")


def _open_container(reader: Reader) -> "av.container.InputContainer | None":
    """Open a file; None if its index is missing or damaged. MediaError for a file that is not media."""
    if _PLAYLIST.match(_head(reader)):
        raise MediaError(FORBIDDEN_FORMAT)
    try:
        container = _open_with_av(reader)
    except AV_ERRORS as exc:
        if is_still(_head(reader)):
            raise MediaError(STILL_IMAGE) from exc
        if not read_layout(reader, reader.size_bytes).is_isobmff:
            raise MediaError(NOT_MEDIA) from exc
        return None
    if "mov" in container.format.name.split(",") and is_still(_head(reader, reader.tell())):
        container.close()
        raise MediaError(STILL_IMAGE)
    if any(is_usable(stream) for stream in container.streams):
        return container
    position = reader.tell()
    if not read_layout(reader, reader.size_bytes).moov_is_cut:
        reader.seek(position)
        return container
    container.close()
    return None


def _open_with_av(reader: Reader) -> "av.container.InputContainer":
    return av.open(
        reader,
        mode="r",
        container_options=_CONTAINER_OPTIONS,
        metadata_errors="replace",
        buffer_size=BUFFER_BYTES,
        io_open=_refuse_nested,
    )


def _recovery(reader: Reader, source: Source) -> Recovery:
    """Return the recovery of a file: the stored one, or the result of a search."""
    if source.index is not None:
        with contextlib.suppress(ValueError):
            stored = PacketIndex.load(Path(source.index))
            if stored.recovery is not None and stored.size_bytes == reader.size_bytes:
                return stored.recovery
    from pipeline.reading.recovery.recover import recover

    layout = read_layout(reader, reader.size_bytes)
    try:
        return recover(reader, layout)
    except MediaError as exc:
        if exc.cause is not NO_INDEX:
            raise
        raise _why_unreadable(layout, exc) from exc


def _open_recovered(reader: Reader) -> "av.container.InputContainer":
    reader.seek(0)
    try:
        return _open_with_av(reader)
    except AV_ERRORS as exc:
        raise MediaError(NO_INDEX, "what was found in its data cannot be decoded") from exc


def _head(reader: Reader, back_to: int = 0) -> bytes:
    reader.seek(0)
    head = reader.read(SNIFF_BYTES)
    reader.seek(back_to)
    return head.removeprefix(b"\xef\xbb\xbf")


def _why_unreadable(layout: Layout, why: MediaError) -> MediaError:
    """Return the error of a file that cannot be opened, from its outer boxes and the failure of its recovery."""
    has_data = any(kind == "mdat" for kind, _, _ in layout.boxes)
    if layout.has_moov and not layout.missing_bytes:
        return MediaError(NOT_MEDIA, "its index (moov) is damaged")
    if layout.missing_bytes and (layout.has_moov or not has_data):
        announced = layout.size_bytes + layout.missing_bytes
        return MediaError(TRUNCATED, f"{layout.size_bytes} of {announced} bytes are here")
    return why


_CAUSES: tuple[tuple[type[BaseException], Cause], ...] = (
    (av.error.MemoryError, OUT_OF_MEMORY),
    (MemoryError, OUT_OF_MEMORY),
)
_NO_SPACE_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})


def as_media_error(
    exc: BaseException, otherwise: Cause = DECODE_FAILED, *, stream: int | None = None, time_s: float | None = None
) -> MediaError:
    """Wrap PyAV's errors while reading, decoding or writing; `otherwise` is the cause unless more is known."""
    if isinstance(exc, MediaError):
        return exc
    for kind, cause in _CAUSES:
        if isinstance(exc, kind):
            return MediaError(cause, stream=stream, time_s=time_s)
    if getattr(exc, "errno", None) in _NO_SPACE_ERRNOS:
        return MediaError(NO_SPACE)
    detail = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
    return MediaError(otherwise, detail, stream=stream, time_s=time_s)


@contextmanager
def passing_over_damage() -> Iterator[None]:
    """Skip a packet that cannot be decoded; other errors (memory, disk) are raised.

    MediaError OUT_OF_MEMORY, NO_SPACE.
    """
    try:
        yield
    except AV_ERRORS as exc:
        error = as_media_error(exc)
        if error.cause is not DECODE_FAILED:
            raise error from exc
