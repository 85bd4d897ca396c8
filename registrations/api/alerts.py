"""The API of who is told: rules, channels and maintenance, with the checks of their forms."""

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.api import CONFIGURER_WRITES, Conflict
from fleet.api_lists import NoFilters, Pages
from fleet.bodies import KnownFields, takes_no_fields
from fleet.conditional import Conditional, Versioned, VersionField
from fleet.inventory import InUse
from fleet.roles import Role
from registrations.alerts import channel_checks, checking, composing, queue, removing
from registrations.alerts.limiting import ensure_limits
from registrations.incidents.limits import LIMITS, faults
from registrations.models import (
    AlertRule,
    Channel,
    Delivery,
    Incident,
    IncidentLimit,
    MaintenanceWindow,
)

CONFIGURES = dict.fromkeys(("GET", "POST", "PUT", "PATCH", "DELETE"), Role.CONFIGURER)
"""Who is told, and where they are reached, is not for everybody to read."""

OWN = ("made_by", "created_at")


class Checked(KnownFields, serializers.ModelSerializer[Any]):
    """Refuses what the form of the same thing refuses, in the same words."""

    version = VersionField()
    faults: Any

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        now = {name: getattr(self.instance, name, None) for name in self.fields}
        many = {field.name for field in self.Meta.model._meta.many_to_many}  # type: ignore[attr-defined]
        for name in many & now.keys() if self.instance is not None else ():
            now[name] = list(now[name].all())
        if wrong := type(self).faults(now | attrs):
            raise ValidationError({field: [sentence] for field, sentence in wrong.items()})
        return attrs


class RuleRow(Checked):
    """A rule. Where nothing is chosen, nothing is left out."""

    faults = staticmethod(checking.faults_of_rule)
    kinds = serializers.ListField(
        child=serializers.ChoiceField(choices=Incident.Kind.choices), required=False
    )

    class Meta:
        model = AlertRule
        fields = (
            *("id", "version", "name", "is_on", "kinds", "severity", "groups", "sites"),
            *("channels", "at_least", "percent", "after_s", "repeat_s", "tells_end"),
            *("days", "begins", "ends", "time_zone", *OWN),
        )
        read_only_fields = OWN


class ChannelRow(Checked):
    """A channel. Secrets go in and never come out."""

    faults = staticmethod(checking.faults_of_channel)
    secret = serializers.CharField(
        write_only=True,
        required=False,
        allow_blank=True,
        help_text="A webhook's key (made where none is given, and told in that answer alone), or "
        "the URLs of a chat's services, one a line. Left out or blank, what is kept stays.",
    )

    class Meta:
        model = Channel
        fields = ("id", "version", "name", "kind", "is_on", "settings", "secret", *OWN)
        read_only_fields = OWN

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs.get("secret"):
            # Blank is unsaid, as in the forms: what is kept stays.
            attrs.pop("secret", None)
        return super().validate(attrs)

    def validate_kind(self, kind: str) -> str:
        if self.instance is not None and self.instance.kind != kind:
            raise ValidationError("A channel stays what it is; make another one.")
        return kind


class MaintenanceRow(Checked):
    """When trouble is expected somewhere: once (`starts_at`, `stops_at`) or every week."""

    faults = staticmethod(checking.faults_of_maintenance)

    class Meta:
        model = MaintenanceWindow
        fields = (
            *("id", "version", "name", "servers", "groups", "sites", "time_zone"),
            *("starts_at", "stops_at", "days", "begins", "ends", *OWN),
        )
        read_only_fields = OWN


class LimitRow(KnownFields, serializers.ModelSerializer[IncidentLimit]):
    """From when on a kind of trouble is an incident. Null is as in `usual`."""

    version = VersionField()
    usual = serializers.SerializerMethodField(help_text="What holds by default, by name.")

    class Meta:
        model = IncidentLimit
        fields = (
            *("kind", "version", "at_least", "percent", "after_s", "good_s", "times", "within_s"),
            *("calm_s", "usual"),
        )
        read_only_fields = ("kind",)

    def get_usual(self, row: IncidentLimit) -> dict[str, float]:
        return {name: getattr(LIMITS[row.kind], name) for name in row.given}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        assert self.instance is not None  # noqa: S101 - none is made
        if wrong := faults(self.instance.kind, self.instance.given | attrs):
            raise ValidationError({field: [sentence] for field, sentence in wrong.items()})
        return attrs


class LimitViewSet(
    Versioned,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    viewsets.GenericViewSet[IncidentLimit],
):
    """From when on each kind of trouble is an incident: handsets, per cent, seconds."""

    required_roles = {method: Role.CONFIGURER for method in ("GET", "PUT", "PATCH")}
    queryset = IncidentLimit.objects.order_by("pk")
    serializer_class = LimitRow
    pagination_class = Pages
    filter_backends = (NoFilters,)
    lookup_field = "kind"
    lookup_value_regex = r"[a-z_]+"

    def get_queryset(self) -> QuerySet[IncidentLimit]:
        ensure_limits()
        return super().get_queryset()

    @transaction.atomic
    def update(self, request: Request, *args: Any, **more: Any) -> Response:
        return super().update(request, *args, **more)


class Configured(Conditional, viewsets.ModelViewSet[Any]):
    """What configurers make, change and delete."""

    required_roles = CONFIGURES
    pagination_class = Pages
    filter_backends = (NoFilters,)
    lookup_value_regex = r"\d+"

    def perform_create(self, serializer: Any) -> None:
        serializer.save(made_by=self.request.user.get_username())


class RuleViewSet(Configured):
    """Which incidents are told, by which channels, after how long, how often again and when."""

    queryset = AlertRule.objects.prefetch_related("groups", "sites", "channels").order_by("pk")
    serializer_class = RuleRow


class ChannelViewSet(Configured):
    """The ways to tell somebody."""

    queryset = Channel.objects.order_by("pk")
    serializer_class = ChannelRow

    def create(self, request: Request, *args: Any, **more: Any) -> Response:
        """Make one. A webhook without a `secret` gets one, which this answer alone tells."""
        answer = super().create(request, *args, **more)
        made = Channel.objects.get(pk=answer.data["id"])
        if made.kind == Channel.Kind.WEBHOOK and not made.secret:
            made.secret = channel_checks.new_secret()
            made.save(update_fields=["secret"])
            answer.data["secret"] = made.secret
        return answer

    def perform_destroy(self, instance: Channel) -> None:
        try:
            removing.remove(instance, timezone.now())
        except InUse as used:
            raise Conflict(str(used)) from used

    @extend_schema(request=None, responses={202: OpenApiTypes.OBJECT})
    @action(detail=True, methods=["post"])
    @takes_no_fields
    def test(self, request: Request, pk: str) -> Response:
        """Send a test to everybody of it; `deliveries/?channel=ID` says what came of it."""
        channel = self.get_object()
        message = composing.test_message(channel, request.user.get_username())
        n = queue.enqueue(message, channel, timezone.now(), what=Delivery.What.TEST)
        return Response({"queued": n}, status=status.HTTP_202_ACCEPTED)


class MaintenanceViewSet(Configured):
    """When trouble is expected, and where: nobody is told of that trouble."""

    required_roles = CONFIGURER_WRITES
    queryset = MaintenanceWindow.objects.prefetch_related("servers", "groups", "sites").order_by(
        "pk"
    )
    serializer_class = MaintenanceRow
