"""Imports a fleet: files to rows, rows to the database in one transaction, then the announcement.

What a file leaves out stays as it is; something new gets its default.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from zoneinfo import available_timezones

import structlog
from django.db import transaction

from fleet import allowed, audit, importing, reading
from fleet.formats import consistency, leaving_out
from fleet.formats.decoding import MAX_FAULTS
from fleet.formats.faults import Fault, Place, in_order
from fleet.formats.policy import PARAMETERS
from fleet.formats.rows import FleetRows, Read, Unknown
from fleet.inventory import announce_ids
from fleet.models import Handset, Line, ServerGroup, Site

log = structlog.get_logger(__name__)

KINDS = ("sites", "groups", "handsets", "lines")


class ImportRefused(Exception):
    """The files have faults; nothing was changed."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Imported:
    """How many of each kind (KINDS) were made, changed, and found as the files say."""

    created: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    unchanged: Counter[str] = field(default_factory=Counter)
    dry_run: bool = False
    listed: list[importing.Change] = field(default_factory=list)
    """The first of those that were made or changed, by name."""
    starting: list[str] = field(default_factory=list)
    """The lines (MAC and number) that register from now on and did not before."""
    notes: list[Fault] = field(default_factory=list)
    """What is worth knowing though nothing is wrong."""
    unknown: list[Unknown] = field(default_factory=list)
    """Parameters of handset configuration that say nothing about registration."""
    left_out: list[Fault] = field(default_factory=list)
    """Why rows were left out, where what is right was to be imported without the rest."""

    def as_dict(self) -> dict[str, dict[str, int]]:
        return {
            kind: {
                "created": self.created[kind],
                "changed": self.changed[kind],
                "unchanged": self.unchanged[kind],
            }
            for kind in KINDS
        }


def read_files(
    files: Iterable[tuple[str, bytes]],
    site: str | None = None,
    tell: reading.Tell = lambda done, total: None,
) -> Read:
    """Return what the files (name, content) say together, and every fault in any of them.

    `site` is where handsets stand that handset configuration names.
    """
    places = ServerGroup.objects.prefetch_related("servers")
    groups = {
        group.name: tuple((s.address, s.port, s.transport) for s in group.servers.all())
        for group in places
    }
    here = reading.Here(list(Site.objects.values_list("name", flat=True)), groups)
    return reading.read(files, here, site=site, tell=tell)


def import_files(
    files: Iterable[tuple[str, bytes]],
    *,
    by: str,
    dry_run: bool = False,
    site: str | None = None,
    partial: bool = False,
) -> Imported:
    """Make the fleet what the files say. Raises ImportRefused with every fault of every file."""
    return apply_import(read_files(files, site), by=by, dry_run=dry_run, partial=partial)


def apply_import(read: Read, *, by: str, dry_run: bool = False, partial: bool = False) -> Imported:
    """Create or update in one transaction and announce the lines that matter to agents.

    All faults are raised together as ImportRefused; with `partial`, rows that have one are left out
    instead. A dry run does everything, announces nothing and takes it all back.
    """
    report = Imported(dry_run=dry_run, notes=in_order(read.notes), unknown=read.unknown)
    with transaction.atomic():
        rows, faults = _checked(read, partial=partial)
        report.left_out.extend(faults)
        tally = importing.Tally(
            report.created, report.changed, report.unchanged, report.listed, report.starting
        )
        sites = importing.sites(rows.sites, tally)
        groups, moved = importing.groups(rows.groups, tally)
        touched = importing.handsets(rows, sites, groups, tally)
        if dry_run:
            transaction.set_rollback(True)
        else:
            of_groups = Line.objects.filter(handset__group__in=moved).values_list("pk", flat=True)
            announce_ids([*touched, *of_groups])
            _audit(report, by)
    if not dry_run:
        log.info(
            "fleet imported", by=by, created=dict(report.created), changed=dict(report.changed)
        )
    return report


def _audit(report: Imported, by: str) -> None:
    """One entry says what an import did: its rows are written many at once."""
    told = {
        kind: ["", f"{report.created[kind]} made, {report.changed[kind]} changed"]
        for kind in KINDS
        if report.created[kind] or report.changed[kind]
    }
    if told:
        audit.record_many(Handset, "an import", told, by=by)


def _checked(read: Read, *, partial: bool) -> tuple[FleetRows, list[Fault]]:
    """Return the rows to import, and why others are not among them. Raises ImportRefused."""
    known = _known(read.rows)
    rows, found = read.rows, [*read.faults, *consistency.check(read.rows, known)]
    if found and not partial:
        raise ImportRefused(_listed(found))
    wrong = found
    while wrong:
        left = leaving_out.without(rows, wrong)
        # What is left may refer to what is gone.
        wrong = consistency.check(left, known)
        found = [*found, *wrong]
        if not left or (wrong and left == rows):
            raise ImportRefused(_listed(found))
        rows = left
    return rows, _listed(found)


def _listed(found: list[Fault]) -> list[Fault]:
    """As many of them as anybody reads, and how many there are besides."""
    wrong = in_order(found)
    more = len(wrong) - MAX_FAULTS
    if more <= 0:
        return wrong
    last = wrong[MAX_FAULTS - 1]
    told = Place(last.file).fault("", f"There are {more} more faults; mend the first ones first.")
    return [*wrong[:MAX_FAULTS], told]


def _known(rows: FleetRows) -> consistency.Known:
    macs = sorted({row.mac for row in rows.handsets})
    here: set[str] = set()
    lines: set[tuple[str, int]] = set()
    for some in importing.batches(macs):
        here.update(Handset.objects.filter(mac__among=some).values_list("mac", flat=True))
        of_them = Line.objects.filter(handset__mac__among=some).order_by()
        lines.update(of_them.values_list("handset__mac", "number"))
    return consistency.Known(
        sites=frozenset(Site.objects.values_list("name", flat=True)),
        groups={
            group.name: consistency.KnownGroup(
                group.mode, {name: getattr(group, name) for name in PARAMETERS}
            )
            for group in ServerGroup.objects.all()
        },
        macs=here,
        lines=lines,
        time_zones=available_timezones(),
        refusal=allowed.refusal,
    )
