"""Checks packets of clients: only those that a Socket.IO server handles, and no names reserved by the library."""

from engineio.packet import CLOSE, MESSAGE, PONG, UPGRADE
from engineio.packet import Packet as TransportPacket
from socketio.packet import ACK, CONNECT, DISCONNECT, EVENT, Packet

OWN_EVENTS = frozenset({"connect", "disconnect", "*"})
"""The library would call our handlers of these names for an event from a client, with its data."""


def is_allowed(packet: TransportPacket) -> bool:
    """Return whether a packet may reach the library, which calls handlers by name without a check."""
    if packet.packet_type == MESSAGE:
        return isinstance(packet.data, str) and _is_sound(packet.data)
    return packet.packet_type in {PONG, UPGRADE, CLOSE}


def _is_sound(text: str) -> bool:
    try:
        packet = Packet(encoded_packet=text)
    except (ValueError, LookupError, RecursionError):
        return False
    if packet.packet_type != EVENT:
        return packet.packet_type in {CONNECT, DISCONNECT, ACK}
    name = packet.data[0] if isinstance(packet.data, list) and packet.data else None
    return isinstance(name, str) and name not in OWN_EVENTS
