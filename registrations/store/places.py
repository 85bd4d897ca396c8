"""Where servers are, as configured: literal addresses at once, names for whoever asks DNS."""

import ipaddress
from collections.abc import Iterable, Mapping

from fleet.models import DnsRecord, Server
from registrations.sip.targets import Address, Kind, Pointer, Question, Record, Service, literal
from registrations.values import Target


def is_literal(address: str) -> bool:
    """Whether it is an IP address, so that nobody needs to be asked."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def configured(server: Server) -> Target:
    """Return a server as it is configured: its address may be a name, its port 0."""
    return Target(
        server.pk,
        server.address,
        server.port,
        server.transport,
        tls_name=server.tls_name,
        tls_ca=server.group.tls_ca,
        tls_certificate=server.group.tls_certificate,
    )


def targets_of(server: Server) -> tuple[Target, ...]:
    """Return the targets of a server configured by IP address; none where it is a name."""
    return (literal(configured(server)),) if is_literal(server.address) else ()


def own_records(records: Iterable[DnsRecord]) -> Mapping[Question, tuple[Record, ...]]:
    """Return a group's own records by the question each answers, in their order."""
    found: dict[Question, tuple[Record, ...]] = {}
    for record in records:
        question = Question.of(record.name, Kind(record.kind))
        found[question] = (*found.get(question, ()), _record(record))
    return found


def _record(row: DnsRecord) -> Record:
    match Kind(row.kind):
        case Kind.SRV:
            return Service(row.priority, row.weight, row.port, row.target, row.ttl)
        case Kind.NAPTR:
            return Pointer(
                row.order, row.preference, row.flags, row.service, row.replacement, row.ttl
            )
        case _:
            return Address(row.address, row.ttl)
