"""Which addresses may be asked: whoever names a server must not reach into the machine itself.

The rule holds for what somebody types and, because a name may mean another address tomorrow, for
what DNS answers just before something is sent.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

VARIABLE = "ALLOWED_SERVER_NETWORKS"
"""Where the rule is written, as the sentences name it."""

_LOOPBACK = "a loopback address"
_NEVER = {
    # The narrower first: its word says more.
    "a cloud's metadata service": (
        *("169.254.169.254/32", "100.100.100.200/32", "fd00:ec2::254/128", "fd20:ce::254/128"),
    ),
    _LOOPBACK: ("127.0.0.0/8", "::1/128"),
    "a link-local address": ("169.254.0.0/16", "fe80::/10"),
    "a multicast address": ("224.0.0.0/4", "ff00::/8"),
    "no single machine's address": ("0.0.0.0/8", "::/128", "240.0.0.0/4"),
}
_REFUSED = {word: tuple(map(ip_network, those)) for word, those in _NEVER.items()}
_NAT64 = ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class AllowRule:
    """Either exactly `networks`, or without any: all addresses but those that no registrar has."""

    networks: tuple[Network, ...] = ()
    loopback: bool = False
    """Where no networks are named: whether this machine itself may be asked."""

    def refusal(self, address: str) -> str:
        """Return '' where `address` may be asked, else why not. A name is judged by its address."""
        try:
            ip_address(address)
        except ValueError:
            return ""
        if self.networks:
            if holds(self.networks, address):
                return ""
            return f"{address} is in none of the networks of {VARIABLE}."
        why = never(address, loopback=self.loopback)
        return f"{why}; {VARIABLE} would have to name it." if why else ""


def never(address: str, *, loopback: bool) -> str:
    """Return '' where a machine we may ask can have that address, else what it is: `::1 is ...`.

    `loopback`: whether this machine itself may be asked.
    """
    try:
        asked = _meant(ip_address(address))
    except ValueError:
        return ""
    for word, networks in _REFUSED.items():
        if any(asked in network for network in networks):
            return "" if word == _LOOPBACK and loopback else f"{address} is {word}"
    return ""


def holds(networks: Iterable[Network], address: str) -> bool:
    """Whether that IP address is in one of them; what is no address is in none."""
    try:
        asked = _meant(ip_address(address))
    except ValueError:
        return False
    return any(asked in network for network in networks)


def listed(words: list[str]) -> tuple[Network, ...]:
    """Words such as `10.0.0.0/8` or `192.0.2.7` as networks. Raises ValueError with a wrong one."""
    networks = []
    for word in words:
        try:
            networks.append(ip_network(word))
        except ValueError:
            raise ValueError(word) from None
    return tuple(networks)


def read(words: list[str], *, loopback: bool) -> AllowRule:
    """The rule of these words. Raises ValueError with a wrong one."""
    return AllowRule(listed(words), loopback)


def _meant(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
