"""The API of incidents: what is and was wrong, its timeline, and who has it in hand."""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.api import Conflict
from fleet.api_lists import Pages
from fleet.bodies import KnownFields
from fleet.roles import Role
from registrations import queries
from registrations.alerts import acknowledging
from registrations.api.exports import ExportView, described
from registrations.models import Delivery, Incident, IncidentEntry

OVER = OpenApiResponse(description="It is over, and there is no comment.")


class IncidentRow(serializers.Serializer[Incident]):
    """One incident: a common cause and all that follows from it."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Incident.Kind.choices)
    severity = serializers.ChoiceField(choices=Incident.Severity.choices)
    state = serializers.ChoiceField(choices=Incident.State.choices)
    title = serializers.CharField()
    happened = serializers.CharField(help_text="What happened, in a sentence.")
    remedy = serializers.CharField(help_text="What to do about it.")
    server = serializers.IntegerField(allow_null=True)
    server_name = serializers.CharField(allow_blank=True)
    registration = serializers.IntegerField(allow_null=True, help_text="Of a single handset.")
    groups = serializers.ListField(child=serializers.CharField(), help_text="Names; none: any.")
    sites = serializers.ListField(child=serializers.CharField(), help_text="Names; none: any.")
    handsets = serializers.IntegerField(help_text="Hit now.")
    most_handsets = serializers.IntegerField(help_text="Hit at once, at most.")
    of_handsets = serializers.IntegerField()
    opened_at = serializers.DateTimeField(help_text="When the trouble began.")
    detected_at = serializers.DateTimeField(help_text="When Rollcall knew that it is one.")
    good_since = serializers.DateTimeField(allow_null=True)
    resolved_at = serializers.DateTimeField(allow_null=True)
    acknowledged_at = serializers.DateTimeField(allow_null=True)
    acknowledged_by = serializers.CharField(allow_blank=True)
    comment = serializers.CharField(allow_blank=True)
    relapses = serializers.IntegerField(help_text="How often it came back before it was over.")
    expected = serializers.CharField(allow_blank=True, help_text="The maintenance that covers it.")
    folded_into = serializers.IntegerField(allow_null=True, help_text="What it follows from.")

    def to_representation(self, instance: Incident) -> dict[str, Any]:
        return queries.incident_row(instance)


class EntryRow(serializers.ModelSerializer[IncidentEntry]):
    """One line of the timeline."""

    class Meta:
        model = IncidentEntry
        fields = ("at", "what", "said", "by")


class IncidentInFull(IncidentRow):
    """The same with its timeline."""

    entries = EntryRow(many=True)

    def to_representation(self, instance: Incident) -> dict[str, Any]:
        told = EntryRow(instance.entries.all(), many=True).data
        return super().to_representation(instance) | {"entries": told}


class Acknowledgement(KnownFields, serializers.Serializer[Any]):
    """Somebody has it in hand."""

    comment = serializers.CharField(required=False, allow_blank=True, max_length=500, default="")


class IncidentViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Incident]
):
    """Incidents, those that are on first, then the latest."""

    required_roles = {"GET": Role.VIEWER, "POST": Role.OPERATOR}
    queryset = Incident.objects.none()
    filterset_class = queries.IncidentFilter
    pagination_class = Pages
    lookup_value_regex = r"\d+"

    def get_queryset(self) -> QuerySet[Incident]:
        return queries.incidents()

    def get_serializer_class(self) -> Any:
        return IncidentRow if self.action == "list" else IncidentInFull

    @extend_schema(request=Acknowledgement, responses={200: IncidentInFull, 409: OVER})
    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, pk: str) -> Response:
        """Say that somebody has it in hand: nobody is told again. Or add a comment, also later."""
        given = Acknowledgement(data=request.data)
        given.is_valid(raise_exception=True)
        found, by = self.get_object(), request.user.get_username()
        try:
            acknowledging.acknowledge(found.pk, by, given.validated_data["comment"], timezone.now())
        except acknowledging.IncidentIsOver as over:
            raise Conflict(str(over)) from over
        return Response(IncidentInFull(self.get_object()).data)


@described(queries.IncidentFilter)
class IncidentExport(ExportView):
    """The filtered incidents as a file, streamed."""

    kind = "incidents"


class DeliveryRow(serializers.ModelSerializer[Delivery]):
    """One message to one recipient."""

    class Meta:
        model = Delivery
        fields = (
            *("id", "what", "incident", "rule", "rule_name", "channel", "channel_name"),
            *("recipient", "state", "created_at", "attempts", "next_try_at", "last_answer"),
            "finished_at",
        )


class DeliveryViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Delivery]
):
    """The log of messages: waiting, sent, given up. Addresses of people are in it."""

    required_roles = {"GET": Role.CONFIGURER}
    queryset = Delivery.objects.none()
    serializer_class = DeliveryRow
    filterset_class = queries.DeliveryFilter
    pagination_class = Pages
    lookup_value_regex = r"\d+"

    def get_queryset(self) -> QuerySet[Delivery]:
        return queries.deliveries()
