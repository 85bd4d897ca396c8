"""The fleet as it is stored, as rows of files, and as files."""

import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import structlog
import xlsxwriter

from fleet import audit, dns_records
from fleet.formats import writing
from fleet.formats.faults import Place
from fleet.formats.policy import PARAMETERS
from fleet.formats.rows import FleetRows, GroupRow, HandsetRow, ServerRow, SiteRow
from fleet.models import Line, ServerGroup, Site

log = structlog.get_logger(__name__)

HERE = Place("Rollcall")
MADE = datetime(2000, 1, 1, tzinfo=UTC)
"""A workbook says when it was made: always then, so that the same fleet gives the same bytes."""


def with_passwords(ending: str, *, by: str) -> bytes:
    """Return the file that has the SIP passwords too; the audit log says who took it.

    `ending`: one of WITH_PASSWORDS. Whoever has the file can register, and call, as any handset.
    """
    _, write = FORMATS[ending]
    said = {"export": ["", f"all SIP passwords, as {ending}"]}
    audit.record_many(Line, "all lines", said, by=by)
    log.warning("fleet exported with passwords", by=by, format=ending)
    return write(rows(passwords=True))


def rows(*, passwords: bool = False) -> FleetRows:
    """Return everything that exists, by name and MAC, with passwords if asked. Five queries."""
    sites = [SiteRow(HERE, s.name, s.time_zone, s.has_own_workers) for s in Site.objects.all()]
    groups = ServerGroup.objects.prefetch_related("servers", "dns_records")
    kept_back = () if passwords else ("auth_password",)
    lines = Line.objects.defer(*kept_back).select_related("handset__group", "handset__site")
    ordered = lines.order_by("handset__mac", "number").iterator(chunk_size=2000)
    return FleetRows(
        tuple(sites),
        tuple(group_row(group) for group in groups),
        tuple(_handset(line, passwords=passwords) for line in ordered),
    )


def group_row(group: ServerGroup) -> GroupRow:
    """Return a group with its servers, policy and DNS records."""
    return GroupRow(
        HERE,
        group.name,
        group.mode,
        tuple(
            ServerRow(
                *(server.address, server.port, server.transport, server.name, server.register),
                tuple(server.lost_features),
                server.tls_name,
            )
            for server in group.servers.all()
        ),
        {name: getattr(group, name) for name in PARAMETERS},
        tuple(dns_records.rows_of(group)),
        tls_ca=group.tls_ca,
        tls_certificate=group.tls_certificate,
    )


def _handset(line: Line, *, passwords: bool) -> HandsetRow:
    handset = line.handset
    return HandsetRow(
        place=HERE,
        mac=handset.mac,
        line=line.number,
        name=handset.name,
        model=handset.model,
        group=handset.group.name,
        site=handset.site.name,
        tags=tuple(handset.tags),
        extension=line.extension,
        domain=line.domain,
        auth_user=line.auth_user,
        auth_password=line.auth_password if passwords else None,
        supervision=line.supervision,
    )


def _workbook(fleet: FleetRows) -> bytes:
    made = io.BytesIO()
    as_text = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(made, as_text | {"in_memory": True}) as book:
        book.set_properties({"created": MADE})
        bold = book.add_format({"bold": True})
        for name, (header, *below) in writing.to_sheets(fleet).items():
            sheet = book.add_worksheet(name)
            sheet.freeze_panes(1, 0)
            for column, word in enumerate(header):
                sheet.write_string(0, column, word, bold)
            for number, cells in enumerate(below, 1):
                for column, text in enumerate(cells):
                    if text:
                        sheet.write_string(number, column, text)
    return made.getvalue()


FORMATS: Mapping[str, tuple[str, Callable[[FleetRows], bytes]]] = {
    "yaml": ("application/yaml", lambda fleet: writing.to_yaml(fleet).encode()),
    "csv": ("text/csv; charset=utf-8", writing.to_csv),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", _workbook),
}
"""Content type and writer by the ending of the file's name."""

WITH_PASSWORDS = ("yaml", "xlsx")
"""Endings of files that can have passwords: in a table a spreadsheet might run one."""
