"""The API of drains and of the hours in which nothing fails back."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.api import CONFIGURER_WRITES, Conflict
from fleet.api_lists import NoFilters, Pages
from fleet.bodies import KnownFields, takes_no_fields
from fleet.conditional import Conditional, VersionField
from fleet.models import Server
from fleet.roles import Role
from registrations import jobs
from registrations.api.why import ServerRef
from registrations.jobs.drain_rows import STATES
from registrations.models import Drain, QuietHours

OVER = OpenApiResponse(description="It has ended already.")


class DrainOrder(KnownFields, serializers.Serializer[Any]):
    """A server that is to hold nobody for a while."""

    server = serializers.IntegerField()
    begins_at = serializers.DateTimeField(required=False, help_text="Left out: now.")
    ends_at = serializers.DateTimeField()
    abort_above_percent = serializers.IntegerField(default=5)
    wave_size = serializers.IntegerField(required=False, allow_null=True, default=None)


class DrainRow(serializers.Serializer[Drain]):
    """A drain, with the two jobs that move its handsets."""

    id = serializers.IntegerField()
    state = serializers.ChoiceField(
        choices=STATES, help_text="`empty`: nobody is left; `not_empty`: its jobs did not move all."
    )
    left = serializers.IntegerField(
        allow_null=True, help_text="Handsets on the server now; null when the drain is over."
    )
    server = ServerRef()
    server_name = serializers.CharField()
    group = serializers.IntegerField()
    begins_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    asked_by = serializers.CharField()
    ended_by = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    abort_above_percent = serializers.IntegerField()
    wave_size = serializers.IntegerField(allow_null=True)
    away_job = serializers.IntegerField(allow_null=True, help_text="Under failbacks/.")
    late_jobs = serializers.ListField(
        child=serializers.IntegerField(),
        help_text="Under failbacks/: those that moved who was on his way there when it began.",
    )
    home_job = serializers.IntegerField(allow_null=True, help_text="Under failbacks/.")

    def to_representation(self, instance: Drain) -> dict[str, Any]:
        return jobs.drain_row(instance)


class DrainViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Drain]
):
    """Servers that hold nobody for a while: their handsets leave in waves and come home after."""

    required_roles = {"GET": Role.VIEWER, "POST": Role.OPERATOR}
    queryset = Drain.objects.none()
    serializer_class = DrainRow
    pagination_class = Pages
    filter_backends = (NoFilters,)
    lookup_value_regex = r"\d+"

    def get_queryset(self) -> QuerySet[Drain]:
        return jobs.drains()

    @extend_schema(request=DrainOrder, responses={201: DrainRow})
    def create(self, request: Request) -> Response:
        """Plan a drain; it begins by itself."""
        asked = DrainOrder(data=request.data)
        asked.is_valid(raise_exception=True)
        given = asked.validated_data
        server = Server.objects.filter(pk=given["server"]).first()
        if server is None:
            raise ValidationError({"server": [f"There is no server {given['server']}."]})
        window = jobs.Window(given.get("begins_at") or timezone.now(), given["ends_at"])
        terms = jobs.Terms(given["abort_above_percent"], given["wave_size"])
        try:
            made = jobs.drain(server, window, request.user, terms)
        except jobs.OrderRefused as wrong:
            raise ValidationError({wrong.field: [wrong.sentence]}) from wrong
        return Response(self._row(made.pk), status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses={200: DrainRow, 409: OVER})
    @action(detail=True, methods=["post"])
    @takes_no_fields
    def end(self, request: Request, pk: str) -> Response:
        """End it now: its handsets come home; or call it off before it has begun."""
        try:
            jobs.end(self.get_object(), request.user)
        except jobs.JobIsOver as over:
            raise Conflict(str(over)) from over
        return Response(self._row(int(pk)))

    def _row(self, pk: int) -> dict[str, Any]:
        return jobs.drain_row(get_object_or_404(jobs.drains(), pk=pk))


class QuietHoursRow(KnownFields, serializers.ModelSerializer[QuietHours]):
    """Hours of the week in which nothing of a group or a site fails back by itself."""

    version = VersionField()

    class Meta:
        model = QuietHours
        fields = (
            "id",
            "version",
            "group",
            "site",
            "days",
            "begins",
            "ends",
            "made_by",
            "created_at",
        )
        read_only_fields = ("made_by", "created_at")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        now = {f: attrs.get(f, getattr(self.instance, f, None)) for f in ("group", "site", "days")}
        if wrong := jobs.faults_of_hours(now["group"], now["site"], now["days"] or ""):
            raise ValidationError({field: [sentence] for field, sentence in wrong.items()})
        return attrs


class QuietHoursViewSet(Conditional, viewsets.ModelViewSet[QuietHours]):
    """No-failback hours, by the clock of each site."""

    required_roles = CONFIGURER_WRITES
    queryset = QuietHours.objects.order_by("pk")
    serializer_class = QuietHoursRow
    pagination_class = Pages
    filter_backends = (NoFilters,)
    lookup_value_regex = r"\d+"

    def perform_create(self, serializer: Any) -> None:
        serializer.save(made_by=self.request.user.get_username())
