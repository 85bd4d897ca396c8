"""The API of handsets' reports: where each reports, and what it said last."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.api import Pages
from fleet.bodies import KnownFields, takes_no_fields
from fleet.filters import Filters, IdFilter, IdsFilter
from fleet.models import Handset, ServerGroup
from fleet.roles import Role
from registrations import notifications
from registrations.models import NotificationAddress
from registrations.shown import notifications as told


class ReportRow(serializers.Serializer[Any]):
    """One thing a handset reported."""

    kind = serializers.CharField(help_text="registered, unregistered, network_up or started.")
    line = serializers.IntegerField(allow_null=True)
    told_at = serializers.DateTimeField(allow_null=True, help_text="By the handset's own clock.")
    at = serializers.DateTimeField(help_text="When it came.")
    sender = serializers.CharField(help_text="The address it came from.")


class NotificationAddressRow(serializers.Serializer[NotificationAddress]):
    """Where one handset reports. The URL is a secret."""

    id = serializers.IntegerField()
    handset = serializers.IntegerField()
    mac = serializers.CharField()
    name = serializers.CharField()
    group = serializers.IntegerField()
    url = serializers.CharField(help_text="For apps.telNotification.URL.")
    made_at = serializers.DateTimeField()
    made_by = serializers.CharField()
    heard_at = serializers.DateTimeField(allow_null=True)
    agent = serializers.CharField(
        help_text="What the handset called itself last (HTTP's User-Agent); '' where it never did."
    )
    events = ReportRow(many=True, help_text="The latest first; the last eight are kept.")

    def to_representation(self, instance: NotificationAddress) -> dict[str, Any]:
        return told.row(instance, self.context["request"].build_absolute_uri)


class NotificationFilter(Filters):
    """Whose addresses."""

    group = IdsFilter(queryset=ServerGroup.objects.all(), field_name="handset__group")
    handset = IdFilter(field_name="handset")
    heard = django_filters.BooleanFilter("heard_at", "isnull", exclude=True, label="Was ever heard")

    class Meta:
        model = NotificationAddress
        fields: list[str] = []


class AddressOrder(KnownFields, serializers.Serializer[Any]):
    """The group whose handsets shall have an address each."""

    group = serializers.IntegerField()


class AddressesMade(serializers.Serializer[Any]):
    """How many had none."""

    made = serializers.IntegerField()


class NotificationAddressViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[NotificationAddress]
):
    """Where handsets report what happens to them."""

    required_roles = {"GET": Role.OPERATOR, "POST": Role.OPERATOR}
    queryset = NotificationAddress.objects.none()
    serializer_class = NotificationAddressRow
    filterset_class = NotificationFilter
    pagination_class = Pages
    lookup_value_regex = r"\d+"

    def get_queryset(self) -> QuerySet[NotificationAddress]:
        return told.addresses()

    @extend_schema(request=AddressOrder, responses={201: AddressesMade})
    def create(self, request: Request) -> Response:
        """Make an address for each handset of a group that has none."""
        asked = AddressOrder(data=request.data)
        asked.is_valid(raise_exception=True)
        group = ServerGroup.objects.filter(pk=asked.validated_data["group"]).first()
        if group is None:
            wrong = f"There is no group {asked.validated_data['group']}."
            raise ValidationError({"group": [wrong]})
        made = notifications.make_for_group(group, by=request.user)
        return Response({"made": made}, status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses={200: NotificationAddressRow})
    @action(detail=True, methods=["post"])
    @takes_no_fields
    def renew(self, request: Request, pk: str) -> Response:
        """Make a new address for this handset; the one it had ends at once."""
        handset = get_object_or_404(Handset, notification_address=self.get_object().pk)
        notifications.renew(handset, by=request.user)
        return Response(self.get_serializer(self.get_object()).data)
