"""The API of what happens: registrations, summary, history and failbacks.

What a row holds is decided in `registrations.queries`; the serializers here describe it for the
OpenAPI schema and never add to it.
"""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.api import Conflict, Pages
from fleet.models import Line
from fleet.roles import Role
from registrations import jobs, queries, wishes
from registrations import why as explained
from registrations.api_list import RegistrationOrder, RegistrationPages
from registrations.api_why import Override, ServerRef, Why
from registrations.models import JobResult, Registration, State

VIEWER_READS = {"GET": Role.VIEWER}
OPERATOR_ORDERS = {"GET": Role.VIEWER, "POST": Role.OPERATOR}


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
    suspected_sites = serializers.ListField(
        child=serializers.DictField(), help_text="Sites whose own network is suspected."
    )
    groups = serializers.ListField(child=serializers.DictField())


class FailbackScope(serializers.Serializer[Any]):
    """Who is asked home: exactly one of these."""

    registrations = serializers.ListField(child=serializers.IntegerField(), required=False)
    group = serializers.IntegerField(required=False)
    site = serializers.IntegerField(required=False)
    all = serializers.BooleanField(required=False)


class HandsetResult(serializers.Serializer[Any]):
    """What became of one registration."""

    registration = serializers.IntegerField(allow_null=True)
    mac = serializers.CharField()
    extension = serializers.CharField()
    result = serializers.ChoiceField(choices=JobResult.Result.choices)
    reason = serializers.CharField(allow_blank=True)
    seconds = serializers.FloatField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class FailbackJob(serializers.Serializer[Any]):
    """A failback as the list shows it."""

    id = serializers.IntegerField()
    state = serializers.ChoiceField(choices=["running", "done", "cancelled"])
    scope = FailbackScope()
    asked_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    cancelled_at = serializers.DateTimeField(allow_null=True)
    cancelled_by = serializers.CharField(allow_blank=True)
    total = serializers.IntegerField()
    done = serializers.IntegerField(help_text="All who no longer wait, however it ended.")
    failed = serializers.IntegerField(help_text="Those the primary refused or did not take.")
    moved = serializers.IntegerField()

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return jobs.overview(instance)


class FailbackProgress(FailbackJob):
    """A failback with every handset's result."""

    results = HandsetResult(many=True)


class RegistrationViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Registration]
):
    """Where every line is registered, why, since when, and what happens next."""

    queryset = Registration.objects.none()
    serializer_class = RegistrationRow
    filterset_class = queries.RegistrationFilter
    filter_backends = (DjangoFilterBackend, RegistrationOrder)
    pagination_class = RegistrationPages
    lookup_value_regex = r"\d+"

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
        rows = queries.with_memory(queries.registrations(timezone.now()))
        row = get_object_or_404(rows, pk=pk)
        return Response(explained.why(row, {s.pk: s for s in row.group.servers.all()}))

    @extend_schema(request=None, responses={200: RegistrationRow, 409: REFUSED})
    @action(detail=True, methods=["post"])
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


class SummaryView(APIView):
    """Counts by state, by group and by server."""

    required_roles = VIEWER_READS

    @extend_schema(responses=CountsByState)
    def get(self, request: Request) -> Response:
        return Response(queries.summary(timezone.now()))


class FailbackViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Any]):
    """Bringing handsets home."""

    required_roles = OPERATOR_ORDERS
    queryset = jobs.listing()
    serializer_class = FailbackJob
    pagination_class = Pages
    filter_backends = ()
    parser_classes = (JSONParser,)
    lookup_value_regex = r"\d+"

    def get_queryset(self) -> QuerySet[Any]:
        return jobs.listing()

    @extend_schema(responses=FailbackProgress)
    def retrieve(self, request: Request, pk: str) -> Response:
        """Say what became of every handset of one failback so far."""
        return Response(jobs.progress(self.get_object()))

    @extend_schema(request=FailbackScope, responses={201: FailbackProgress})
    def create(self, request: Request) -> Response:
        """Ask handsets home. Who is left out, and why, is in the answer's results."""
        if not isinstance(request.data, dict):
            raise ValidationError({"scope": ["Give a JSON object."]})
        try:
            job = jobs.order(request.data, request.user)
        except jobs.ScopeError as wrong:
            raise ValidationError({wrong.field: [wrong.sentence]}) from wrong
        return Response(jobs.progress(job), status=status.HTTP_201_CREATED)

    @extend_schema(
        request=None,
        responses={
            200: FailbackProgress,
            409: OpenApiResponse(description="Nobody in it is waiting any more."),
        },
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Take back what no agent has taken up yet."""
        try:
            job = jobs.cancel(self.get_object(), request.user)
        except jobs.JobIsOver as over:
            raise Conflict(str(over)) from over
        return Response(jobs.progress(job))
