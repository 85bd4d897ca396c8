"""The API of exports made in the background."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponseBase, QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.api import Conflict
from fleet.api_lists import NoFilters, Pages
from fleet.bodies import KnownFields
from fleet.roles import Role, has_role
from registrations import exports
from registrations.api.negotiation import WhateverIsAccepted
from registrations.exports import orders
from registrations.models import ExportJob


class ExportOrder(KnownFields, serializers.Serializer[Any]):
    """What to export: a kind, a format, and the filter as the address of its list has it."""

    kind = serializers.ChoiceField(choices=list(exports.KINDS))
    format = serializers.ChoiceField(choices=list(exports.Format), default="csv")
    query = serializers.CharField(
        required=False, allow_blank=True, default="", help_text="'group=ward&state=secondary'"
    )


class ExportState(serializers.Serializer[ExportJob]):
    """An export in the background; its file can be downloaded while it is `ready`."""

    id = serializers.IntegerField()
    kind = serializers.CharField()
    query = serializers.CharField()
    filter = serializers.CharField(allow_blank=True, help_text="`query` without the format.")
    format = serializers.ChoiceField(choices=list(exports.Format))
    state = serializers.ChoiceField(choices=["waiting", "running", "ready", "failed"])
    asked_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    rows = serializers.IntegerField(allow_null=True)
    done = serializers.IntegerField()
    size = serializers.IntegerField(help_text="Bytes of the file so far.")
    filename = serializers.CharField(allow_blank=True)
    failure = serializers.CharField(allow_blank=True)
    expires_at = serializers.DateTimeField(allow_null=True)

    def to_representation(self, instance: ExportJob) -> dict[str, Any]:
        return orders.described(instance)


class ExportViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    viewsets.GenericViewSet[ExportJob],
):
    """Exports made in the background, kept for a day."""

    required_roles = dict.fromkeys(("GET", "POST", "DELETE"), Role.VIEWER)
    queryset = ExportJob.objects.all()
    serializer_class = ExportState
    pagination_class = Pages
    filter_backends = (NoFilters,)
    lookup_value_regex = r"\d+"

    def get_queryset(self) -> QuerySet[ExportJob]:
        return ExportJob.objects.all()

    @extend_schema(request=ExportOrder, responses={201: ExportState})
    def create(self, request: Request) -> Response:
        """Order an export; what is wrong with it is said at once."""
        asked = ExportOrder(data=request.data)
        asked.is_valid(raise_exception=True)
        params = QueryDict(asked.validated_data["query"], mutable=True)
        params["format"] = asked.validated_data["format"]
        try:
            job = orders.order(asked.validated_data["kind"], params, request.user)
        except exports.ExportRefused as refused:
            raise ValidationError(refused.errors) from refused
        return Response(orders.described(job), status=status.HTTP_201_CREATED)

    def perform_destroy(self, instance: ExportJob) -> None:
        user = self.request.user
        if instance.asked_by != user.get_username() and not has_role(user, Role.ADMIN):
            raise PermissionDenied("An export is taken back by who ordered it, or by an admin.")
        instance.delete()

    @extend_schema(
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            409: OpenApiResponse(description="It is not made yet."),
        }
    )
    @action(detail=True, content_negotiation_class=WhateverIsAccepted)
    def file(self, request: Request, pk: str) -> HttpResponseBase:
        """Download the file."""
        job = self.get_object()
        if job.finished_at is None:
            raise Conflict("It is not made yet.")
        return exports.download(request._request, job)
