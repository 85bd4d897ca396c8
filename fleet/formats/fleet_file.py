"""The fleet file: sites, groups with servers and policy, handsets, in YAML."""

from collections.abc import Mapping, Sequence
from functools import partial

from fleet.formats import certificates, dns_cache, tree, values
from fleet.formats.decoding import Unreadable, decode
from fleet.formats.dns_cache import DnsRow
from fleet.formats.faults import Fault, Place
from fleet.formats.policy import Value, read_policy
from fleet.formats.record import Record
from fleet.formats.rows import FleetRows, GroupRow, HandsetRow, ServerRow, SiteRow

SITE = ("name", "time_zone", "has_own_workers")
GROUP = (
    *("name", "mode", "servers", "policy", "dns_cache", "supervision"),
    *("tls_ca", "tls_certificate"),
)
SERVER = ("address", "port", "transport", "tls_name", "name", "register", "lost_features")
HANDSET = (
    *("mac", "line", "name", "extension", "domain", "auth_user", "auth_password"),
    *("group", "site", "model", "supervision", "tags"),
)
"""Also the columns of the handset table."""


def read(file: str, data: bytes) -> tuple[FleetRows, list[Fault]]:
    """Return what the file says, and every fault found. Only without faults is it to be used."""
    place = Place(file)
    try:
        root = tree.read(decode(data))
    except Unreadable as error:
        return FleetRows(), [place.fault("", str(error), error.row)]
    if not isinstance(root, tree.Mapping):
        message = "A fleet file has the fields sites, groups and handsets."
        return FleetRows(), [place.fault("", message, root.row)]
    faults: list[Fault] = []
    rows = _rows(root, place, faults)
    if not faults and not rows:
        faults.append(place.fault("", "The file names no site, no group and no handset."))
    return rows, faults


def read_records(
    place: Place, records: Mapping[str, Sequence[tree.Mapping]]
) -> tuple[FleetRows, list[Fault]]:
    """As `read`, of records that stand elsewhere than in YAML, by what they are."""
    root = tree.Mapping(1)
    for name, items in records.items():
        root.entries[name] = tree.Sequence(1, list(items))
    faults: list[Fault] = []
    return _rows(root, place, faults), faults


def _rows(root: tree.Mapping, place: Place, faults: list[Fault]) -> FleetRows:
    top = Record(root, place, faults)
    top.only(("sites", "groups", "handsets"))
    parts = {name: top.records(name) or [] for name in ("sites", "groups", "handsets")}
    return FleetRows(
        tuple(_site(one) for one in parts["sites"]),
        tuple(_group(one) for one in parts["groups"]),
        tuple(_handset(one) for one in parts["handsets"]),
    )


def _site(given: Record) -> SiteRow:
    given.only(SITE)
    name = given.need("name", values.slug)
    zone = given.read("time_zone", partial(values.needed, longest=60))
    own = given.read("has_own_workers", values.switch)
    return SiteRow(given.place, name or given.stand_in, zone, own, frozenset(given.wrong))


def _group(given: Record) -> GroupRow:
    given.only(GROUP)
    name = given.need("name", partial(values.needed, longest=80))
    tls_ca = given.read("tls_ca", certificates.authority)
    tls_certificate = given.read("tls_certificate", certificates.certificate)
    return GroupRow(
        given.place,
        name or given.stand_in,
        given.read("mode", values.mode),
        _servers(given),
        _policy(given),
        _dns_cache(given),
        given.read("supervision", values.supervision),
        frozenset(given.wrong),
        tls_ca=tls_ca,
        tls_certificate=tls_certificate,
    )


def _servers(given: Record) -> tuple[ServerRow, ...] | None:
    records = given.records("servers")
    if records is None:
        return None
    if not 1 <= len(records) <= values.MAX_SERVERS:
        given.fault("servers", f"A group has 1 to {values.MAX_SERVERS} servers.")
    found: dict[tuple[str, int], ServerRow] = {}
    for record in records:
        record.only(SERVER)
        address = record.need("address", values.address) or ""
        port = record.read("port", values.port)
        transport = record.read("transport", values.transport) or "udp"
        row = ServerRow(
            address,
            values.default_port(address, transport) if port is None else port,
            transport,
            record.read("name", partial(values.text, longest=80)),
            record.read("register", values.switch),
            record.read_words("lost_features", values.words),
            tls_name=record.read("tls_name", values.tls_name),
        )
        if row.address and (row.address, row.port) in found:
            place = f"{row.address}:{row.port}" if row.port else row.address
            record.fault("address", f"{place} stands in this group twice.")
        found[row.address, row.port] = row
    _pass_on(given, "servers", records)
    if all(row.register is False for row in found.values()):
        given.fault("servers", "At least one server must take registrations (register: true).")
    return tuple(found.values())


def _pass_on(given: Record, name: str, inner: list[Record]) -> None:
    """A list is wrong where one of its records is."""
    if any(record.wrong for record in inner):
        given.wrong.add(name)


def _policy(given: Record) -> dict[str, Value]:
    written = given.values("policy")
    kept, wrong = read_policy({name: text for name, (_, text) in written.items()})
    for name, message in wrong.items():
        given.fault(f"policy.{name[:60]}", message, written[name][0])
    return kept


def _dns_cache(given: Record) -> tuple[DnsRow, ...] | None:
    records = given.records("dns_cache")
    if records is None:
        return None
    rows = []
    for record in records:
        row, wrong = dns_cache.read(record.as_text())
        for name, message in wrong.items():
            record.fault(name, message, record.row_of(name))
        if row is not None:
            rows.append(row)
    _pass_on(given, "dns_cache", records)
    if sentence := dns_cache.too_many(rows):
        given.fault("dns_cache", sentence)
    return tuple(rows)


def _handset(given: Record) -> HandsetRow:
    given.only(HANDSET)
    mac = given.need("mac", values.mac)
    return HandsetRow(
        given.place,
        mac or given.stand_in,
        given.read("line", values.line) or 1,
        given.read("name", partial(values.text, longest=120)),
        given.read("model", partial(values.text, longest=40)),
        given.read("group", partial(values.needed, longest=80)),
        given.read("site", values.slug),
        given.read_words("tags", values.words),
        given.read("extension", values.extension),
        given.read("domain", values.domain),
        given.read("auth_user", partial(values.needed, longest=128)),
        given.read("auth_password", values.password),
        given.read("supervision", values.supervision),
        frozenset(given.wrong),
    )
