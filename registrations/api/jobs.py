"""The API of jobs: bringing handsets home, how that goes, and what stops it."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.api import Conflict
from fleet.api_lists import NoFilters, Pages
from fleet.bodies import JSONParser, KnownFields, refuse_strange, takes_no_fields
from fleet.roles import Role
from registrations import jobs
from registrations.models import Job, JobResult
from registrations.shown import previews

OPERATOR_ORDERS = {"GET": Role.VIEWER, "POST": Role.OPERATOR}
REFUSED = OpenApiResponse(description="It cannot be done now; the detail says why.")


class FailbackScope(KnownFields, serializers.Serializer[Any]):
    """Who is asked home: exactly one of these."""

    registrations = serializers.ListField(child=serializers.IntegerField(), required=False)
    filter = serializers.CharField(required=False, help_text="Query string of registrations/.")
    group = serializers.IntegerField(required=False)
    site = serializers.IntegerField(required=False)
    all = serializers.BooleanField(required=False)


class FailbackOrder(FailbackScope):
    """A scope, and how careful the job is."""

    abort_above_percent = serializers.IntegerField(
        default=5, help_text="Stop when more than this share of a wave failed; 100: never."
    )
    wave_size = serializers.IntegerField(
        required=False, help_text="Handsets of one group in a wave; by default what its cap takes."
    )
    despite_hold = serializers.BooleanField(
        default=False, help_text="Also in no-failback hours, during a drain, after a rollback."
    )


class HandsetResult(serializers.Serializer[Any]):
    """What became of one registration."""

    registration = serializers.IntegerField(allow_null=True)
    mac = serializers.CharField()
    extension = serializers.CharField()
    wave = serializers.IntegerField(allow_null=True, help_text="When its turn is; 0: the canary.")
    result = serializers.ChoiceField(choices=JobResult.Result.choices)
    reason = serializers.CharField(allow_blank=True)
    seconds = serializers.FloatField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class FailbackJob(serializers.Serializer[Any]):
    """A job as the list shows it."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=Job.Kind.choices)
    state = serializers.ChoiceField(choices=jobs.STATES)
    scope = serializers.DictField()
    asked_by = serializers.CharField()
    request_id = serializers.CharField(help_text="Under which the logs tell what it did")
    automatic = serializers.BooleanField(help_text="Rollcall's own, for a fast_failover group.")
    abort_above_percent = serializers.IntegerField()
    wave_size = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    paused_at = serializers.DateTimeField(allow_null=True)
    paused_by = serializers.CharField(allow_blank=True)
    cancelled_at = serializers.DateTimeField(allow_null=True)
    cancelled_by = serializers.CharField(allow_blank=True)
    aborted_at = serializers.DateTimeField(allow_null=True)
    abort_reason = serializers.CharField(allow_blank=True)
    rolls_back = serializers.IntegerField(allow_null=True, help_text="The job it undoes.")
    rolled_back_by = serializers.IntegerField(allow_null=True, help_text="The job that undoes it.")
    hold_until = serializers.DateTimeField(
        allow_null=True, help_text="Until then whom it moved does not fail back by itself."
    )
    wave = serializers.IntegerField(allow_null=True, help_text="The last begun; 0: the canary.")
    waves = serializers.IntegerField(allow_null=True, help_text="The last there is.")
    total = serializers.IntegerField()
    done = serializers.IntegerField(help_text="All who no longer wait, however it ended.")
    failed = serializers.IntegerField(help_text="Those who were refused or not taken.")
    moved = serializers.IntegerField()
    left_out = serializers.IntegerField(help_text="Those who were not asked, each with a reason.")

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return jobs.overview(instance)


class WaitingSite(serializers.Serializer[Any]):
    """A site whose handsets a wave waits for because no worker takes them."""

    site = serializers.IntegerField()
    site_name = serializers.CharField()
    handsets = serializers.IntegerField()
    since = serializers.DateTimeField()
    sentence = serializers.CharField()


class FailbackProgress(FailbackJob):
    """A job with every handset's result."""

    waits = WaitingSite(many=True)
    results = HandsetResult(many=True)


class LanePreview(serializers.Serializer[previews.Lane]):
    """Those of one group who stand at the same place."""

    group = serializers.CharField()
    where = serializers.CharField(help_text="State and server, in words.")
    goal = serializers.CharField(help_text="The server they are to go to.")
    count = serializers.IntegerField()


class ObservedPreview(serializers.Serializer[previews.Observed]):
    """Those of one group who cannot be moved from here: the handset decides."""

    group = serializers.CharField()
    count = serializers.IntegerField()
    rule = serializers.CharField()
    latest = serializers.DateTimeField(allow_null=True)


class FailbackPreview(serializers.Serializer[previews.Preview]):
    """What an order would do if it were given now."""

    total = serializers.IntegerField()
    asked = serializers.IntegerField()
    already = serializers.IntegerField(help_text="Who is on primary already.")
    left_out = serializers.IntegerField()
    lanes = LanePreview(many=True)
    reasons = serializers.SerializerMethodField(help_text="Who is left out, by why.")
    observed = ObservedPreview(many=True)
    warnings = serializers.ListField(child=serializers.CharField())
    held = serializers.ListField(
        child=serializers.CharField(), help_text="What it goes against: needs despite_hold."
    )
    canaries = serializers.IntegerField()
    waves = serializers.IntegerField()
    seconds = serializers.FloatField(help_text="About how long it takes at the servers' cap.")

    def get_reasons(self, shown: previews.Preview) -> dict[str, int]:
        return dict(shown.reasons)


def _order_of(data: Any) -> tuple[dict[str, Any], jobs.Terms, bool]:
    """Return scope, terms and `despite_hold` of an order. Raises ValidationError."""
    if not isinstance(data, dict):
        raise ValidationError({"scope": ["Give a JSON object."]})
    refuse_strange(data, FailbackOrder().fields)
    scope = dict(data)
    terms = {name: scope.pop(name) for name in jobs.TERMS if name in scope}
    return scope, jobs.Terms(**terms), scope.pop("despite_hold", False) is True


NOTHING_LEFT = {
    200: FailbackProgress,
    409: OpenApiResponse(description="It cannot be done any more; the detail says why."),
}


class FailbackViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Any]):
    """Bringing handsets home, and the other jobs that move them."""

    required_roles = OPERATOR_ORDERS
    narrowed = ("GET", "POST")
    queryset = jobs.listing()
    serializer_class = FailbackJob
    pagination_class = Pages
    filter_backends = (NoFilters,)
    parser_classes = (JSONParser,)
    lookup_value_regex = r"\d+"

    def get_queryset(self) -> QuerySet[Any]:
        return jobs.listing()

    @extend_schema(responses=FailbackProgress)
    def retrieve(self, request: Request, pk: str) -> Response:
        """Say what became of every handset of one job so far."""
        return Response(jobs.progress(self.get_object()))

    @extend_schema(request=FailbackOrder, responses=FailbackPreview)
    @action(detail=False, methods=["post"])
    def preview(self, request: Request) -> Response:
        """Say what such an order would do now; nothing is ordered."""
        scope, terms, _ = _order_of(request.data)
        try:
            terms.check()
            shown = previews.preview(scope, terms, timezone.now())
        except (jobs.ScopeError, jobs.OrderRefused) as wrong:
            raise ValidationError({wrong.field: [wrong.sentence]}) from wrong
        return Response(FailbackPreview(shown).data)

    @extend_schema(request=FailbackOrder, responses={201: FailbackProgress, 409: REFUSED})
    def create(self, request: Request) -> Response:
        """Ask handsets home. Who is left out, and why, is in the answer's results."""
        scope, terms, despite_hold = _order_of(request.data)
        try:
            job = jobs.order(scope, request.user, terms, despite_hold=despite_hold)
        except jobs.OrderHeld as held:
            raise Conflict(f"{held} Say despite_hold to bring them home all the same.") from held
        except (jobs.ScopeError, jobs.OrderRefused) as wrong:
            raise ValidationError({wrong.field: [wrong.sentence]}) from wrong
        return Response(jobs.progress(job), status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses=NOTHING_LEFT)
    @action(detail=True, methods=["post"])
    @takes_no_fields
    def pause(self, request: Request, pk: str) -> Response:
        """Begin no further wave until it is resumed; who is asked already goes on."""
        return self._done(lambda job: jobs.pause(job, request.user))

    @extend_schema(request=None, responses=NOTHING_LEFT)
    @action(detail=True, methods=["post"])
    @takes_no_fields
    def resume(self, request: Request, pk: str) -> Response:
        """Go on with a paused job."""
        return self._done(jobs.resume)

    @extend_schema(request=None, responses=NOTHING_LEFT)
    @action(detail=True, methods=["post"])
    @takes_no_fields
    def cancel(self, request: Request, pk: str) -> Response:
        """Take back what no agent has taken up yet."""
        return self._done(lambda job: jobs.cancel(job, request.user))

    @extend_schema(request=None, responses={201: FailbackProgress, 409: REFUSED})
    @action(detail=True, methods=["post"])
    @takes_no_fields
    def rollback(self, request: Request, pk: str) -> Response:
        """Register whom it moved at another server again; the answer is the job that does it."""
        return self._done(lambda job: jobs.roll_back(job, request.user), status.HTTP_201_CREATED)

    def _done(self, what: Callable[[Job], Job], code: int = status.HTTP_200_OK) -> Response:
        try:
            job = what(self.get_object())
        except jobs.JobIsOver as over:
            raise Conflict(str(over)) from over
        return Response(jobs.progress(job), status=code)
