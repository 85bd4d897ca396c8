"""The API of imports as jobs: looked through first, imported when somebody says so."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from fleet import import_orders
from fleet.api import Conflict
from fleet.api_imports import FaultRow, ImportFiles, ImportText, Tally, files_of
from fleet.api_lists import NoFilters, Pages
from fleet.bodies import JSONParser, KnownFields
from fleet.models import ImportJob
from fleet.roles import Role

STATES = ("waiting", "running", "ready", "refused", "done", "failed")


class Counts(serializers.Serializer[Any]):
    """By kind."""

    sites = Tally()
    groups = Tally()
    handsets = Tally()
    lines = Tally()


class ImportState(serializers.Serializer[ImportJob]):
    """An import, how far it is, and what it found or did.

    `ready`: looked through, and nothing is changed before `go/`. `refused`: nothing in it can be
    imported. It is forgotten with its files after a day.
    """

    id = serializers.IntegerField()
    state = serializers.ChoiceField(choices=STATES)
    step = serializers.ChoiceField(choices=ImportJob.Step.choices)
    done = serializers.IntegerField(help_text="Files and handsets that are read, of `total`.")
    total = serializers.IntegerField()
    files = serializers.ListField(child=serializers.CharField())
    site = serializers.CharField(allow_blank=True)
    partial = serializers.BooleanField()
    asked_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    failure = serializers.CharField(allow_blank=True)
    counts = Counts(allow_null=True, help_text="Null before it was looked through.")
    starting = serializers.IntegerField(help_text="Lines that register and did not before.")
    fault_count = serializers.IntegerField()
    faults = FaultRow(many=True)
    note_count = serializers.IntegerField()
    notes = FaultRow(many=True, help_text="What is worth knowing though nothing is wrong.")

    def to_representation(self, instance: ImportJob) -> dict[str, Any]:
        found = instance.found
        return {
            "id": instance.pk,
            "state": import_orders.state(instance),
            "step": instance.step,
            "done": instance.done,
            "total": instance.total,
            "files": [file["name"] for file in instance.files],
            "site": instance.site,
            "partial": instance.partial,
            "asked_by": instance.asked_by,
            "created_at": instance.created_at,
            "finished_at": instance.finished_at,
            "failure": instance.failure,
            "counts": found.get("counts"),
            "starting": found.get("starting", 0),
            "fault_count": found.get("fault_count", 0),
            "faults": found.get("faults", []),
            "note_count": found.get("note_count", 0),
            "notes": found.get("notes", []),
        }


class GoOrder(KnownFields, serializers.Serializer[Any]):
    """How it is to be imported."""

    partial = serializers.BooleanField(
        default=False, help_text="Import what is right and leave out the rows that have faults."
    )


class ImportJobViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    viewsets.GenericViewSet[ImportJob],
):
    """Imports that are looked through before anything changes; long ones in the background."""

    required_roles = {method: Role.CONFIGURER for method in ("GET", "POST", "DELETE")}
    queryset = ImportJob.objects.all()
    serializer_class = ImportState
    pagination_class = Pages
    parser_classes = (JSONParser, MultiPartParser)
    filter_backends = (NoFilters,)
    lookup_value_regex = r"\d+"

    def get_queryset(self) -> QuerySet[ImportJob]:
        return ImportJob.objects.all()

    @extend_schema(
        request={"application/json": ImportText, "multipart/form-data": ImportFiles},
        responses={202: ImportState},
    )
    def create(self, request: Request) -> Response:
        """Keep the files and look through them; `dry_run` has no meaning here."""
        files, terms = files_of(request)
        by, site = request.user.get_username(), terms["site"] or ""
        job = import_orders.order(files, by=by, site=site, partial=terms["partial"])
        return _begun(job, status.HTTP_202_ACCEPTED)

    @extend_schema(
        request=GoOrder,
        responses={200: ImportState, 409: OpenApiResponse(description="It is not `ready`.")},
    )
    @action(detail=True, methods=["post"])
    def go(self, request: Request, pk: str) -> Response:
        """Import what was looked through."""
        job = self.get_object()
        given = GoOrder(data=request.data)
        given.is_valid(raise_exception=True)
        by, partial = request.user.get_username(), given.validated_data["partial"]
        if not import_orders.say_go(job, by=by, partial=partial):
            raise Conflict("It is not ready to be imported.")
        return _begun(job, status.HTTP_200_OK)


def _begun(job: ImportJob, code: int) -> Response:
    """Do the next step of what is small at once, and say how the job stands."""
    if import_orders.is_small(job):
        import_orders.make(job.pk)
    return Response(ImportState(ImportJob.objects.get(pk=job.pk)).data, status=code)
