"""The API of readiness: which server would take which line, as rows, as sums and over time."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.api_lists import NoParameters, Pages
from fleet.roles import Role
from registrations import queries
from registrations.api.census import SPAN_PARAMETERS, CensusQuery
from registrations.api.exports import ExportView, described
from registrations.api.why import ServerRef
from registrations.models import StandbyProof
from registrations.shown import findings, readiness

VIEWER_READS = {"GET": Role.VIEWER}


class LineAtServer(serializers.Serializer[StandbyProof]):
    """Of which line, and of which server."""

    id = serializers.IntegerField()
    registration = serializers.IntegerField()
    handset = serializers.IntegerField()
    mac = serializers.CharField()
    extension = serializers.CharField()
    name = serializers.CharField(help_text="The handset's name.")
    group = serializers.IntegerField()
    group_name = serializers.CharField()
    site = serializers.IntegerField()
    site_name = serializers.CharField()
    server = ServerRef()
    server_name = serializers.CharField()


class BoundRow(serializers.Serializer[Any]):
    """Who is bound there, our own agent apart."""

    uri = serializers.CharField()
    until = serializers.DateTimeField()


class ProofRow(LineAtServer):
    """What one server says of one line: whether it would take it."""

    proof = serializers.ChoiceField(choices=StandbyProof.Proof.choices)
    proof_word = serializers.CharField()
    since = serializers.DateTimeField(
        allow_null=True, help_text="Since when its answers have been these."
    )
    asked_at = serializers.DateTimeField(allow_null=True)
    proved_at = serializers.DateTimeField(
        allow_null=True, help_text="When it last took the credentials."
    )
    next_at = serializers.DateTimeField(allow_null=True, help_text="When it is asked next.")
    code = serializers.IntegerField(allow_null=True)
    reason = serializers.CharField(allow_blank=True)
    refusals = serializers.IntegerField(help_text="In a row.")
    contacts = BoundRow(many=True, help_text="As it listed them last, the longest first.")

    def to_representation(self, instance: StandbyProof) -> dict[str, Any]:
        return queries.proof_row(instance)


class GroupReadiness(serializers.Serializer[Any]):
    """What would become of a group's lines if its primary died now."""

    group = serializers.IntegerField()
    group_name = serializers.CharField()
    lands_on = serializers.IntegerField(allow_null=True)
    sentence = serializers.CharField()
    servers = serializers.ListField(child=serializers.DictField())


class FleetReadiness(serializers.Serializer[Any]):
    """Readiness in sums; `proofs` of a server counts its lines by proof."""

    as_of = serializers.DateTimeField()
    headline = serializers.CharField()
    groups = GroupReadiness(many=True)


class ReadinessViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[StandbyProof]):
    """One row for each line and server: would it take the line, and since when has it said so."""

    required_roles = VIEWER_READS
    narrowed = ("GET",)
    queryset = StandbyProof.objects.none()
    serializer_class = ProofRow
    filterset_class = queries.ReadinessFilter
    pagination_class = Pages

    def get_queryset(self) -> QuerySet[StandbyProof]:
        return queries.in_full(queries.proofs(timezone.now())).order_by("pk")


class FindingRow(LineAtServer):
    """Where a registrar lists something else than is believed."""

    kind = serializers.ChoiceField(choices=queries.FindingKind.choices)
    kind_word = serializers.CharField()
    sentence = serializers.CharField(help_text="What is so, times in the site's zone.")
    to_do = serializers.CharField()
    contacts = serializers.ListField(child=serializers.CharField())
    others_until = serializers.DateTimeField(allow_null=True)
    own_until = serializers.DateTimeField(allow_null=True)
    believed_until = serializers.DateTimeField(allow_null=True)
    asked_at = serializers.DateTimeField(allow_null=True)
    granted_s = serializers.IntegerField(
        allow_null=True, help_text="What it granted last, where that was far less than asked for."
    )
    expires = serializers.IntegerField(help_text="What the group asks for, in seconds.")

    def to_representation(self, instance: StandbyProof) -> dict[str, Any]:
        return findings.told(queries.finding_row(instance), instance.site.time_zone)


class FindingViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[StandbyProof]):
    """Where registrars list something else than is believed, and what to do."""

    required_roles = VIEWER_READS
    narrowed = ("GET",)
    queryset = StandbyProof.objects.none()
    serializer_class = FindingRow
    filterset_class = queries.FindingFilter
    pagination_class = Pages

    def get_queryset(self) -> QuerySet[StandbyProof]:
        return queries.in_full(queries.findings(timezone.now())).order_by("pk")


class ReadinessSummary(NoParameters):
    """Readiness by group and server."""

    required_roles = VIEWER_READS
    narrowed = ("GET",)

    @extend_schema(responses=FleetReadiness)
    def get(self, request: Request) -> Response:
        now = timezone.now()
        found = readiness.readiness(now)
        return Response(
            {
                "as_of": queries.moment(now),
                "headline": readiness.headline(found),
                "groups": [each.as_json() for each in found],
            }
        )


class ReadinessSeries(serializers.Serializer[Any]):
    """Whom one server would have taken, hour by hour; an hour that is left out was not counted."""

    server = serializers.IntegerField()
    server_name = serializers.CharField()
    group = serializers.IntegerField()
    group_name = serializers.CharField()
    at = serializers.ListField(child=serializers.DateTimeField())
    taken = serializers.ListField(child=serializers.IntegerField())
    not_taken = serializers.ListField(child=serializers.IntegerField())
    untold = serializers.ListField(
        child=serializers.IntegerField(), help_text="Of so many nobody could tell."
    )


class ReadinessTrend(APIView):
    """Readiness over time, of all servers, a group's or one: a day where nothing is said."""

    required_roles = VIEWER_READS

    @extend_schema(
        parameters=SPAN_PARAMETERS,
        responses={
            200: ReadinessSeries(many=True),
            400: OpenApiResponse(description="A time, a group or a server is wrong."),
        },
    )
    def get(self, request: Request) -> Response:
        wanted = CensusQuery(request.query_params)
        if not wanted.is_valid():
            raise ValidationError(wanted.errors)
        return Response(readiness.trend(**wanted.cleaned_data))


@described(queries.ReadinessFilter)
class ReadinessExport(ExportView):
    """The filtered proofs as a file, streamed."""

    narrowed = ("GET",)
    kind = "readiness"
