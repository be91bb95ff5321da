"""The client address that rate limits count: one IPv4 address, or one IPv6 network."""

from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Any

from litestar.connection import ASGIConnection

IPV6_NETWORK_BITS = 64
"""A provider gives each customer at least this network, so counting single addresses limits nobody (RFC 6177)."""


def address_of(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Return the address of a client; X-Forwarded-For counts only from the proxies of FORWARDED_ALLOW_IPS."""
    return connection.client.host if connection.client else "unknown"


def limit_key(address: str) -> str:
    """Return what limits count: the address itself, or the /64 that an IPv6 address belongs to."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((parsed, IPV6_NETWORK_BITS), strict=False))
