"""The API of failover drills and of what they leave behind."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.api import Conflict
from fleet.api_lists import NoFilters, Pages
from fleet.bodies import takes_no_fields
from registrations import jobs
from registrations.api.jobs import OPERATOR_ORDERS, FailbackScope
from registrations.jobs.drill_rows import STATES, drill_row, drills
from registrations.models import Drill

OVER = OpenApiResponse(description="It has ended already.")
UNDER_WAY = OpenApiResponse(description="It is not over yet.")


class DrillOrder(FailbackScope):
    """Who is to move away, for how long, and how carefully."""

    minutes = serializers.IntegerField(help_text=f"1 to {jobs.LONGEST_MINUTES}.")
    sample = serializers.IntegerField(
        required=False, allow_null=True, default=None, help_text="So many of them; left out: all."
    )
    abort_above_percent = serializers.IntegerField(default=5)
    wave_size = serializers.IntegerField(required=False, allow_null=True, default=None)


class DrillRow(serializers.Serializer[Drill]):
    """A drill, with the two jobs that move its handsets."""

    id = serializers.IntegerField()
    state = serializers.ChoiceField(choices=STATES)
    scope = serializers.DictField()
    sample = serializers.IntegerField(allow_null=True)
    minutes = serializers.IntegerField()
    asked_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    returns_at = serializers.DateTimeField(
        allow_null=True, help_text="When they are called home; null while they are still leaving."
    )
    ended_by = serializers.CharField(allow_blank=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    abort_above_percent = serializers.IntegerField()
    wave_size = serializers.IntegerField(allow_null=True)
    away_job = serializers.IntegerField(allow_null=True, help_text="Under failbacks/.")
    home_job = serializers.IntegerField(allow_null=True, help_text="Under failbacks/.")
    stragglers = serializers.IntegerField(allow_null=True, help_text="Who had not come home.")
    sha256 = serializers.CharField(allow_blank=True, help_text="Of the evidence.")

    def to_representation(self, instance: Drill) -> dict[str, Any]:
        return drill_row(instance)


class DrillViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Drill]
):
    """Exercises: handsets move away on purpose, stay some minutes and come home."""

    required_roles = OPERATOR_ORDERS
    queryset = Drill.objects.none()
    serializer_class = DrillRow
    pagination_class = Pages
    filter_backends = (NoFilters,)
    lookup_value_regex = r"\d+"

    def get_queryset(self) -> QuerySet[Drill]:
        return drills()

    @extend_schema(request=DrillOrder, responses={201: DrillRow})
    def create(self, request: Request) -> Response:
        """Begin a drill; not where it would come into no-failback hours."""
        asked = DrillOrder(data=request.data)
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        exercise = jobs.Exercise(given.pop("minutes"), given.pop("sample"))
        terms = jobs.Terms(given.pop("abort_above_percent"), given.pop("wave_size"))
        try:
            made = jobs.drill(given, exercise, request.user, terms)
        except (jobs.OrderRefused, jobs.ScopeError) as wrong:
            raise ValidationError({wrong.field: [wrong.sentence]}) from wrong
        return Response(self._row(made.pk), status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses={200: DrillRow, 409: OVER})
    @action(detail=True, methods=["post"])
    @takes_no_fields
    def end(self, request: Request, pk: str) -> Response:
        """Call everybody home now."""
        try:
            jobs.end_drill(self.get_object(), request.user)
        except jobs.JobIsOver as over:
            raise Conflict(str(over)) from over
        return Response(self._row(int(pk)))

    @extend_schema(responses={200: OpenApiTypes.OBJECT, 409: UNDER_WAY})
    @action(detail=True, methods=["get"])
    def evidence(self, request: Request, pk: str) -> HttpResponse:
        """What came of it, byte by byte as it was hashed."""
        drill = self.get_object()
        if not drill.evidence:
            raise Conflict(f"Drill {drill.pk} is not over yet.")
        return HttpResponse(drill.evidence, content_type="application/json")

    def _row(self, pk: int) -> dict[str, Any]:
        return drill_row(get_object_or_404(drills(), pk=pk))
