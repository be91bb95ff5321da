"""The network addresses that users may make the service call: only those of the public Internet."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

# IANA IPv4 and IPv6 Special-Purpose Address Registries. Spelled out rather than `is_global`, whose answers changed
# between the Python versions that we run on.
_REFUSED: Final[tuple[IPv4Network | IPv6Network, ...]] = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network; on Linux 0.0.0.0 is the machine itself
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT, also some clouds' metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host agent, on an address that looks public
        "169.254.0.0/16",  # link-local, most clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments, Oracle's metadata
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "2001::/23",  # protocol assignments: Teredo (which hides an IPv4 address), benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: hides an IPv4 address
        "3fff::/20",  # documentation
    )
)
# The rest of IPv6 is loopback, IPv4-mapped, NAT64, unique local, link-local, site-local, multicast or unassigned.
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")


def is_public(address: str) -> bool:
    """Return whether an IP address belongs to the public Internet; False for an invalid address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and (parsed.scope_id or parsed not in _GLOBAL_UNICAST):
        return False
    return not any(parsed in network for network in _REFUSED if network.version == parsed.version)


def are_public(addresses: Sequence[str]) -> bool:
    """Return whether there is an address and all of them are public: a private one is an attack or a mistake."""
    return bool(addresses) and all(map(is_public, addresses))
