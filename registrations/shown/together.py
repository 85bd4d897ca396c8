"""What two servers share although they are two: an address, or a network. It takes both down."""

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from fleet.models import Server

NETWORK = {4: 24, 6: 64}
"""Bits of the networks in which machines usually share a switch."""

Address = IPv4Address | IPv6Address


def shared_fate(server: Server, target: Server, found: Mapping[int, set[str]]) -> str:
    """Say what takes both; '' where nothing is known to.

    `found` has the addresses behind names, by server id, as agents reached them last.
    """
    ours, theirs = (set(_addresses(each, found)) for each in (server, target))
    for address in sorted(ours & theirs, key=str):
        names = "" if server.address == target.address else ", whatever they are called"
        return f"Both are at {address}{names}: what takes that machine down takes both."
    for one in sorted(ours, key=str):
        network = ip_network((one, NETWORK[one.version]), strict=False)
        if not one.is_loopback and any(other in network for other in theirs):
            return f"Both are in {network}: what takes that network down takes both."
    return ""


def _addresses(server: Server, found: Mapping[int, set[str]]) -> Iterable[Address]:
    for given in found.get(server.pk) or {server.address}:
        try:
            yield ip_address(given)
        except ValueError:
            # A name that nobody has looked up yet.
            continue
