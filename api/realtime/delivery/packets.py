"""What a client may say: packets that a server of Socket.IO handles, and no name that the library keeps for itself."""

from engineio.packet import CLOSE, MESSAGE, PONG, UPGRADE
from engineio.packet import Packet as TransportPacket
from socketio.packet import ACK, CONNECT, DISCONNECT, EVENT, Packet

OWN_EVENTS = frozenset({"connect", "disconnect", "*"})
"""Handlers of ours that the library would call for an event of that name, with whatever the client says."""


def is_allowed(packet: TransportPacket) -> bool:
    """Say whether what a client sends may reach the library, which does not look before it calls."""
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
