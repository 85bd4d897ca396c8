"""How the API lists registrations: filtered, ordered and paged as the page of handsets is."""

from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from fleet.api import Pages
from registrations import queries


class RegistrationPages(Pages):
    """Finds the ids of a page first, then their rows."""

    django_paginator_class = queries.Pager


class RegistrationOrder(BaseFilterBackend):
    """`ordering` as the columns of the page are named; `-` before it: downwards."""

    names = [sign + name for name in queries.ORDERS for sign in ("", "-")]

    def filter_queryset(self, request: Request, queryset: Any, view: Any) -> Any:
        order = request.query_params.get("ordering") or "id"
        if order not in self.names:
            raise ValidationError({"ordering": [f"Order by one of {', '.join(queries.ORDERS)}."]})
        return queries.ordered(queryset, order)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        about = "The order of the list; `-` before it: downwards. Left out: by id."
        schema = {"type": "string", "enum": self.names}
        where = {"name": "ordering", "in": "query", "required": False}
        return [where | {"description": about, "schema": schema}]
