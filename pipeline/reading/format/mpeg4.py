"""Syntax of MPEG-4 Part 2 video (DivX, Xvid). Source: ISO/IEC 14496-2, 6.2.5 (video object planes)."""

_VOP_START = b"\x00\x00\x01\xb6"


def is_packed(packet: bytes) -> bool:
    """Return whether a packet has several pictures: packed bitstreams put a B-picture into its reference's packet."""
    return packet.count(_VOP_START) > 1
