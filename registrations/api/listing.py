"""How the API lists registrations: filtered, ordered and paged as the page of handsets is."""

from typing import Any

from django.http import QueryDict
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import ValidationError
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from fleet.api_lists import Pages
from registrations import queries, saved_views

VIEW = OpenApiParameter(
    "view",
    description="The slug of a saved view: its filters and order, where nothing else is said.",
)


class RegistrationPages(Pages):
    """Finds the ids of a page first, then their rows."""

    django_paginator_class = queries.Pager
    shown_by = (*Pages.shown_by, "ordering", "sort")


def _in_full(request: Request) -> QueryDict:
    """What the request asks for, with what the view it names adds."""
    try:
        return saved_views.resolved(request.query_params, request.user)[0]
    except saved_views.NoSuchView as missing:
        raise ValidationError({"view": [str(missing)]}) from missing


class RegistrationFilters(DjangoFilterBackend):
    """The filters of the page; `view` names a saved view, which the other fields overrule."""

    def get_filterset_kwargs(self, request: Request, queryset: Any, view: Any) -> dict[str, Any]:
        return super().get_filterset_kwargs(request, queryset, view) | {"data": _in_full(request)}


class RegistrationOrder(BaseFilterBackend):
    """`ordering` as the columns of the page are named; `-` before it: downwards."""

    names = [sign + name for name in queries.ORDERS for sign in ("", "-")]

    def filter_queryset(self, request: Request, queryset: Any, view: Any) -> Any:
        order = request.query_params.get("ordering") or _in_full(request).get("sort") or "id"
        if order not in self.names:
            raise ValidationError({"ordering": [f"Order by one of {', '.join(queries.ORDERS)}."]})
        return queries.ordered(queryset, order)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        about = "The order of the list; `-` before it: downwards. Left out: by id."
        schema = {"type": "string", "enum": self.names}
        where = {"name": "ordering", "in": "query", "required": False}
        return [where | {"description": about, "schema": schema}]
