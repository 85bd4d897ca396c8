"""The API of what changed between two instants."""

from typing import Any

from django import forms
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.api_lists import Pages
from fleet.filters import MomentField, no_such
from fleet.roles import Role
from registrations import queries


class PlaceThen(serializers.Serializer[Any]):
    """Where a line was at one instant."""

    state = serializers.CharField(source="then_state")
    server = serializers.CharField(source="then_server", allow_blank=True)


class DifferenceRow(serializers.Serializer[queries.Difference]):
    """A line that stood elsewhere at the later instant; null: it was not there."""

    registration = serializers.SerializerMethodField()
    mac = serializers.SerializerMethodField()
    extension = serializers.SerializerMethodField()
    before = PlaceThen(allow_null=True)
    after = PlaceThen(allow_null=True)

    def get_registration(self, found: queries.Difference) -> int | None:
        pk: int | None = self._either(found)["then_registration"]
        return pk

    def get_mac(self, found: queries.Difference) -> str:
        return str(self._either(found)["then_mac"])

    def get_extension(self, found: queries.Difference) -> str:
        return str(self._either(found)["then_extension"])

    def _either(self, found: queries.Difference) -> dict[str, Any]:
        return found.after or found.before or {}


class Differences(Pages):
    """`from` is an instant here."""

    shown_by = (*Pages.shown_by, "from")


class BetweenView(GenericAPIView[Any]):
    """Who stood elsewhere at `to` (now) than at `from`; who moved and came back did not."""

    required_roles = {"GET": Role.VIEWER}
    narrowed = ("GET",)
    serializer_class = DifferenceRow
    pagination_class = Differences
    filter_backends = ()

    @extend_schema(
        parameters=[
            OpenApiParameter("from", str, required=True, description="ISO 8601."),
            OpenApiParameter("to", str, description="ISO 8601; now."),
            OpenApiParameter("page", int),
            OpenApiParameter("page_size", int),
        ],
        operation_id="between_list",
    )
    def get(self, request: Request) -> Response:
        earlier, later = _instants(request)
        found = queries.between(earlier, later, timezone.now())
        page = self.paginate_queryset(found)  # type: ignore[arg-type]
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


def _instants(request: Request) -> tuple[Any, Any]:
    """Raises ValidationError."""
    asked = _Instants(request.query_params)
    wrong = no_such(set(request.query_params) - {"page", "page_size"}, asked.fields)
    if wrong or not asked.is_valid():
        raise ValidationError(asked.errors | {name: [told] for name, told in wrong.items()})
    earlier, later = asked.cleaned_data["from"], asked.cleaned_data["to"] or timezone.now()
    if earlier >= later:
        raise ValidationError({"from": ["Give two times, the earlier one first."]})
    return earlier, later


class _Instants(forms.Form):
    def __init__(self, data: Any) -> None:
        super().__init__(data)
        # `from` is a keyword of Python.
        self.fields |= {"from": MomentField(), "to": MomentField(required=False)}
