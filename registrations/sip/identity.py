"""Whom a server's certificate is for, as SIP asks (RFC 5922 section 7)."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any


def names_in(certificate: Mapping[str, Any]) -> list[str]:
    """The names a certificate (as `ssl.getpeercert` gives it) is for, in lower case.

    `sip:` URIs and DNS names of its subjectAltName, IP addresses in their shortest form; the
    common name only where there is no such entry at all (section 7.1).
    """
    names = list(_alternative_names(certificate))
    if names:
        return names
    return [
        value.lower()
        for part in certificate.get("subject", ())
        for kind, value in part
        if kind == "commonName"
    ]


def is_for(certificate: Mapping[str, Any], name: str) -> bool:
    """Whether it is for that name or address. Wildcards stand for nothing (section 7.2)."""
    return _plain(name) in names_in(certificate)


def _alternative_names(certificate: Mapping[str, Any]) -> Iterator[str]:
    for kind, value in certificate.get("subjectAltName", ()):
        if kind == "URI":
            scheme, _, host = value.partition(":")
            # With a user part it names a person, not a server.
            if scheme.lower() == "sip" and "@" not in host:
                yield _plain(host.partition(";")[0].partition("?")[0])
        elif kind in ("DNS", "IP Address"):
            yield _plain(value)


def _plain(name: str) -> str:
    bare = name.strip().strip("[]").rstrip(".").lower()
    try:
        return str(ip_address(bare))
    except ValueError:
        return bare
