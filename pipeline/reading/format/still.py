"""Distinguishes still pictures from recordings by their first bytes.

Sources: the PNG, APNG, JPEG, TIFF and BMP specifications, RFC 9649 (WebP), ISO/IEC 23008-12 (HEIF brands).
"""

_STILL_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif", b"jpeg", b"jxl "})
_MAGICS = (b"II*\x00", b"MM\x00*", b"\xff\x0a", b"\x00\x00\x00\x0cJXL ", b"\x00\x00\x00\x0cjP  ", b"8BPS")
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_WEBP_ANIMATED = 0x02


def is_still(head: bytes) -> bool:
    """Return whether a file that begins with these bytes is a single still picture."""
    if head[4:8] == b"ftyp":
        return head[8:12] in _STILL_BRANDS and b"moov" not in head
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return not (head[12:16] == b"VP8X" and head[20] & _WEBP_ANIMATED)
    if head.startswith(_PNG):
        return b"acTL" not in head
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return True
    return head.startswith((_JPEG, *_MAGICS))
