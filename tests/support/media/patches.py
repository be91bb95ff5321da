"""Changes a few bytes of recordings, for what FFmpeg does not write: clean apertures, unknown codecs, false flags."""

from pathlib import Path

_NESTED = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
_KEYFRAME = 0x10
_CHUNK_BYTES = 16


def insert_clap(path: Path, *, width: int, height: int) -> Path:
    """Say in an MP4, whose index stands at its end, that only the middle of its pictures is shown."""
    data = bytearray(path.read_bytes())
    entry = data.index(b"avc1", data.index(b"stsd")) - 4
    fields = b"".join(part.to_bytes(4, "big") for part in (width, 1, height, 1, 0, 1, 0, 1))
    box = (8 + len(fields)).to_bytes(4, "big") + b"clap" + fields
    end = entry + int.from_bytes(data[entry : entry + 4], "big")
    for at in (entry, data.index(b"stsd") - 4, *_enclosing(data, entry)):
        size = int.from_bytes(data[at : at + 4], "big") + len(box)
        data[at : at + 4] = size.to_bytes(4, "big")
    data[end:end] = box
    path.write_bytes(bytes(data))
    return path


def _enclosing(data: bytearray, place: int) -> list[int]:
    """Return where the boxes begin in which a place of the index lies."""
    found = []
    begin, end = 0, len(data)
    for name in _NESTED:
        at = begin
        while at < end:
            size = int.from_bytes(data[at : at + 4], "big")
            if data[at + 4 : at + 8] == name and at <= place < at + size:
                found.append(at)
                begin, end = at + 8, at + size
                break
            at += size
    return found


def rename_codec(path: Path, tag: bytes, name: bytes) -> Path:
    """Give the codec of an MP4 another name."""
    data = path.read_bytes()
    at = data.index(tag, data.index(b"stsd"))
    path.write_bytes(data[:at] + name + data[at + len(tag) :])
    return path


def flag_all_as_keyframes(path: Path) -> Path:
    """Mark every packet of an AVI as a keyframe, as careless recorders do."""
    data = bytearray(path.read_bytes())
    at = data.rindex(b"idx1")
    size = int.from_bytes(data[at + 4 : at + 8], "little")
    for entry in range(at + 8, at + 8 + size, _CHUNK_BYTES):
        data[entry + 4] |= _KEYFRAME
    path.write_bytes(bytes(data))
    return path
