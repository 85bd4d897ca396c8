"""Lists of the API that have no filters."""

from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from fleet.filters import SHOWN_BY, no_such


class NoFilters(BaseFilterBackend):
    """Refuses what would be a filter."""

    def filter_queryset(self, request: Request, queryset: Any, view: Any) -> Any:
        if strange := no_such(set(request.query_params) - SHOWN_BY, ()):
            raise ValidationError({name: [sentence] for name, sentence in strange.items()})
        return queryset
