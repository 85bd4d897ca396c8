"""Lists of the API: leaf by leaf, and no parameter that they do not have."""

from collections.abc import Iterable
from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.filters import BaseFilterBackend
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.views import APIView

from fleet.filters import SHOWN_BY, no_such


class Pages(PageNumberPagination):
    """`{count, next, previous, results}`; `page_size` up to 1000."""

    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = 1000
    shown_by = ("page", "page_size")
    """The parameters that say how the list is shown."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> Any:
        self.check(request)
        return super().paginate_queryset(queryset, request, view)

    def check(self, request: Request) -> None:
        """Refuse a size that is none, and words by which pages show their lists, not we."""
        given = request.query_params
        size = given.get("page_size", "1")
        if not size.isdecimal() or int(size[:9]) < 1:
            raise ValidationError({"page_size": [f"Give a number from 1 to {self.max_page_size}."]})
        refuse_others(set(given) & SHOWN_BY, self.shown_by)


class NoFilters(BaseFilterBackend):
    """Refuses what would be a filter."""

    def filter_queryset(self, request: Request, queryset: Any, view: Any) -> Any:
        refuse_others(set(request.query_params) - SHOWN_BY, ())
        return queryset


class NoParameters(APIView):
    """For what takes none: whoever sends one means something that would not be done."""

    def initial(self, request: Request, *args: Any, **more: Any) -> None:
        super().initial(request, *args, **more)
        refuse_others(request.query_params, ())


def refuse_others(given: Iterable[str], known: Iterable[str]) -> None:
    """Raises ValidationError, with a sentence for each parameter that is none of those known."""
    if strange := no_such(given, known):
        raise ValidationError({name: [sentence] for name, sentence in strange.items()})
