"""A group's own DNS records (`dns_cache`): names, permitted values, defaults.

They are the handset's `dns.cache.A|SRV|NAPTR.x` tables: 12 records of each kind, addresses IPv4.
"""

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from fleet.formats import values

TTL = 300
"""Default and least time to live, seconds."""
LONGEST_TTL = 536_870_912
MOST_OF_A_KIND = 12
KINDS = ("A", "SRV", "NAPTR")


@dataclass(frozen=True, slots=True)
class DnsRow:
    """One record; of the later fields each kind has its own."""

    kind: str
    name: str
    ttl: int = TTL
    address: str = ""
    priority: int = 0
    weight: int = 0
    port: int = 0
    target: str = ""
    order: int = 0
    preference: int = 0
    flags: str = ""
    service: str = ""
    replacement: str = ""

    def written(self) -> dict[str, str | int]:
        """Return it as a file or the API has it: the fields of its kind."""
        return {"type": self.kind} | {name: getattr(self, name) for name in FIELDS[self.kind]}


Reader = Callable[[str], str | int]


def kind(given: str) -> str:
    word = given.strip().upper()
    if word not in KINDS:
        raise ValueError(f"The type must be A, SRV or NAPTR, not {given[:40]!r}.")
    return word


def host(given: str) -> str:
    """A name in DNS, in lower case and without the final dot."""
    plain = given.strip().lower().removesuffix(".")
    if len(plain) > 253 or not values.is_host_name(plain):
        raise ValueError(f"{plain[:80]!r} is not a host name.")
    return plain


def _ipv4(given: str) -> str:
    try:
        return str(ipaddress.IPv4Address(given.strip()))
    except ValueError:
        raise ValueError(f"The address must be an IPv4 address, not {given[:40]!r}.") from None


def _number(name: str, low: int = 0, high: int = 65535) -> Reader:
    return partial(values.number, what=f"The {name}", low=low, high=high)


def _flags(given: str) -> str:
    return values.choice(given, "flags", ("s", "a", "u", "p")).upper()


_SERVICES = {"sip+d2u": "SIP+D2U", "sip+d2t": "SIP+D2T", "sips+d2t": "SIPS+D2T"}


def _service(given: str) -> str:
    plain = values.needed(given, 32)
    return _SERVICES.get(plain.lower(), plain)


FIELDS: Mapping[str, Mapping[str, Reader]] = {
    "A": {"name": host, "ttl": _number("ttl", TTL, LONGEST_TTL), "address": _ipv4},
    "SRV": {
        "name": host,
        "ttl": _number("ttl", TTL, LONGEST_TTL),
        "priority": _number("priority"),
        "weight": _number("weight"),
        "port": _number("port", 1),
        "target": host,
    },
    "NAPTR": {
        "name": host,
        "ttl": _number("ttl", TTL, LONGEST_TTL),
        "order": _number("order"),
        "preference": _number("preference"),
        "flags": _flags,
        "service": _service,
        "replacement": host,
    },
}
NEEDED = frozenset({"name", "address", "port", "target", "service", "replacement", "flags"})
"""The others have a default."""


def read(given: Mapping[str, object]) -> tuple[DnsRow | None, dict[str, str]]:
    """Return a record from its fields (typed, or as text), or a sentence for each wrong field."""
    try:
        which = kind(str(given.get("type", "")))
    except ValueError as error:
        return None, {"type": str(error)}
    fields = FIELDS[which]
    wrong = {
        str(name)[:60]: f"A record of type {which} has no such field."
        for name in given
        if name != "type" and name not in fields
    }
    found: dict[str, str | int] = {}
    for name, reader in fields.items():
        value = given.get(name)
        if value is None:
            if name in NEEDED:
                wrong[name] = "This is missing."
            continue
        try:
            found[name] = reader("" if isinstance(value, bool | list | dict) else str(value))
        except ValueError as error:
            wrong[name] = str(error)
    return (None, wrong) if wrong else (DnsRow(which, **found), {})  # type: ignore[arg-type]


def too_many(rows: Iterable[DnsRow]) -> str:
    """Return a sentence where there are more of a kind than a handset takes, else ''."""
    for which, count in Counter(row.kind for row in rows).items():
        if count > MOST_OF_A_KIND:
            return f"A group has at most {MOST_OF_A_KIND} records of type {which}, not {count}."
    return ""
