"""Checks what all files of an import say together, and against what is there already."""

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field

from fleet.formats.faults import Fault
from fleet.formats.policy import Value, contradictions
from fleet.formats.rows import FleetRows, GroupRow, HandsetRow, SiteRow


@dataclass(frozen=True, slots=True)
class KnownGroup:
    mode: str
    policy: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Known:
    """What is there before the import, and which addresses servers may have."""

    sites: Set[str] = frozenset()
    groups: Mapping[str, KnownGroup] = field(default_factory=dict)
    macs: Set[str] = frozenset()
    lines: Set[tuple[str, int]] = frozenset()
    time_zones: Set[str] = frozenset()
    refusal: Callable[[str], str] = lambda address: ""
    """Why that address may not be asked; '' where it may."""


def check(rows: FleetRows, known: Known) -> list[Fault]:
    """Return every fault that no single record shows."""
    faults = [
        *_doubled("name", "site", [(row, row.name) for row in rows.sites]),
        *_doubled("name", "group", [(row, row.name) for row in rows.groups]),
        *_doubled("mac", "handset and line", [(row, row.key) for row in rows.handsets]),
    ]
    for site in rows.sites:
        if site.time_zone is not None and site.time_zone not in known.time_zones:
            message = f"There is no time zone {site.time_zone!r}."
            faults.append(site.place.fault("time_zone", message))
    for group in rows.groups:
        faults += _group(group, known)
    faults += _handsets(rows, known)
    faults += _agreement(rows.handsets)
    faults += _passwords(rows.handsets)
    return faults


def _doubled(
    name: str, what: str, keyed: Iterable[tuple[SiteRow | GroupRow | HandsetRow, object]]
) -> list[Fault]:
    first: dict[object, SiteRow | GroupRow | HandsetRow] = {}
    faults = []
    for row, key in keyed:
        before = first.setdefault(key, row)
        if before is not row:
            where = f"{before.place.file}, row {before.place.row}"
            faults.append(row.place.fault(name, f"This {what} stands in {where} already."))
    return faults


def _group(row: GroupRow, known: Known) -> list[Fault]:
    before = known.groups.get(row.name)
    mode = row.mode or (before.mode if before else "")
    faults = []
    if before is None:
        for name, given in (("mode", row.mode), ("servers", row.servers)):
            if given is None and name not in row.wrong:
                faults.append(row.place.fault(name, "A new group needs this."))
    policy = {**(before.policy if before else {}), **row.policy}
    for number, server in enumerate(row.servers or (), 1):
        if message := known.refusal(server.address):
            faults.append(row.place.fault(f"servers[{number}].address", message))
    for name, message in contradictions(mode, policy).items():
        faults.append(row.place.fault(f"policy.{name}", message))
    return faults


def _handsets(rows: FleetRows, known: Known) -> list[Fault]:
    sites = known.sites | {row.name for row in rows.sites}
    groups = known.groups.keys() | {row.name for row in rows.groups}
    supervised = {row.name for row in rows.groups if row.supervision}
    # Group and site belong to the handset: one of its rows may say them for all.
    grouped = known.macs | {row.mac for row in rows.handsets if row.group}
    placed = known.macs | {row.mac for row in rows.handsets if row.site}
    of_mac = {row.mac: row.group for row in rows.handsets if row.group}
    faults = []
    for row in rows.handsets:
        if row.group is not None and row.group not in groups:
            faults.append(row.place.fault("group", f"There is no group {row.group!r}."))
        if row.site is not None and row.site not in sites:
            faults.append(row.place.fault("site", f"There is no site {row.site!r}."))
        missing = []
        if row.mac not in grouped:
            missing.append("group")
        if row.mac not in placed:
            missing.append("site")
        if row.key not in known.lines:
            missing += [name for name in ("extension", "domain") if getattr(row, name) is None]
            unnamed = row.supervision is None and "supervision" not in row.wrong
            if unnamed and not row.is_live and of_mac.get(row.mac) not in supervised:
                faults.append(row.place.fault("supervision", _NAME_IT))
        faults += [
            row.place.fault(name, _WHERE if row.is_live and name == "site" else _NEEDED)
            for name in missing
            if name not in row.wrong
        ]
    return faults


_NEEDED = "A new handset needs this."
_WHERE = "There are several sites, and this handset is new: say at which one it stands."
_NAME_IT = (
    "Name the supervision (register, observe or off), here or on the group of the same import: "
    "it is never assumed."
)


def _agreement(rows: Iterable[HandsetRow]) -> list[Fault]:
    """Rows of one handset's lines must not contradict each other about the handset."""
    first: dict[tuple[str, str], HandsetRow] = {}
    faults = []
    for row in rows:
        for name in ("name", "model", "group", "site", "tags"):
            if getattr(row, name) is None:
                continue
            before = first.setdefault((row.mac, name), row)
            if getattr(before, name) != getattr(row, name):
                where = f"{before.place.file}, row {before.place.row}"
                message = f"The same handset has another {name} in {where}."
                faults.append(row.place.fault(name, message))
    return faults


def _passwords(rows: Iterable[HandsetRow]) -> list[Fault]:
    """One user of one address of record has one password; the message never shows it."""
    first: dict[tuple[object, ...], HandsetRow] = {}
    faults = []
    for row in rows:
        if not row.auth_password or not row.extension or not row.domain:
            continue
        aor = (row.group, row.extension, row.domain.lower(), row.auth_user or row.extension)
        before = first.setdefault(aor, row)
        if before.auth_password != row.auth_password:
            where = f"{before.place.file}, row {before.place.row}"
            message = f"{row.extension}@{row.domain} has another password in {where}."
            faults.append(row.place.fault("auth_password", message))
    return faults
