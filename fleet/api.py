"""The API of what exists: sites, groups, servers, handsets and lines, one by one or imported.

Every change goes through `fleet.inventory` or `fleet.services`, which announce it, so that
registrations follow.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar
from zoneinfo import available_timezones

from django.db import IntegrityError, transaction
from django.db.models import Prefetch, QuerySet
from rest_framework import serializers, status, viewsets
from rest_framework.exceptions import APIException

from fleet import allowed, dns_records, inventory, policy_fields, queries, reach
from fleet.api_lists import Pages
from fleet.bodies import JSONParser, KnownFields
from fleet.conditional import Conditional, VersionField
from fleet.dns_fields import DnsCacheField
from fleet.formats import certificates, values
from fleet.formats.policy import PARAMETERS, contradictions
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


class Conflict(APIException):
    """What is asked contradicts what is; the detail says in a sentence how."""

    status_code = status.HTTP_409_CONFLICT
    default_code = "conflict"


class Words(serializers.ListField):
    """A list of short texts, such as tags."""

    child = serializers.CharField(max_length=40)


class Checked(KnownFields, serializers.ModelSerializer[T], Generic[T]):
    """Reads values by the rules of the files: what an import refuses, the API refuses too."""

    readers: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}

    def to_internal_value(self, data: Any) -> Any:
        read = super().to_internal_value(data)
        wrong: dict[str, list[str]] = {}
        for name in self.readers.keys() & read.keys():
            try:
                read[name] = self.readers[name](read[name])
            except ValueError as error:
                wrong[name] = [str(error)]
        if wrong:
            raise serializers.ValidationError(wrong)
        return read


class SiteSerializer(Checked[Site]):
    version = VersionField()
    readers = {"name": values.slug}

    class Meta:
        model = Site
        fields = ("id", "version", "name", "time_zone", "has_own_workers")

    def validate_time_zone(self, value: str) -> str:
        if value not in available_timezones():
            raise serializers.ValidationError(f"There is no time zone {value!r}.")
        return value


class ServerSerializer(Checked[Server]):
    version = VersionField()
    priority = serializers.IntegerField(
        required=False, help_text="1 is the primary; the others make room. Left out: the last."
    )
    lost_features = Words(required=False)
    transport = serializers.CharField(
        required=False,
        help_text=f"{', '.join(values.TRANSPORTS)}; also in the words of the handset's guide.",
    )
    readers = {
        "address": allowed.server_address,
        "transport": values.transport,
        "tls_name": values.tls_name,
        "name": partial(values.text, longest=80),
        "lost_features": lambda given: list(values.words(given)),
    }

    class Meta:
        model = Server
        fields = (
            *("id", "version", "group", "priority", "name", "address", "port", "transport"),
            *("tls_name", "register", "lost_features"),
        )
        # Two servers may want one place: `place_server` moves the others.
        validators: tuple[Any, ...] = ()

    def validate_group(self, value: ServerGroup) -> ServerGroup:
        if self.instance is not None and self.instance.group_id != value.pk:
            raise serializers.ValidationError("A server stays in its group; make a new one there.")
        return value

    def create(self, validated_data: dict[str, Any]) -> Server:
        spoken = validated_data.get("transport", Server.Transport.UDP)
        port = values.default_port(validated_data["address"], spoken)
        validated_data.setdefault("port", port)
        return self._place(Server(), validated_data, None)

    def update(self, instance: Server, validated_data: dict[str, Any]) -> Server:
        return self._place(instance, validated_data, instance.priority)

    def _place(self, server: Server, given: dict[str, Any], priority: int | None) -> Server:
        priority = given.pop("priority", priority)
        for name, value in given.items():
            setattr(server, name, value)
        try:
            inventory.place_server(server, priority)
        except inventory.Refused as wrong:
            raise serializers.ValidationError({wrong.field: [str(wrong)]}) from wrong
        return server


class GroupSerializer(Checked[ServerGroup]):
    """The policy may also be written with the names and words of the handset's guide."""

    version = VersionField()
    servers = ServerSerializer(many=True, read_only=True)
    dns_cache = DnsCacheField(required=False)
    readers = {
        "name": partial(values.needed, longest=80),
        "tls_ca": certificates.authority,
        "tls_certificate": certificates.certificate,
    }

    class Meta:
        model = ServerGroup
        fields = (
            *("id", "version", "name", "mode", "servers", "dns_cache", "tls_ca"),
            "tls_certificate",
            *PARAMETERS,
        )

    def get_fields(self) -> dict[str, Any]:
        return super().get_fields() | {n: policy_fields.field(p) for n, p in PARAMETERS.items()}

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(policy_fields.in_our_names(data))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        group = self.instance or ServerGroup()
        policy = {name: attrs.get(name, getattr(group, name)) for name in PARAMETERS}
        if wrong := contradictions(attrs.get("mode", group.mode), policy):
            raise serializers.ValidationError({name: [said] for name, said in wrong.items()})
        return attrs

    @transaction.atomic
    def save(self, **more: Any) -> ServerGroup:
        records = self.validated_data.pop("dns_cache", None)
        group = super().save(**more)
        if records is not None:
            dns_records.put(group, records)
        return group


class HandsetSerializer(Checked[Handset]):
    version = VersionField()
    tags = Words(required=False)
    readers = {
        "mac": values.mac,
        "name": partial(values.text, longest=120),
        "model": partial(values.text, longest=40),
        "tags": lambda given: list(values.words(given)),
    }

    class Meta:
        model = Handset
        fields = ("id", "version", "mac", "name", "model", "group", "site", "tags", "lines")
        read_only_fields = ("lines",)
        # Its own validator would compare what was typed, not what is stored.
        extra_kwargs = {"mac": {"validators": [], "max_length": None}}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        others = Handset.objects.filter(mac=attrs.get("mac"))
        if self.instance is not None:
            others = others.exclude(pk=self.instance.pk)
        if others.exists():
            raise serializers.ValidationError({"mac": ["There is such a handset already."]})
        return attrs


class LineSerializer(Checked[Line]):
    version = VersionField()
    readers = {
        "number": lambda given: values.line(str(given)),
        "extension": values.extension,
        "domain": values.domain,
        "auth_user": partial(values.needed, longest=128),
        "auth_password": values.password,
    }

    class Meta:
        model = Line
        fields = (
            *("id", "version", "handset", "number", "extension", "domain", "auth_user"),
            *("auth_password", "supervision"),
        )
        extra_kwargs = {
            "auth_user": {"required": False, "help_text": "Left out: the extension."},
            "auth_password": {"write_only": True, "trim_whitespace": False},
        }

    def create(self, validated_data: dict[str, Any]) -> Line:
        return super().create({"auth_user": validated_data["extension"]} | validated_data)


class FleetViewSet(Conditional, viewsets.ModelViewSet[T], Generic[T]):
    """Reading, making, changing and deleting one kind of thing."""

    required_roles = CONFIGURER_WRITES
    narrowed = ("GET",)
    pagination_class = Pages
    # A form cannot leave a switch unsaid: what it does not name would be switched off.
    parser_classes = (JSONParser,)
    lookup_value_regex = r"\d+"

    def get_queryset(self) -> QuerySet[T]:
        # Made when this is imported, `queryset` knows nobody.
        return reach.of(super().get_queryset())

    def perform_create(self, serializer: serializers.BaseSerializer[T]) -> None:
        _alone(lambda: inventory.change(None, serializer.save))

    def perform_update(self, serializer: serializers.BaseSerializer[T]) -> None:
        _alone(lambda: inventory.change(serializer.instance, serializer.save))

    def perform_destroy(self, instance: T) -> None:
        try:
            inventory.delete(instance)
        except inventory.InUse as used:
            raise Conflict(str(used)) from used


def _alone(work: Callable[[], object]) -> None:
    """What was checked may be taken before it is written: two who ask for one MAC at once."""
    try:
        work()
    except IntegrityError as taken:
        sentence = "Somebody made or took the same at this very moment. Read it again."
        raise Conflict(sentence) from taken


class SiteViewSet(FleetViewSet[Site]):
    """The places with a network of their own."""

    queryset = Site.objects.order_by("pk")
    serializer_class = SiteSerializer
    filterset_class = queries.SiteFilter


class GroupViewSet(FleetViewSet[ServerGroup]):
    """The ordered sets of servers and the policy by which handsets use them."""

    queryset = ServerGroup.objects.prefetch_related("servers", "dns_records").order_by("pk")
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
