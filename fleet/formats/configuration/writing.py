"""A group's servers and policy as the guide's parameters, to be pasted into `site.cfg`; and where
a handset reports what happens to it.

What handsets get from DNS, several addresses of one name, Rollcall has as a list: here that is one
name again, with static records that hold where DNS knows nothing of it.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import quoteattr

from fleet.formats import values
from fleet.formats.dns_cache import DnsRow
from fleet.formats.policy import PARAMETERS
from fleet.formats.rows import GroupRow, ServerRow

DOMAIN = "servers.invalid"
"""Under a name that DNS never has (RFC 2606), so that the static records always hold."""
TRANSPORTS = {"udp": "UDPOnly", "tcp": "TCPOnly", "tls": "TLS"} | {
    "tcp_preferred": "TCPpreferred",
    "dns_naptr": "DNSnaptr",
}
_SERVICES = {"tcp": "_sip._tcp", "tls": "_sips._tcp", "tcp_preferred": "_sip._tcp"}


def site_cfg(group: GroupRow) -> str:
    """Return a file of the 84-Series with everything of the guide that the group has."""
    return _file("SIPserver", parameters(group))


def notifications_cfg(url: str) -> str:
    """Return a file of one handset that lets it report to `url` what `notifications` reads."""
    flags = ("lineRegistrationEvent", "networkUpEvent", "appInitializationEvent")
    switched_on = {f"apps.telNotification.{flag}": "1" for flag in flags}
    return _file("telNotification", {"apps.telNotification.URL": url} | switched_on)


def _file(element: str, given: Mapping[str, str]) -> str:
    width = max(map(len, given))
    lines = [f"    {name:<{width}}={quoteattr(value)}" for name, value in given.items()]
    inner = "\n".join(lines)
    return (
        '<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n<handsetConfig>\n'
        f"  <{element}\n{inner}/>\n</handsetConfig>\n"
    )


def parameters(group: GroupRow) -> dict[str, str]:
    """Return the guide's parameters by their full names."""
    servers, records = _as_configured(group)
    given: dict[str, str] = {}
    for number, server in enumerate(servers, 1):
        table = f"voIpProt.server.{number}."
        given[f"{table}address"] = server.address
        given[f"{table}port"] = str(server.port)
        given[f"{table}transport"] = TRANSPORTS[server.transport]
        given[f"{table}register"] = "0" if server.register is False else "1"
        for name, value in group.policy.items():
            parameter = PARAMETERS[name]
            if parameter.guide_name.startswith("voIpProt.server."):
                given[table + parameter.guide] = parameter.written(value)
    for name, value in group.policy.items():
        parameter = PARAMETERS[name]
        if parameter.guide_name.startswith("voIpProt.SIP."):
            given[parameter.guide_name] = parameter.written(value)
    counted: Counter[str] = Counter()
    for record in records:
        counted[record.kind] += 1
        table = f"dns.cache.{record.kind}.{counted[record.kind]}."
        fields = record.written().items()
        given |= {table + name: str(value) for name, value in fields if name != "type"}
    return given


def _as_configured(group: GroupRow) -> tuple[Sequence[ServerRow], list[DnsRow]]:
    """The servers as entries, one of several addresses where they are one to the handset."""
    servers = group.servers or ()
    records = list(group.dns_cache or ())
    # A static record has no IPv6 address.
    if group.mode != "failover" or len(servers) < 2 or any(":" in s.address for s in servers):
        return servers, records
    first = servers[0]
    name = f"{re.sub('[^a-z0-9]+', '-', group.name.lower()).strip('-')[:50] or 'group'}.{DOMAIN}"
    one_port = len({server.port for server in servers}) == 1 and first.port
    if one_port and all(not values.is_host_name(server.address) for server in servers):
        one = ServerRow(name, first.port, first.transport)
        return [one], [DnsRow("A", name, address=s.address) for s in servers] + records
    service = _SERVICES.get(first.transport, "_sip._udp")
    spoken = "udp" if first.transport == "dns_naptr" else first.transport
    for number, server in enumerate(servers, 1):
        target = server.address
        if not values.is_host_name(target):
            target = f"s{number}.{name}"
            records.append(DnsRow("A", target, address=server.address))
        port = server.port or values.default_port("192.0.2.1", server.transport)
        row = DnsRow("SRV", f"{service}.{name}", priority=number, port=port, target=target)
        records.append(row)
    return [ServerRow(name, 0, spoken)], records
