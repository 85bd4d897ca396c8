"""Filters that refuse names they do not have, and numbers and times no database column holds."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import ProhibitNullCharactersValidator
from django_filters.fields import IsoDateTimeField, ModelMultipleChoiceField
from drf_spectacular.utils import extend_schema_field

from fleet import reach

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
LARGEST_ID = 2**63 - 1

SHOWN_BY = frozenset(
    (
        "format",
        "page",
        "page_size",
        "size",
        "before",
        "after",
        "ordering",
        "sort",
        "columns",
        "from",
    )
)
"""Parameters that say how a list is shown, never what is in it."""


def no_such(given: Iterable[str], filters: Iterable[str]) -> dict[str, str]:
    """Return a sentence for each name given that is none of the filters.

    A misspelt filter would be no filter, and mean everything.
    """
    known = sorted(filters)
    there = f"there are {', '.join(known)}" if known else "there are none"
    strange = sorted(set(given) - set(known))
    return {name: f"There is no filter {name}; {there}." for name in strange}


class KnownNames(forms.Form):
    """Refuses parameters that are neither its own nor SHOWN_BY."""

    def clean(self) -> dict[str, Any]:
        for name, sentence in no_such(set(self.data) - SHOWN_BY, self.fields).items():
            # `add_error` takes the names of fields only.
            self.errors[name] = self.error_class([sentence])
        return super().clean() or self.cleaned_data


class Filters(django_filters.FilterSet):
    """Filters that refuse parameters that are none of theirs."""

    def get_form_class(self) -> type[forms.Form]:
        return type("FiltersForm", (KnownNames, super().get_form_class()), {})


class _Ids(ModelMultipleChoiceField):
    default_error_messages = {
        "invalid_choice": "There is none with the number %(value)s.",
        "invalid_pk_value": "Give the number of one, not %(pk)s.",
    }

    def clean(self, value: Any) -> Any:
        # The field was made before anybody asked.
        self.queryset = reach.of(self.queryset)
        try:
            return super().clean(value)
        except OverflowError as beyond:
            said = self.error_messages["invalid_choice"] % {"value": ", ".join(map(str, value))}
            raise ValidationError(said) from beyond


class MomentField(IsoDateTimeField):
    """A point in time as ISO 8601, in years a database holds."""

    def clean(self, value: Any) -> datetime | None:
        try:
            moment: datetime | None = super().clean(value)
            sane = moment is None or EARLIEST <= moment <= LATEST
        except OverflowError:
            sane = False
        if not sane:
            raise ValidationError(f"Give a time from {EARLIEST.year} to {LATEST.year}.")
        return moment


class _Texts(forms.MultipleChoiceField):
    def validate(self, value: list[str]) -> None:
        for text in value:
            ProhibitNullCharactersValidator()(text)


class IdsFilter(django_filters.ModelMultipleChoiceFilter):
    """Any of these rows, by id; an id that does not exist is a wrong value."""

    field_class = _Ids

    def __init__(self, **more: Any) -> None:
        super().__init__(**{"distinct": False, **more})


class WordsFilter(django_filters.MultipleChoiceFilter):
    """Any of a field's words; another one is a wrong value."""

    def __init__(self, **more: Any) -> None:
        wrong = {"invalid_choice": "There is no such thing as %(value)s."}
        super().__init__(**{"distinct": False, "error_messages": wrong, **more})


@extend_schema_field({"type": "array", "items": {"type": "string"}})
class TextsFilter(WordsFilter):
    """Any of these texts, as they stand; one that nothing has finds nothing."""

    field_class = _Texts


class IdFilter(django_filters.NumberFilter):
    """One row by its id, whether it exists or not."""

    def __init__(self, **more: Any) -> None:
        super().__init__(min_value=0, max_value=LARGEST_ID, decimal_places=0, **more)


class MomentFilter(django_filters.IsoDateTimeFilter):
    """A point in time as ISO 8601."""

    field_class = MomentField
