"""Registrations of lines that had none: thousands at once, when a fleet is imported."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connection
from django.db.models.expressions import DatabaseDefault

from registrations.models import Registration
from registrations.store.sql import changed, listed, within

_OF_LINE = {
    "line_id": "l.id",
    "group_id": "h.group_id",
    "site_id": "h.site_id",
}
"""What each has of its own; all else is the same for all."""


def create(line_ids: Iterable[int], first: Mapping[str, Any]) -> None:
    """Make the registrations of these lines, which have none, with the fields of `first`."""
    ids = list(line_ids)
    if not ids:
        return
    same = _columns(Registration(**first))
    columns = [*_OF_LINE, *same]
    values = [*_OF_LINE.values(), *(["%s"] * len(same))]
    changed(
        f"INSERT INTO registrations_registration ({', '.join(columns)}) "
        f"SELECT {', '.join(values)} FROM fleet_line l JOIN fleet_handset h ON h.id = l.handset_id "
        f"WHERE {within('l.id')} ORDER BY l.id",
        [*same.values(), listed(ids)],
    )


def _columns(row: Registration) -> dict[str, Any]:
    """Return what a database is given for the columns of `row`; what it has defaults for not."""
    found = {
        field.column: field.pre_save(row, True)
        for field in row._meta.concrete_fields
        if not field.primary_key and field.column not in _OF_LINE
    }
    fields = {field.column: field for field in row._meta.concrete_fields}
    return {
        column: fields[column].get_db_prep_save(value, connection)
        for column, value in found.items()
        if not isinstance(value, DatabaseDefault)
    }
