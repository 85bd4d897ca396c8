"""A group's own DNS records in the database, written and read as a whole."""

from collections.abc import Sequence
from dataclasses import asdict, fields

from django.db import transaction

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
    if rows_of(group) == list(rows):
        return False
    DnsRecord.objects.filter(group=group).delete()
    # One by one, so that the audit log hears of each.
    for row in rows:
        DnsRecord.objects.create(group=group, **asdict(row))
    return True
