"""The API of what was and what would be: the census, the servers' history, their death."""

from datetime import timedelta
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.api_lists import NoParameters, Pages
from fleet.filters import KnownNames, MomentField
from fleet.models import Server, ServerGroup
from fleet.roles import Role
from registrations import queries
from registrations.models import ServerChange
from registrations.shown import outages

VIEWER_READS = {"GET": Role.VIEWER}
LONGEST = timedelta(days=31)


class CensusSeries(serializers.Serializer[Any]):
    """Who was where, moment by moment; what lies further apart than `step_seconds` is a gap."""

    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    step_seconds = serializers.IntegerField()
    at = serializers.ListField(
        child=serializers.DateTimeField(), help_text="The moments that were counted."
    )
    states = serializers.DictField(
        child=serializers.ListField(child=serializers.IntegerField()),
        help_text="By shown state, as in the summary: how many at each moment of `at`. States "
        "nobody was in are left out.",
    )


class CensusQuery(KnownNames):
    """What a census is asked for: a day of the whole fleet where nothing is said."""

    since = MomentField(required=False)
    until = MomentField(required=False)
    group = forms.ModelChoiceField(ServerGroup.objects.all(), required=False)
    server = forms.ModelChoiceField(Server.objects.all(), required=False)

    def clean(self) -> dict[str, Any]:
        given = super().clean()
        given["until"] = given.get("until") or timezone.now()
        given["since"] = given.get("since") or given["until"] - timedelta(days=1)
        if given["until"] - given["since"] > LONGEST:
            self.add_error("since", f"Ask for {LONGEST.days} days at most.")
        return given


SPAN_PARAMETERS = [
    OpenApiParameter("since", str, description="ISO 8601; a day before `until`."),
    OpenApiParameter("until", str, description="ISO 8601; now."),
    OpenApiParameter("group", int),
    OpenApiParameter("server", int, description="That server's alone."),
]
"""Those of `CensusQuery`."""


class CensusView(APIView):
    """The fleet, a group or a server as it was counted each minute."""

    required_roles = VIEWER_READS

    @extend_schema(
        parameters=SPAN_PARAMETERS,
        responses={
            200: CensusSeries,
            400: OpenApiResponse(description="A time, a group or a server is wrong."),
        },
    )
    def get(self, request: Request) -> Response:
        wanted = CensusQuery(request.query_params)
        if not wanted.is_valid():
            raise ValidationError(wanted.errors)
        return Response(queries.census(**wanted.cleaned_data).as_json())


class OutageForecast(serializers.Serializer[Any]):
    """What the death of a server would do to the handsets of one group. An estimate."""

    group = serializers.IntegerField()
    group_name = serializers.CharField()
    server = serializers.IntegerField(help_text="The group's own entry for that place.")
    handsets = serializers.IntegerField(help_text="Those it holds now.")
    calls_it_primary = serializers.IntegerField(
        help_text="Handsets of the group, wherever they are now; 0 where it is not its primary."
    )
    lands_on = serializers.IntegerField(allow_null=True, help_text="The server; null: nowhere.")
    in_vain = serializers.ListField(
        child=serializers.IntegerField(), help_text="Silent servers they would ask before."
    )
    proved_there = serializers.IntegerField(
        help_text="Of them, those that server is proved to take."
    )
    not_taken_there = serializers.IntegerField(
        help_text="Those it would not take, by its last answer; of the rest nobody can tell."
    )
    registers_at_most = serializers.IntegerField()
    at_cap_seconds = serializers.FloatField(allow_null=True)
    first_seconds = serializers.FloatField(allow_null=True, help_text="From now.")
    half_seconds = serializers.FloatField(allow_null=True)
    last_seconds = serializers.FloatField(allow_null=True)
    first_binding_ends_at = serializers.DateTimeField(
        allow_null=True, help_text="From then on one of those that do not move cannot be called."
    )
    half_of_bindings_ended_at = serializers.DateTimeField(allow_null=True)
    last_binding_ends_at = serializers.DateTimeField(allow_null=True)
    sentences = serializers.ListField(child=serializers.CharField())


class OutageView(NoParameters):
    """What would happen if a server died now, for each group that names its place."""

    required_roles = VIEWER_READS

    @extend_schema(responses=OutageForecast(many=True))
    def get(self, request: Request, pk: int) -> Response:
        found = outages.at_place_of(get_object_or_404(Server, pk=pk))
        return Response([each.as_json() for each in outages.outages(found, timezone.now())])


class ServerChangeRow(serializers.Serializer[ServerChange]):
    """One change of what was known of a server."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    server = serializers.IntegerField(allow_null=True)
    server_name = serializers.CharField()
    group = serializers.CharField()
    site = serializers.IntegerField(
        allow_null=True, help_text="From where; sickness and pauses hold everywhere."
    )
    site_name = serializers.CharField(allow_blank=True)
    what = serializers.ChoiceField(choices=ServerChange.What.choices)
    word = serializers.CharField()
    before = serializers.ChoiceField(
        choices=ServerChange.What.choices, help_text="What was known until then."
    )
    until = serializers.DateTimeField(allow_null=True, help_text="When a pause ends.")
    reason = serializers.CharField(allow_blank=True)

    def to_representation(self, instance: ServerChange) -> dict[str, Any]:
        return queries.server_change_row(instance)


class ServerChangeViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[ServerChange]
):
    """What happened to servers, newest first: silence, return, refusals, pauses, gaps."""

    required_roles = VIEWER_READS
    queryset = ServerChange.objects.none()
    serializer_class = ServerChangeRow
    filterset_class = queries.ServerChangeFilter
    pagination_class = Pages
    lookup_value_regex = r"\d+"

    def get_queryset(self) -> QuerySet[ServerChange]:
        return queries.server_changes()
