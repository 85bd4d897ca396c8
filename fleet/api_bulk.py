"""The API of many handsets at once: made, or changed where their MAC is known."""

from dataclasses import replace
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet import api_imports, services
from fleet.bodies import JSONParser, KnownFields
from fleet.formats import fleet_file, tree
from fleet.formats.faults import Fault, Place
from fleet.formats.handset_csv import HELP
from fleet.formats.rows import Read
from fleet.roles import Role

WHERE = "handsets"
"""What faults say instead of a file's name."""
MOST = 10_000


class BulkRow(serializers.Serializer[Any]):
    """One line of one handset: the columns of the handset table. What is left out stays."""

    def get_fields(self) -> dict[str, Any]:
        # `tags` is a list, a line a number; all else is text.
        fields: dict[str, Any] = {
            name: serializers.CharField(required=name == "mac", help_text=HELP.get(name, ""))
            for name in fleet_file.HANDSET
        }
        tags = serializers.ListField(child=serializers.CharField(), required=False)
        number = serializers.IntegerField(required=False, help_text="1 where it is left out.")
        return fields | {"line": number, "tags": tags}


class BulkOrder(KnownFields, serializers.Serializer[Any]):
    """Rows, and how they are to be taken."""

    handsets = serializers.ListField(child=serializers.JSONField(), min_length=1, max_length=MOST)
    dry_run = serializers.BooleanField(default=False, help_text="Say what would change.")
    partial = serializers.BooleanField(
        default=False, help_text="Take what is right and leave out the rows that have faults."
    )


class BulkBody(BulkOrder):
    """As the schema tells it: what is wrong in a row is said with all other faults."""

    handsets = BulkRow(many=True)  # type: ignore[assignment]


class BulkView(APIView):
    """Making and changing up to 10,000 lines of handsets at once: all of them, or nothing."""

    required_roles = {"POST": Role.CONFIGURER}
    parser_classes = (JSONParser,)

    @extend_schema(
        request=BulkBody,
        responses={200: api_imports.ImportReport, 400: api_imports.ImportFaults},
    )
    def post(self, request: Request) -> Response:
        """Create or update by MAC and line; every fault is told by row (from 1) and field."""
        given = BulkOrder(data=request.data)
        given.is_valid(raise_exception=True)
        terms = given.validated_data
        records = [_record(number, row) for number, row in enumerate(terms["handsets"], 1)]
        rows, found = fleet_file.read_records(Place(WHERE), {"handsets": records})
        faults = [_of_row(fault) for fault in found]
        return api_imports.answered(
            lambda: services.apply_import(
                Read(rows, faults),
                by=request.user.get_username(),
                dry_run=terms["dry_run"],
                partial=terms["partial"],
            )
        )


def _of_row(fault: Fault) -> Fault:
    """The row says already which of them is meant."""
    return replace(fault, field=fault.field.removeprefix(f"handsets[{fault.row}]."))


def _record(number: int, row: Any) -> tree.Mapping:
    """As a fleet file has it; what is no table of values has none."""
    if not isinstance(row, dict):
        return tree.Mapping(number)
    return tree.Mapping(number, {name: _node(number, value) for name, value in row.items()})


def _node(number: int, value: Any) -> tree.Node:
    if isinstance(value, dict):
        return tree.Mapping(number)
    if isinstance(value, list):
        return tree.Sequence(number, [_node(number, each) for each in value])
    return tree.Scalar(number, "" if value is None else str(value), is_null=value is None)
