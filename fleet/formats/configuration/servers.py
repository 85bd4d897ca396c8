"""Where a line registers and by which rules, out of the guide's parameters."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fleet.formats import dns_cache, values
from fleet.formats.configuration.document import Value
from fleet.formats.configuration.effective import Effective
from fleet.formats.dns_cache import DnsRow
from fleet.formats.policy import PARAMETERS, Parameter
from fleet.formats.policy import Value as Setting
from fleet.formats.rows import ServerRow, Source

NAPTR = "dns_naptr"
RE_REGISTER = "re_register_on"
SIP = "voIpProt.SIP."
_SIP_LABELS = re.compile(r"^(?:_[^.]+\.)+")


@dataclass(frozen=True, slots=True)
class ServerSet:
    """The same for all handsets of a group."""

    mode: str
    servers: tuple[ServerRow, ...]
    policy: tuple[tuple[str, Setting], ...]
    dns_cache: tuple[DnsRow, ...]

    @property
    def places(self) -> tuple[tuple[str, int, str], ...]:
        return tuple((s.address, s.port, s.transport) for s in self.servers)


class WrongServer(ValueError):
    """A server that handsets cannot be on; `value` says where it stands."""

    def __init__(self, value: Value, sentence: str) -> None:
        super().__init__(sentence)
        self.value = value


def of_line(given: Effective, line: int, *, is_spectralink: bool) -> ServerSet | None:
    """Return the servers of a line, None where it has none. Raises WrongServer.

    Entry y is `reg.x.server.y` where that has an address, else `voIpProt.server.y`: never a mix.
    """
    tables = list(_tables(given, line))
    if not tables:
        return None
    servers = tuple(dict.fromkeys(_server(given, table) for table in tables))
    if not any(server.register is not False for server in servers):
        value = given.find(f"{tables[0]}register")
        if value is not None:
            raise WrongServer(value, "No server takes registrations: all have register=0.")
    mode = "fallback" if len(servers) > 1 else "failover"
    policy = _policy(given, line, tables[0], is_spectralink=is_spectralink)
    if mode == "fallback" and policy[RE_REGISTER]:
        _note_useless(given, tables[0])
        policy[RE_REGISTER] = False
    _note_others(given, tables)
    _note_proxy(given, line)
    hosts = {server.address for server in servers}
    return ServerSet(mode, servers, tuple(sorted(policy.items())), _records(given, hosts))


def sources(given: Effective, line: int) -> dict[str, Source]:
    """Return where the servers and the policy of a line stand, by field of the group."""
    tables = list(_tables(given, line))
    named = {
        f"servers.{number}.{name}": [f"{table}{name}"]
        for number, table in enumerate(tables, 1)
        for name in ("address", "port", "transport", "register")
    }
    for parameter in PARAMETERS.values():
        if parameter.guide and tables:
            named[parameter.name] = _names(given, parameter, line, tables[0])
    found = {field: given.find(*names) for field, names in named.items()}
    return {field: value.source for field, value in found.items() if value is not None}


def _tables(given: Effective, line: int) -> Iterator[str]:
    for number in range(1, values.MAX_SERVERS + 1):
        for table in (f"reg.{line}.server.{number}.", f"voipprot.server.{number}."):
            if given.find(f"{table}address") is not None:
                yield table
                break


def _server(given: Effective, table: str) -> ServerRow:
    value = given.find(f"{table}address")
    try:
        address = values.address("" if value is None else value.text)
    except ValueError as error:
        raise WrongServer(value, str(error)) from error  # type: ignore[arg-type]
    transport = given.read(values.transport, NAPTR, f"{table}transport")
    if transport == NAPTR and not values.is_host_name(address):
        transport = "udp"
    port = given.read(values.port, 0, f"{table}port")
    return ServerRow(
        address,
        port or values.default_port(address, transport),
        transport,
        register=given.read(values.switch, True, f"{table}register"),
    )


def _policy(given: Effective, line: int, table: str, *, is_spectralink: bool) -> dict[str, Setting]:
    """Every parameter of the guide, as it holds: what no file says is the handset's default."""
    found: dict[str, Setting] = {}
    for parameter in PARAMETERS.values():
        if parameter.guide:
            default = parameter.default
            if parameter.name == "fail_back_mode" and not is_spectralink:
                default = "new_requests"
            names = _names(given, parameter, line, table)
            found[parameter.name] = given.read(parameter.read, default, *names)
    return found


def _names(given: Effective, parameter: Parameter, line: int, table: str) -> list[str]:
    """Where a parameter may stand, the table that wins first, in lower case."""
    if parameter.guide_name.startswith(SIP):
        names = [f"reg.{line}.{parameter.guide}", parameter.guide_name]
        return [name.lower() for name in names]
    tables = [table]
    if parameter.guide.startswith("failOver."):
        proxies = (f"reg.{line}.outboundproxy.", f"{SIP}outboundproxy.".lower())
        tables = [p for p in proxies if given.find(f"{p}address")] + tables
    spelt = [parameter.guide.lower()]
    if parameter.name == RE_REGISTER:
        # Named so once in the guide, without a row of its own: a slip.
        spelt.append("failover.registeron")
    return [f"{one}{name}" for one in tables for name in spelt]


def _note_useless(given: Effective, table: str) -> None:
    value = given.find(f"{table}failover.reregisteron", f"{table}failover.registeron")
    if value is not None:
        given.notes.append(
            value.fault(
                "Has no effect in a fallback group, where each server has a registration of its "
                "own: left out."
            )
        )


def _note_others(given: Effective, tables: list[str]) -> None:
    """A group has one policy; a server with rules of its own is told."""
    for table in tables[1:]:
        for parameter in PARAMETERS.values():
            name = parameter.guide.lower()
            value = given.find(f"{table}{name}") if name else None
            first = given.text(f"{tables[0]}{name}")
            usual = first or parameter.written(parameter.default)
            if value is not None and value.text.lower() != usual.lower():
                message = f"A group has one policy: what its first server has is taken, {usual}."
                given.notes.append(value.fault(message))


def _note_proxy(given: Effective, line: int) -> None:
    name = "outboundproxy.address"
    value = given.find(f"reg.{line}.{name}", f"voipprot.sip.{name}")
    if value is not None:
        message = (
            "These handsets reach their servers through an outbound proxy. Rollcall asks the "
            "servers themselves: what it sees may differ from what the handsets see."
        )
        given.notes.append(value.fault(message))


def _records(given: Effective, hosts: set[str]) -> tuple[DnsRow, ...]:
    """The static DNS records that these hosts lead to."""
    found = [row for kind in dns_cache.KINDS for row in _records_of(given, kind)]
    reached, before = set(hosts), 0
    while len(reached) != before:
        before = len(reached)
        reached |= {t for r in found if _is_of(r, reached) for t in (r.target, r.replacement) if t}
    return tuple(dict.fromkeys(row for row in found if _is_of(row, reached)))


def _is_of(row: DnsRow, hosts: set[str]) -> bool:
    return row.name in hosts or _SIP_LABELS.sub("", row.name) in hosts


def _records_of(given: Effective, kind: str) -> Iterator[DnsRow]:
    for number in range(1, dns_cache.MOST_OF_A_KIND + 1):
        table = f"dns.cache.{kind}.{number}.".lower()
        if given.find(f"{table}name") is None:
            continue
        record = {name: given.find(f"{table}{name}") for name in dns_cache.FIELDS[kind]}
        texts: dict[str, object] = {n: v.text for n, v in record.items() if v is not None}
        row, wrong = dns_cache.read({"type": kind, **texts})
        if row is None:
            row, _ = dns_cache.read({"type": kind, **{n: texts[n] for n in texts.keys() - wrong}})
        for name, message in wrong.items():
            value = record.get(name) or given.find(f"{table}name")
            if value is not None:
                what = "The record is left out" if row is None else "The usual value is taken"
                given.notes.append(value.fault(f"{message} {what}."))
        if row is not None:
            yield row
