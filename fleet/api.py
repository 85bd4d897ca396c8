"""The API of what exists: sites, groups, servers, handsets and lines.

Every change goes through `fleet.inventory`, which announces it, so that registrations follow.
"""

import re
from typing import Any, Generic, TypeVar
from zoneinfo import available_timezones

from django.db.models import Prefetch
from rest_framework import serializers, status, viewsets
from rest_framework.exceptions import APIException
from rest_framework.pagination import PageNumberPagination

from fleet import inventory, queries
from fleet.models import Handset, Line, Server, ServerGroup, Site
from fleet.roles import Role

T = TypeVar("T", Site, ServerGroup, Server, Handset, Line)

CONFIGURER_WRITES = {
    "GET": Role.VIEWER,
    "POST": Role.CONFIGURER,
    "PUT": Role.CONFIGURER,
    "PATCH": Role.CONFIGURER,
    "DELETE": Role.CONFIGURER,
}


class Pages(PageNumberPagination):
    """`{count, next, previous, results}`; `page_size` up to 1000."""

    page_size = 100
    page_size_query_param = "page_size"
    max_page_size = 1000


class Conflict(APIException):
    """What is asked contradicts what is; the detail says in a sentence how."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class Words(serializers.ListField):
    """A list of short texts, such as tags."""

    child = serializers.CharField(max_length=40)


class SiteSerializer(serializers.ModelSerializer[Site]):
    class Meta:
        model = Site
        fields = ("id", "name", "time_zone", "has_own_workers")

    def validate_time_zone(self, value: str) -> str:
        if value not in available_timezones():
            raise serializers.ValidationError(f"There is no time zone {value!r}.")
        return value


class ServerSerializer(serializers.ModelSerializer[Server]):
    priority = serializers.IntegerField(
        required=False, help_text="1 is the primary; the others make room. Left out: the last."
    )
    lost_features = Words(required=False)

    class Meta:
        model = Server
        fields = (
            *("id", "group", "priority", "name", "address", "port", "transport", "register"),
            "lost_features",
        )
        # Two servers may want one place: `place_server` moves the others.
        validators: tuple[Any, ...] = ()

    def validate_group(self, value: ServerGroup) -> ServerGroup:
        if self.instance is not None and self.instance.group_id != value.pk:
            raise serializers.ValidationError("A server stays in its group; make a new one there.")
        return value

    def create(self, validated_data: dict[str, Any]) -> Server:
        return self._place(Server(), validated_data, None)

    def update(self, instance: Server, validated_data: dict[str, Any]) -> Server:
        return self._place(instance, validated_data, instance.priority)

    def _place(self, server: Server, values: dict[str, Any], priority: int | None) -> Server:
        priority = values.pop("priority", priority)
        for name, value in values.items():
            setattr(server, name, value)
        try:
            inventory.place_server(server, priority)
        except inventory.NoSuchPlace as wrong:
            raise serializers.ValidationError({"priority": [str(wrong)]}) from wrong
        return server


class GroupSerializer(serializers.ModelSerializer[ServerGroup]):
    servers = ServerSerializer(many=True, read_only=True)

    class Meta:
        model = ServerGroup
        fields = "__all__"


class HandsetSerializer(serializers.ModelSerializer[Handset]):
    tags = Words(required=False)

    class Meta:
        model = Handset
        fields = ("id", "mac", "name", "model", "group", "site", "tags", "lines")
        read_only_fields = ("lines",)
        # Its own validator would compare what was typed, not what is stored.
        extra_kwargs = {"mac": {"validators": [], "max_length": 17}}

    def validate_mac(self, value: str) -> str:
        mac = queries.plain_mac(value)
        if not re.fullmatch(r"[0-9a-f]{12}", mac):
            raise serializers.ValidationError("A MAC has twelve hexadecimal digits.")
        others = Handset.objects.filter(mac=mac)
        if self.instance is not None:
            others = others.exclude(pk=self.instance.pk)
        if others.exists():
            raise serializers.ValidationError("There is a handset with this MAC already.")
        return mac


class LineSerializer(serializers.ModelSerializer[Line]):
    class Meta:
        model = Line
        fields = (
            *("id", "handset", "number", "extension", "domain", "auth_user", "auth_password"),
            "supervision",
        )
        extra_kwargs = {
            "auth_password": {
                "write_only": True,
                "trim_whitespace": False,
                "style": {"input_type": "password"},
            }
        }


class FleetViewSet(viewsets.ModelViewSet[T], Generic[T]):
    """Reading, making, changing and deleting one kind of thing."""

    required_roles = CONFIGURER_WRITES
    pagination_class = Pages
    lookup_value_regex = r"\d+"

    def perform_create(self, serializer: serializers.BaseSerializer[T]) -> None:
        inventory.change(None, serializer.save)

    def perform_update(self, serializer: serializers.BaseSerializer[T]) -> None:
        inventory.change(serializer.instance, serializer.save)

    def perform_destroy(self, instance: T) -> None:
        try:
            inventory.delete(instance)
        except inventory.InUse as used:
            raise Conflict(str(used)) from used


class SiteViewSet(FleetViewSet[Site]):
    """The places with a network of their own."""

    queryset = Site.objects.order_by("pk")
    serializer_class = SiteSerializer
    filterset_class = queries.SiteFilter


class GroupViewSet(FleetViewSet[ServerGroup]):
    """The ordered sets of servers and the policy by which handsets use them."""

    queryset = ServerGroup.objects.prefetch_related("servers").order_by("pk")
    serializer_class = GroupSerializer
    filterset_class = queries.GroupFilter


class ServerViewSet(FleetViewSet[Server]):
    """The registrars."""

    queryset = Server.objects.order_by("pk")
    serializer_class = ServerSerializer
    filterset_class = queries.ServerFilter


class HandsetViewSet(FleetViewSet[Handset]):
    """The devices, known by their MAC."""

    # Only the lines' ids are shown: nobody's password is read, let alone decrypted.
    queryset = Handset.objects.prefetch_related(
        Prefetch("lines", Line.objects.only("pk", "handset_id"))
    ).order_by("pk")
    serializer_class = HandsetSerializer
    filterset_class = queries.HandsetFilter


class LineViewSet(FleetViewSet[Line]):
    """The addresses of record and how each is supervised; passwords go in and never come out."""

    queryset = Line.objects.defer("auth_password").order_by("pk")
    serializer_class = LineSerializer
    filterset_class = queries.LineFilter
