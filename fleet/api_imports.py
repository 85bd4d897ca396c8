"""The API of imports: files at once or as a job, in one piece or what is right of them."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import APIException
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet import services
from fleet.bodies import JSONParser, KnownFields, refuse_strange
from fleet.formats import values
from fleet.formats.decoding import MAX_BYTES, MAX_TOGETHER
from fleet.roles import Role


class ImportTerms(KnownFields, serializers.Serializer[Any]):
    """How files are to be imported."""

    dry_run = serializers.BooleanField(default=False, help_text="Say what would change.")
    partial = serializers.BooleanField(
        default=False, help_text="Import what is right and leave out the rows that have faults."
    )
    site = serializers.CharField(
        default="",
        allow_blank=True,
        max_length=60,
        help_text="Where handsets stand whose configuration files are imported.",
    )


class ImportText(ImportTerms):
    """One file in a JSON body; its name's ending says what it is (.yaml, .csv, .cfg)."""

    name = serializers.CharField(max_length=200)
    text = serializers.CharField(trim_whitespace=False)


class ImportFiles(ImportTerms):
    """Files as a browser's form sends them; `file` may stand there several times."""

    file = serializers.ListField(child=serializers.FileField())


class Tally(serializers.Serializer[Any]):
    """How many of one kind."""

    created = serializers.IntegerField()
    changed = serializers.IntegerField()
    unchanged = serializers.IntegerField()


class FaultRow(serializers.Serializer[Any]):
    """One thing that keeps a file from being imported, or that is worth knowing."""

    file = serializers.CharField()
    row = serializers.IntegerField(allow_null=True)
    field = serializers.CharField(allow_blank=True)
    message = serializers.CharField()


class ImportReport(serializers.Serializer[Any]):
    """What an import did, or would do."""

    dry_run = serializers.BooleanField()
    sites = Tally()
    groups = Tally()
    handsets = Tally()
    lines = Tally()
    starting = serializers.IntegerField(help_text="Lines that register and did not before.")
    notes = FaultRow(many=True, help_text="What is worth knowing though nothing is wrong.")
    left_out = FaultRow(many=True, help_text="With `partial`: why rows were left out.")


class ImportFaults(serializers.Serializer[Any]):
    """Every fault of every file."""

    detail = serializers.CharField()
    faults = FaultRow(many=True)


class ImportView(APIView):
    """Making the fleet what files say: all of it, or nothing, or what is right of it."""

    required_roles = {"POST": Role.CONFIGURER}
    parser_classes = (JSONParser, MultiPartParser)

    @extend_schema(
        request={"application/json": ImportText, "multipart/form-data": ImportFiles},
        responses={200: ImportReport, 400: ImportFaults},
    )
    def post(self, request: Request) -> Response:
        files, terms = files_of(request)
        by = request.user.get_username()
        return answered(lambda: services.import_files(files, by=by, **terms))


def answered(work: Callable[[], services.Imported]) -> Response:
    """Import, and say what became of it, or every fault that kept it from being done."""
    try:
        report = work()
    except services.ImportRefused as refused:
        count = "1 fault" if len(refused.faults) == 1 else f"{len(refused.faults)} faults"
        told = {
            "detail": f"Nothing was imported: {count}.",
            "faults": [asdict(fault) for fault in refused.faults],
        }
        return Response(told, status.HTTP_400_BAD_REQUEST)
    return Response(
        {
            "dry_run": report.dry_run,
            **report.as_dict(),
            "starting": len(report.starting),
            "notes": [asdict(note) for note in report.notes],
            "left_out": [asdict(fault) for fault in report.left_out],
        }
    )


class TooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = f"At most {MAX_TOGETHER // 1024 // 1024} MiB can be imported at once."
    default_code = "too_large"


def files_of(request: Request) -> tuple[list[tuple[str, bytes]], dict[str, Any]]:
    """Return the files (name, content), and how they are to be imported.

    Raises TooLarge, ValidationError.
    """
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_TOGETHER:
        raise TooLarge
    uploads = [file for name in request.FILES for file in request.FILES.getlist(name)]
    if uploads:
        refuse_strange(request.data, {*request.FILES, *ImportTerms().fields})
        # One byte more than is read: the reader refuses it with a sentence.
        files = [(str(file.name), file.read(MAX_BYTES + 1)) for file in uploads]
        return files, {
            "dry_run": _switch(request, "dry_run"),
            "partial": _switch(request, "partial"),
            "site": _term(request, "site", str.strip) or None,
        }
    given = ImportText(data=request.data)
    given.is_valid(raise_exception=True)
    text = given.validated_data
    terms = {"dry_run": text["dry_run"], "partial": text["partial"], "site": text["site"] or None}
    return [(text["name"], text["text"].encode())], terms


def _switch(request: Request, name: str) -> bool:
    return bool(_term(request, name, values.switch) if name in request.data else False)


def _term(request: Request, name: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(str(request.data.get(name, "")))
    except ValueError as wrong:
        raise serializers.ValidationError({name: [str(wrong)]}) from wrong
