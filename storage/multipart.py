"""S3's rules for multipart uploads, which both adapters check with the same messages."""

import hashlib
import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from storage.store import InvalidPartError, ObjectNotFoundError, ObjectStat, Part, PartTag

MIN_PART_BYTES: Final = 5 * 1024 * 1024  # S3: every part but the last
MAX_PART_NUMBER: Final = 10_000  # S3
MAX_PUT_BYTES: Final = 5 * 1024**3  # S3: one PUT, of an object or of a part


def check_part_number(number: int) -> int:
    """Return `number` if it is a part number (1 to 10,000); raise InvalidPartError otherwise."""
    if not 1 <= number <= MAX_PART_NUMBER:
        raise InvalidPartError(f"Part {number} does not exist: part numbers run from 1 to {MAX_PART_NUMBER}.")
    return number


def plain_etag(etag: str) -> str:
    """Return the stored form of an ETag that a client sends back, quoted or not, in any case."""
    return etag.strip().removeprefix("W/").strip('"').lower()


def check_parts(stored: Sequence[Part], wanted: Sequence[PartTag]) -> list[Part]:
    """Return the stored parts that `wanted` names, in order; InvalidPartError names the first mismatch."""
    if not wanted:
        raise InvalidPartError("A completion needs at least one part.")
    if any(later.number <= earlier.number for earlier, later in itertools.pairwise(wanted)):
        raise InvalidPartError("List each part once, by ascending number.")
    by_number = {part.number: part for part in stored}
    chosen = [_matching_part(by_number, tag) for tag in wanted]
    for part in chosen[:-1]:
        if part.size_bytes < MIN_PART_BYTES:
            raise InvalidPartError(
                f"Part {part.number} has {part.size_bytes} bytes; all but the last need at least {MIN_PART_BYTES}."
            )
    return chosen


def _matching_part(stored: dict[int, Part], tag: PartTag) -> Part:
    part = stored.get(tag.number)
    if part is None:
        raise InvalidPartError(f"Part {tag.number} was not stored; send it again.")
    if plain_etag(tag.etag) != plain_etag(part.etag):
        raise InvalidPartError(f"Part {tag.number} was stored with another ETag; send it again and use the new answer.")
    return part


def joined_etag(etags: Sequence[str]) -> str:
    """Return the ETag of an object made of parts, as S3 computes it: MD5 of the parts' MD5s, a dash, their number."""
    digests = b"".join(bytes.fromhex(plain_etag(etag)) for etag in etags)
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(etags)}"


def find_joined(stat: Callable[[str], ObjectStat], key: str, parts: Sequence[PartTag]) -> ObjectStat | None:
    """Return the object if it consists of these parts: the answer of the completion that joined them was lost."""
    with suppress(ObjectNotFoundError, ValueError):
        described = stat(key)
        if described.etag == joined_etag([part.etag for part in parts]):
            return described
    return None
