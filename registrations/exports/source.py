"""What an export is made from: rows in a fixed order, counted, and what they are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.http import QueryDict

CHUNK = 2000
"""Rows read, formatted and held in memory at a time."""


class ExportRefused(ValueError):
    """The export cannot be made as asked; `errors` names the parameters and what is wrong."""

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        super().__init__(" ".join(f"{name}: {' '.join(e)}" for name, e in errors.items()))
        self.errors = dict(errors)


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of one export, bounded: what comes to be later is not among them."""

    kind: str
    columns: tuple[str, ...]
    asked: Mapping[str, Any]
    """The filter's parameters as given, empty ones left out."""
    since: datetime
    until: datetime
    made_at: datetime
    rows: int
    cells: Callable[[], Iterator[Sequence[tuple[Any, ...]]]] = field(repr=False)
    """The rows in chunks, as values in the order of `columns`."""
    records: Callable[[], Iterator[Sequence[Mapping[str, Any]]]] = field(repr=False)
    """The same as the API gives them."""
    formatted: QuerySet[Any, Any] | None = field(default=None, repr=False)
    """The same as one query whose values are the CSV's cells, where PostgreSQL can make them."""


def refuse_if_wrong(filtered: Any) -> None:
    """Raise ExportRefused where a filter set was given values that it does not take."""
    if not filtered.is_valid():
        errors = filtered.errors.items()
        raise ExportRefused({name: [str(e) for e in told] for name, told in errors})


def asked_of(params: QueryDict, names: Any) -> dict[str, Any]:
    """Return those of `params` that are named, with one value or a list, empty ones left out."""
    given: dict[str, Any] = {}
    for name in names:
        values = [value for value in params.getlist(name) if value]
        if values:
            given[name] = values[0] if len(values) == 1 else values
    return given
