"""Files of an import, each by the ending of its name, to what they say together."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from fleet.formats import archive, fleet_book, fleet_file, handset_csv
from fleet.formats.configuration import reading as configuration
from fleet.formats.configuration.reading import Places, Tell
from fleet.formats.decoding import Unreadable
from fleet.formats.faults import Place
from fleet.formats.rows import FleetRows, HandsetRow, Read, SiteRow

FLEET_FILES = (".yaml", ".yml")
TABLES = (".csv",)
WORKBOOKS = (".xlsx",)
CONFIGURATION = (".cfg", ".xml")
ARCHIVES = (".zip",)
READ = (*FLEET_FILES, *TABLES, *WORKBOOKS, *CONFIGURATION, *ARCHIVES)

FIRST_SITE = "main"
"""What the site of imported handsets is called where there is none."""


@dataclass(frozen=True, slots=True)
class Here:
    """What is there before the import."""

    sites: Collection[str] = ()
    groups: Mapping[str, Places] = field(default_factory=dict)


def read(
    files: Iterable[tuple[str, bytes]],
    here: Here,
    *,
    site: str | None = None,
    tell: Tell = lambda done, total: None,
) -> Read:
    """Return what the files (name, content) say together, and every fault in any of them.

    `site` is where handsets stand whose files cannot say it: those of handset configuration.
    """
    found = _Found()
    for name, data in files:
        _sort(found, name, data)
    parts = [read_file(name, data) for name, data in found.plain]
    if found.configuration:
        parts.append(configuration.read(found.configuration, known=here.groups, tell=tell))
    for ending, count in found.skipped.items():
        what = f"{count} file{'s' * (count != 1)} ending in {ending or 'nothing'}"
        found.read.notes.append(Place(found.archive).fault("", f"{what}: not for us, left out."))
    found.read.rows = FleetRows.joined(part.rows for part in parts)
    found.read.faults += [fault for part in parts for fault in part.faults]
    found.read.notes += [note for part in parts for note in part.notes]
    found.read.unknown += [each for part in parts for each in part.unknown]
    _place(found.read, here, site)
    return found.read


@dataclass(slots=True)
class _Found:
    read: Read = field(default_factory=Read)
    plain: list[tuple[str, bytes]] = field(default_factory=list)
    configuration: list[tuple[str, bytes]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    archive: str = ""


def ending(name: str) -> str:
    return PurePath(name).suffix.lower()


def _sort(found: _Found, name: str, data: bytes) -> None:
    kind = ending(name)
    if kind in ARCHIVES:
        _unpack(found, name, data)
    elif kind in CONFIGURATION:
        found.configuration.append((name, data))
    else:
        found.plain.append((name, data))


def _unpack(found: _Found, name: str, data: bytes) -> None:
    found.archive = name

    def wanted(inner: str) -> bool:
        kind = ending(inner)
        is_wanted = kind in READ and kind not in ARCHIVES
        if not is_wanted:
            found.skipped[kind] += 1
        return is_wanted

    before = len(found.plain), len(found.configuration)
    try:
        for inner, content in archive.read(data, wanted):
            _sort(found, f"{name}/{inner}", content)
    except Unreadable as error:
        found.read.faults.append(Place(name).fault("", str(error)))
        return
    if before == (len(found.plain), len(found.configuration)):
        found.read.faults.append(Place(name).fault("", "The archive has no file to import."))


def read_file(name: str, data: bytes) -> Read:
    """Read a fleet file or a table by the ending of its name."""
    kind = ending(name)
    if kind in FLEET_FILES:
        return Read(*fleet_file.read(name, data))
    if kind in TABLES:
        return Read(*handset_csv.read(name, data))
    if kind in WORKBOOKS:
        return Read(*fleet_book.read(name, data))
    message = (
        "A fleet file ends in .yaml or .yml, a table of handsets in .csv or .xlsx, a "
        "handset's configuration in .cfg; a .zip may hold them."
    )
    return Read(faults=[Place(name).fault("", message)])


def _place(read: Read, here: Here, site: str | None) -> None:
    """Say where handsets stand whose own files do not: at `site`, or at the only one there is."""
    if not any(_is_nowhere(row) for row in read.rows.handsets):
        return
    sites = {*here.sites, *(row.name for row in read.rows.sites)}
    first = next(row for row in read.rows.handsets if _is_nowhere(row))
    if site is None and len(sites) == 1:
        (site,) = sites
    elif not sites:
        site = site or FIRST_SITE
        made = SiteRow(first.place, site)
        read.rows = replace(read.rows, sites=(*read.rows.sites, made))
        message = f"There was no site: {site} is made, in UTC. Its time zone is yours to set."
        read.notes.append(first.place.fault("site", message))
    if site is not None:
        rows = (replace(r, site=site) if _is_nowhere(r) else r for r in read.rows.handsets)
        read.rows = replace(read.rows, handsets=tuple(rows))


def _is_nowhere(row: HandsetRow) -> bool:
    return row.is_live and row.site is None
