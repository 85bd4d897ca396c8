"""Where values came from: the file and the parameter of an import, kept beside group or handset.

What was changed since says so by itself: the value that came is kept with its source. Of passwords
only the source is kept.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from fleet.formats.policy import PARAMETERS
from fleet.formats.rows import GroupRow, HandsetRow, Source
from fleet.models import Handset, Provenance, ServerGroup

BATCH = 500
SECRET = "auth_password"  # noqa: S105 - the name of a field
OF_SERVER = ("address", "port", "transport", "register")


@dataclass(frozen=True, slots=True)
class Origin:
    """One value and where it came from."""

    field: str
    file: str
    row: int | None
    parameter: str
    changed: bool
    """It is another since."""


def put_group(group: ServerGroup, row: GroupRow) -> None:
    """Keep where the values of a group came from, if its row knows."""
    if row.sources:
        now = _of_group(group)
        kept = {name: _kept(source, now.get(name)) for name, source in row.sources.items()}
        unknown = [told(each.source) | {"count": each.count} for each in row.unknown]
        fields = {"values": kept, "unknown": unknown, "at": timezone.now()}
        Provenance.objects.update_or_create(group=group, defaults=fields)


def put_handsets(rows: Iterable[tuple[Handset, HandsetRow]]) -> None:
    """Keep where the values of handsets came from, those of their lines under the line's number."""
    by_handset: dict[int, dict[str, Any]] = {}
    for handset, row in rows:
        for name, source in row.sources.items():
            value = None if name == SECRET else getattr(row, name)
            key = name if name == "name" else f"{row.line}.{name}"
            by_handset.setdefault(handset.pk, {})[key] = _kept(source, value)
    now = timezone.now()
    made = [Provenance(handset_id=pk, values=kept, at=now) for pk, kept in by_handset.items()]
    Provenance.objects.bulk_create(
        made,
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["handset"],
        update_fields=["values", "at"],
    )


def told(source: Source) -> dict[str, Any]:
    """As a database takes it: names of files may have what no text column holds."""
    file = source.file.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    return {"file": file, "row": source.row, "parameter": source.parameter}


def of_group(group: ServerGroup, kept: Provenance) -> list[Origin]:
    """Return the origins of a group's values, servers first. One query."""
    return list(_origins(kept, _of_group(group)))


def of_handset(handset: Handset, kept: Provenance) -> list[Origin]:
    """Return the origins of a handset's values and of its lines'. One query."""
    now: dict[str, Any] = {"name": handset.name}
    for number, *values in handset.lines.values_list("number", "extension", "auth_user"):
        names = ("extension", "auth_user")
        now |= {f"{number}.{n}": value for n, value in zip(names, values, strict=True)}
    return list(_origins(kept, now))


def _of_group(group: ServerGroup) -> dict[str, Any]:
    now = {name: getattr(group, name) for name in PARAMETERS}
    for server in group.servers.order_by("priority"):
        now |= {f"servers.{server.priority}.{n}": getattr(server, n) for n in OF_SERVER}
    return now


def _kept(source: Source, value: Any) -> dict[str, Any]:
    kept = told(source)
    return kept if value is None else kept | {"value": str(value)}


def _origins(kept: Provenance, now: Mapping[str, Any]) -> Iterator[Origin]:
    values: Mapping[str, dict[str, Any]] = kept.values
    for name, told in values.items():
        is_other = "value" in told and str(now.get(name)) != told["value"]
        yield Origin(name, told["file"], told["row"], told["parameter"], is_other)
