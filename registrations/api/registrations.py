"""The API of what happens: registrations, summary, history and failbacks.

What a row holds is decided in `registrations.queries`; the serializers here describe it for the
OpenAPI schema and never add to it.
"""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.api import Conflict
from fleet.api_lists import NoParameters, refuse_others
from fleet.bodies import takes_no_fields
from fleet.models import Line
from fleet.roles import Role
from registrations import queries, wishes
from registrations.api.listing import (
    VIEW,
    RegistrationFilters,
    RegistrationOrder,
    RegistrationPages,
)
from registrations.api.why import Override, ServerRef, Why
from registrations.models import Registration, State
from registrations.shown import why as explained

VIEWER_READS = {"GET": Role.VIEWER}


class RegistrationRow(serializers.Serializer[Registration]):
    """One registration: one per line."""

    id = serializers.IntegerField()
    handset = serializers.IntegerField()
    line = serializers.IntegerField()
    mac = serializers.CharField()
    extension = serializers.CharField()
    name = serializers.CharField(help_text="The handset's name.")
    group = serializers.IntegerField()
    group_name = serializers.CharField()
    site = serializers.IntegerField()
    site_name = serializers.CharField()
    state = serializers.ChoiceField(choices=State.choices)
    state_word = serializers.CharField(help_text="The state in words, times in the site's zone.")
    role = serializers.ChoiceField(choices=["primary", "secondary", "fallback"], allow_null=True)
    server = ServerRef(allow_null=True)
    server_name = serializers.CharField()
    assumed_on = ServerRef(
        allow_null=True,
        help_text="Where its calls go without a registration there: the servers share theirs, the "
        "one that holds it is silent, and no answer has confirmed the other yet.",
    )
    assumed_word = serializers.CharField(allow_blank=True)
    silent = serializers.BooleanField(help_text="The server that holds it no longer answers.")
    server_silent_since = serializers.DateTimeField(allow_null=True)
    since = serializers.DateTimeField()
    stuck_since = serializers.DateTimeField(
        allow_null=True, help_text="Since when its agent comes to no end and is begun anew."
    )
    expires_at = serializers.DateTimeField(allow_null=True)
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    supervision = serializers.ChoiceField(choices=Line.Supervision.choices)
    model = serializers.CharField(allow_blank=True)
    tags = serializers.ListField(child=serializers.CharField())
    aor = serializers.CharField(help_text="The address of record, without `sip:`.")
    reason = serializers.CharField()
    last_answer = serializers.CharField()
    heard_at = serializers.DateTimeField(allow_null=True)

    def to_representation(self, instance: Registration) -> dict[str, Any]:
        return queries.row(instance)


REFUSED = OpenApiResponse(description="It cannot be done now; the detail says why.")


class CountsByState(serializers.Serializer[Any]):
    """The fleet in numbers; keys of `states` are the states, a silent server's apart."""

    as_of = serializers.DateTimeField()
    headline = serializers.CharField()
    total = serializers.IntegerField()
    states = serializers.DictField(child=serializers.IntegerField())
    since = serializers.DictField(
        child=serializers.DateTimeField(),
        help_text="By state: when the one who has been there longest arrived; of a silent "
        "server's, when its silence began. States nobody is in are left out.",
    )
    stuck = serializers.IntegerField(help_text="Agents that come to no end and are begun anew.")
    stuck_since = serializers.DateTimeField(allow_null=True)
    suspected_sites = serializers.ListField(
        child=serializers.DictField(), help_text="Sites whose own network is suspected."
    )
    suspected_words = serializers.ListField(
        child=serializers.CharField(),
        help_text="The same as shown: one sentence for all sites that fell silent at once.",
    )
    incidents_open = serializers.IntegerField(help_text="That follow from nothing else.")
    incidents_new = serializers.IntegerField(help_text="Those nobody has acknowledged.")
    incidents = serializers.ListField(
        child=serializers.DictField(), help_text="The gravest of them; `incidents/` has all."
    )
    groups = serializers.ListField(child=serializers.DictField())


@extend_schema_view(list=extend_schema(parameters=[VIEW]))
class RegistrationViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Registration]
):
    """Where every line is registered, why, since when, and what happens next."""

    queryset = Registration.objects.none()
    serializer_class = RegistrationRow
    filterset_class = queries.RegistrationFilter
    filter_backends = (RegistrationFilters, RegistrationOrder)
    pagination_class = RegistrationPages
    lookup_value_regex = r"\d+"
    narrowed = ("GET", "POST")

    @property
    def required_roles(self) -> dict[str, Role]:
        least = Role.CONFIGURER if self.action == "override" else Role.OPERATOR
        return {"GET": Role.VIEWER, "POST": least}

    def get_queryset(self) -> QuerySet[Registration]:
        now = timezone.now()
        return queries.plain(now) if self.action == "list" else queries.registrations(now)

    @extend_schema(responses=Why)
    @action(detail=True)
    def why(self, request: Request, pk: str) -> Response:
        """Say why it is where it is: the rule, what it waits for, the next try, every answer."""
        refuse_others(request.query_params, ())
        rows = queries.with_memory(queries.registrations(timezone.now()))
        row = get_object_or_404(rows, pk=pk)
        return Response(explained.why(row, {s.pk: s for s in row.group.servers.all()}))

    @extend_schema(request=None, responses={200: RegistrationRow, 409: REFUSED})
    @action(detail=True, methods=["post"])
    @takes_no_fields
    def resume(self, request: Request, pk: str) -> Response:
        """Forget back-off and refusals of a line without a server, and try again now."""
        return self._wished(lambda: wishes.resume(int(pk), request.user))

    @extend_schema(request=Override, responses={200: RegistrationRow, 409: REFUSED})
    @action(detail=True, methods=["post"])
    def override(self, request: Request, pk: str) -> Response:
        """Bind a line that is held back because somebody else is bound; it is audited."""
        given = Override(data=request.data)
        given.is_valid(raise_exception=True)
        named = given.validated_data["extension"]
        return self._wished(lambda: wishes.override(int(pk), named, request.user))

    def _wished(self, wish: Callable[[], None]) -> Response:
        row = self.get_object()
        try:
            wish()
        except wishes.WrongName as wrong:
            raise ValidationError({"extension": [str(wrong)]}) from wrong
        except wishes.WishRefused as refused:
            raise Conflict(str(refused)) from refused
        return Response(RegistrationRow(self.get_queryset().get(pk=row.pk)).data)


class SummaryView(NoParameters):
    """Counts by state, by group and by server."""

    required_roles = VIEWER_READS
    narrowed = ("GET",)

    @extend_schema(responses=CountsByState)
    def get(self, request: Request) -> Response:
        return Response(queries.summary(timezone.now()))
