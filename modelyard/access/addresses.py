"""Where a call comes from, by the connection's other end or a trusted proxy, and by which name it came."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

_MAX_CHARS = 45
"""No address is longer."""

_ONE_SITE_BITS = 64


def address_of(peer: str, forwarded_for: str | None, trusted: tuple[str, ...]) -> str:
    """Return the caller's address: `peer`, the other end of the connection, unless that is a trusted proxy.

    `forwarded_for` is the whole header X-Forwarded-For, to which each proxy has added the address that it saw; it is
    read from its end as far as the addresses are those of `trusted` proxies (addresses or networks). What stands before
    can be made up by anybody. An IPv4 address is written as such, if it came over an IPv6 socket, too.
    """
    found = peer.removeprefix("::ffff:")
    if not trusted or forwarded_for is None:
        return found
    for hop in reversed(forwarded_for.split(",")):
        if not _is_among(trusted, found):
            break
        address = _address_in(hop.strip())
        if address is None:
            break
        found = address
    return found


@lru_cache(maxsize=1024)
def site_of(address: str) -> str:
    """Return what is counted as one caller: an IPv4 address, or the network of 64 bits of an IPv6 address.

    Every customer of a network has so many IPv6 addresses, and could show another with each call.
    """
    if ":" not in address:
        return address
    try:
        return str(ip_network((address.partition("%")[0], _ONE_SITE_BITS), strict=False))
    except ValueError:
        return address


@lru_cache(maxsize=256)
def is_one_of(names: tuple[str, ...], host: str) -> bool:
    """Whether a Host header is one of the `names` of a server. The port is ignored; an empty header is accepted."""
    given = host.lower()
    name = given[1:].partition("]")[0] if given.startswith("[") else given.partition(":")[0]
    return not given or any(name == one or (one.startswith("*.") and name.endswith(one[1:])) for one in names)


@lru_cache(maxsize=1024)
def _is_among(trusted: tuple[str, ...], address: str) -> bool:
    try:
        given = ip_address(address)
    except ValueError:  # a socket of this machine has no address
        return False
    return any(given in ip_network(network, strict=False) for network in trusted)


def _address_in(hop: str) -> str | None:
    """Return the address of a hop without its port and brackets; None if it is none."""
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    if len(hop) > _MAX_CHARS:
        return None
    try:
        found = ip_address(hop)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)
