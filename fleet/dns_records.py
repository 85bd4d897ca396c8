"""A group's own DNS records in the database, written and read as a whole."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields

from auditlog.context import disable_auditlog
from django.db import transaction

from fleet import audit
from fleet.formats import zone_lines
from fleet.formats.dns_cache import DnsRow
from fleet.models import DnsRecord, ServerGroup


def rows_of(group: ServerGroup) -> list[DnsRow]:
    names = [field.name for field in fields(DnsRow)]
    return [
        DnsRow(**{name: getattr(record, name) for name in names})
        for record in group.dns_records.all()
    ]


@transaction.atomic
def put(group: ServerGroup, rows: Sequence[DnsRow]) -> bool:
    """Make these the group's records; return whether that changed anything."""
    before = rows_of(group)
    if before == list(rows):
        return False
    with disable_auditlog():
        DnsRecord.objects.filter(group=group).delete()
        DnsRecord.objects.bulk_create(DnsRecord(group=group, **asdict(row)) for row in rows)
    audit.record(group, {"dns_cache": [_told(before), _told(rows)]})
    return True


def _told(rows: Iterable[DnsRow]) -> str:
    return ", ".join(zone_lines.written(rows).splitlines())
