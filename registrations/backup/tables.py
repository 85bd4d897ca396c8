"""Which tables an archive holds, in an order in which they can be filled, and their columns."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.db import models

from fleet.fields import EncryptedTextField
from registrations.backup.archive import Column, Table

LEFT_OUT = frozenset(
    {
        "django_session",  # whoever has one of its keys is logged in
        "registrations_exportjob",  # made again when asked for; gone after a day anyway
        "registrations_exportpart",
        "fleet_importjob",  # files wait in it that somebody still has
        "fleet_importpart",
    }
)
"""Emptied by a restore like all others, and then filled anew by whoever uses it."""

TOKENS = "authtoken_token"
"""API tokens of older versions, kept as they are: those went into the file of keys."""

KINDS = {
    "DateTimeField": "time",  # UTC, as text
    "TimeField": "clock",
    "BooleanField": "bool",
    "JSONField": "json",  # the document, as text
    "UUIDField": "uuid",  # 32 hex digits
    "BinaryField": "bytes",  # base64
}
"""What a column's values are in the archive, by field; all others are as JSON has them."""

SECRET = "secret"  # noqa: S105 - the name of a kind
"""A text encrypted under CREDENTIALS_KEY; it stays so in the archive."""

AUTO = frozenset({"AutoField", "BigAutoField", "SmallAutoField"})


def all_models() -> list[type[models.Model]]:
    """Return every model with a table of its own, those it refers to before it."""
    found = [model for model in apps.get_models(include_auto_created=True) if not model._meta.proxy]
    by_label = {model._meta.label: model for model in found}
    ordered: dict[str, type[models.Model]] = {}

    def take(model: type[models.Model]) -> None:
        label = model._meta.label
        if label in ordered:
            return
        for other in _referred(model):
            if other is not model:
                take(by_label[other._meta.label])
        ordered[label] = model

    for model in found:
        take(model)
    return list(ordered.values())


def _referred(model: type[models.Model]) -> Iterator[type[models.Model]]:
    for field in model._meta.concrete_fields:
        if isinstance(field, models.ForeignKey) and field.db_constraint:
            yield field.related_model._meta.concrete_model  # type: ignore[union-attr]


def archived() -> list[type[models.Model]]:
    """Return the models whose rows the main archive holds."""
    apart = {*LEFT_OUT, TOKENS}
    return [model for model in all_models() if model._meta.db_table not in apart]


def token_table() -> Table:
    """Return the table of the API tokens of older versions."""
    return table_of(next(model for model in all_models() if model._meta.db_table == TOKENS))


def table_of(model: type[models.Model], rows: int = 0, last_id: int | None = None) -> Table:
    """Return the table of a model: what the database computes by itself is left out."""
    columns = tuple(
        Column(field.column, kind_of(field))
        for field in model._meta.concrete_fields
        if not isinstance(field, models.GeneratedField)
    )
    return Table(model._meta.db_table, columns, rows=rows, last_id=last_id)


def kind_of(field: Any) -> str:
    """Return the kind of a field's values."""
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    if isinstance(field, EncryptedTextField):
        return SECRET
    return KINDS.get(field.get_internal_type(), "plain")


def gives_ids(model: type[models.Model]) -> bool:
    """Whether the database gives its rows their ids."""
    key = model._meta.pk
    return key is not None and key.get_internal_type() in AUTO
