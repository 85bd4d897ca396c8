"""Configuration files to what they say of groups and handsets.

Equal sets of servers, rules and static DNS records are one group, whoever has them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from fleet.formats import values
from fleet.formats.configuration import document, servers
from fleet.formats.configuration.document import Document, Value
from fleet.formats.configuration.effective import Effective
from fleet.formats.configuration.servers import ServerSet, WrongServer
from fleet.formats.configuration.tree import Configured, Tree
from fleet.formats.decoding import Unreadable
from fleet.formats.faults import Fault, Place
from fleet.formats.rows import FleetRows, GroupRow, HandsetRow, Read, Source, Unknown

Places = tuple[tuple[str, int, str], ...]
"""Address, port and transport of a group's servers, in order."""

STEP = 200
"""Files and handsets between two words of progress."""
NAMED = 12
"""Parameters that are named in a note of those that say nothing about registration."""
MOST_UNKNOWN = 2000
"""And that are kept."""

Tell = Callable[[int, int], None]
"""Told how much of how much is done."""


@dataclass(slots=True)
class _Reader:
    read: Read
    known: Mapping[str, Places]
    sets: dict[tuple[object, ...], ServerSet | Fault] = field(default_factory=dict)
    of_set: dict[ServerSet, list[HandsetRow]] = field(default_factory=dict)
    first: dict[ServerSet, Place] = field(default_factory=dict)
    sources: dict[ServerSet, dict[str, Source]] = field(default_factory=dict)
    read_by: dict[ServerSet, dict[int, Document]] = field(default_factory=dict)
    """Every file that the handsets of a set read, by identity."""
    bare: list[HandsetRow] = field(default_factory=list)


NOBODY = (
    "No handset is in these files: a handset's own file begins with its MAC (00907a0a1b2c-ext.cfg)."
)


def read(
    files: Iterable[tuple[str, bytes]],
    *,
    known: Mapping[str, Places] | None = None,
    tell: Tell = lambda done, total: None,
) -> Read:
    """Return what configuration files (path, content) say together.

    `known` has the groups there are, so that one whose servers are these keeps the name it has.
    """
    found = Read()
    given = list(files)
    documents: dict[str, Document] = {}
    for number, (path, data) in enumerate(given):
        if number % STEP == 0:
            tell(number, 2 * len(given))
        try:
            documents[path] = document.read(path, data)
        except Unreadable as error:
            found.faults.append(Place(path).fault("", str(error), error.row))
    tree = Tree(documents)
    reader = _Reader(found, known or {})
    for number, handset in enumerate(tree.handsets()):
        if number % STEP == 0:
            tell(len(given) + number, 2 * len(given))
        _handset(reader, handset)
    tell(2 * len(given), 2 * len(given))
    found.notes += tree.notes
    found.notes += [note for each in documents.values() for note in each.notes]
    found.unknown = _unknown(documents.values())
    found.notes += _left_out(found.unknown)
    groups, handsets = _grouped(reader)
    found.rows = FleetRows(groups=groups, handsets=handsets)
    found.notes = list(dict.fromkeys(found.notes))
    if not handsets and not found.faults and given:
        found.faults.append(Place(given[0][0]).fault("", NOBODY))
    return found


def _handset(reader: _Reader, configured: Configured) -> None:
    given = Effective(configured.documents)
    lines = sorted(set().union(*(each.lines for each in configured.documents)))
    if not lines:
        message = "No line: none of this handset's files has reg.1.address. It is left out."
        reader.read.notes.append(configured.place.fault("reg.1.address", message))
    rows: list[HandsetRow] = []
    group: ServerSet | Fault | None = None
    for line in lines:
        found = _servers(reader, configured, line)
        if rows and found != group:
            message = (
                f"Line {line} has other servers than line {rows[0].line}; a handset is in one "
                "group, so this line is left out."
            )
            reader.read.notes.append(_address(given, line).fault(message))
            continue
        group = found
        rows.append(_line(reader, configured.mac, given, line, found))
    if isinstance(group, ServerSet):
        reader.of_set.setdefault(group, []).extend(rows)
        reader.read_by.setdefault(group, {}).update((id(d), d) for d in configured.documents)
    else:
        reader.bare += rows


def _servers(reader: _Reader, configured: Configured, line: int) -> ServerSet | Fault:
    """Looked up once for all handsets whose files that say so are the same."""
    told = tuple(d for d in configured.documents if d.says_servers)
    is_spectralink = any(d.is_spectralink for d in configured.documents)
    key = (line, is_spectralink, *map(id, told))
    if key not in reader.sets:
        given = Effective(told)
        try:
            found = servers.of_line(given, line, is_spectralink=is_spectralink)
        except WrongServer as wrong:
            reader.sets[key] = wrong.value.fault(str(wrong))
        else:
            reader.sets[key] = found or _no_server(configured, line)
            if found is not None:
                first = given.find(f"reg.{line}.server.1.address", "voipprot.server.1.address")
                reader.first.setdefault(found, first.place if first else configured.place)
                reader.sources.setdefault(found, servers.sources(given, line))
        reader.read.notes += given.notes
    return reader.sets[key]


def _no_server(configured: Configured, line: int) -> Fault:
    named = ", ".join(each.file for each in configured.documents[:6])
    message = (
        f"No server: neither reg.{line}.server.1.address nor voIpProt.server.1.address is set "
        f"in {named}."
    )
    return configured.place.fault("voIpProt.server.1.address", message)


def _address(given: Effective, line: int) -> Value:
    value = given.find(f"reg.{line}.address")
    if value is None:
        raise LookupError(f"Line {line} has no address, so it is no line.")
    return value


def _line(
    reader: _Reader, mac: str, given: Effective, line: int, group: ServerSet | Fault
) -> HandsetRow:
    """Return the row of a line; what is wrong with it stands among the faults."""
    wrong: set[str] = set()

    def take(name: str, value: Value | None, reading: Callable[[str], str]) -> str | None:
        if value is None:
            return None
        try:
            return reading(value.text)
        except ValueError as error:
            reader.read.faults.append(value.fault(str(error)))
            wrong.add(name)
            return None

    address = _address(given, line)
    user, host = _parts(address.text)
    if isinstance(group, Fault):
        reader.read.faults.append(group)
        wrong |= {"group", "domain"}
    else:
        host = host or group.servers[0].address
    shown = given.find("reg.1.displayname", "reg.1.label") if line == 1 else None
    auth_user, password = (given.find(f"reg.{line}.auth.{n}") for n in ("userid", "password"))
    told = {"name": shown, "extension": address, "auth_user": auth_user, "auth_password": password}
    return HandsetRow(
        place=address.place,
        mac=mac,
        line=line,
        name=take("name", shown, partial(values.text, longest=120)),
        extension=take("extension", address, lambda _: values.extension(user)),
        domain=take("domain", address, lambda _: values.domain(host)) if host else None,
        auth_user=take("auth_user", auth_user, partial(values.needed, longest=128)),
        auth_password=take("auth_password", password, values.password),
        wrong=frozenset(wrong),
        is_live=True,
        sources={name: value.source for name, value in told.items() if value is not None},
    )


def _parts(address: str) -> tuple[str, str]:
    """User and host of `user` or `user@host`; a scheme and a port say nothing of either."""
    bare = address.strip()
    bare = bare.partition(":")[2] if bare.lower().startswith(("sip:", "sips:")) else bare
    user, _, host = bare.partition("@")
    return user, host.partition(":")[0] if host.count(":") == 1 else host


def _grouped(reader: _Reader) -> tuple[tuple[GroupRow, ...], tuple[HandsetRow, ...]]:
    """Name the groups, the largest first, and put the handsets into them."""
    largest = sorted(reader.of_set, key=lambda one: (-len(reader.of_set[one]), repr(one)))
    names = _names(largest, reader.known)
    groups = tuple(
        GroupRow(
            *(reader.first[one], names[one], one.mode, one.servers, dict(one.policy)),
            one.dns_cache,
            sources=reader.sources[one],
            unknown=tuple(_unknown(reader.read_by[one].values())),
        )
        for one in largest
    )
    placed = [replace(row, group=names[one]) for one in largest for row in reader.of_set[one]]
    return groups, tuple(sorted([*placed, *reader.bare], key=lambda row: row.key))


def _names(sets: Sequence[ServerSet], known: Mapping[str, Places]) -> dict[ServerSet, str]:
    """Those of the groups that have these servers, else the primaries'."""
    names: dict[ServerSet, str] = {}
    for one in sets:
        same = (n for n, places in sorted(known.items()) if places == one.places)
        name = next((n for n in same if n not in names.values()), None)
        if name is not None:
            names[one] = name
    for one in sets:
        if one not in names:
            names[one] = _new_name(one, known, set(names.values()))
    return names


def _new_name(one: ServerSet, known: Mapping[str, Places], taken: set[str]) -> str:
    """The primary's address: a group with this name and primary got other servers since."""
    primary = one.servers[0].address
    wanted = name = primary[:70]
    number = 1
    while name in taken or (name in known and known[name][:1] and known[name][0][0] != primary):
        number += 1
        name = f"{wanted} {number}"
    return name


def _unknown(documents: Iterable[Document]) -> list[Unknown]:
    """Return what says nothing about registration: those that stand in most files first."""
    counted: Counter[str] = Counter()
    first: dict[str, Source] = {}
    for each in documents:
        for name, value in each.unknown():
            counted[name] += 1
            if name not in first:
                first[name] = value.source
    return [Unknown(first[name], count) for name, count in counted.most_common(MOST_UNKNOWN)]


def _left_out(unknown: Sequence[Unknown]) -> Iterator[Fault]:
    """One note for all of them."""
    if unknown:
        named = ", ".join(each.source.parameter for each in unknown[:NAMED])
        more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        what = "1 parameter says" if len(unknown) == 1 else f"{len(unknown)} parameters say"
        message = f"{what} nothing about registration, left out: {named}{more}."
        yield Place(unknown[0].source.file).fault("", message)
