"""The API of changing many handsets in the same way: told first, then all of it or nothing."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from fleet import bulk
from fleet.api import Conflict, Words
from fleet.api_lists import NoParameters
from fleet.bodies import JSONParser
from fleet.formats import values
from fleet.models import Line, ServerGroup, Site
from fleet.roles import Role
from registrations import look_again
from registrations.api.resuming import Chosen


class ChangeOrder(Chosen):
    """Whose, and what is to be so afterwards; what is left out stays."""

    group = serializers.PrimaryKeyRelatedField(queryset=ServerGroup.objects.all(), required=False)
    site = serializers.PrimaryKeyRelatedField(queryset=Site.objects.all(), required=False)
    supervision = serializers.ChoiceField(choices=Line.Supervision.choices, required=False)
    add_tags = Words(required=False)
    remove_tags = Words(required=False)
    mark = serializers.CharField(
        required=False, help_text="Of a dry run: done only if nothing changed since."
    )
    starting = serializers.IntegerField(
        required=False, help_text="So many lines will register: needed where it is more than ten."
    )

    @property
    def change(self) -> bulk.Change:
        """What is wanted, once valid. Raises ValidationError where that is nothing."""
        given = self.validated_data
        try:
            tags = {n: tuple(values.words(given.get(n, ()))) for n in ("add_tags", "remove_tags")}
        except ValueError as wrong:
            raise ValidationError({"add_tags": [str(wrong)]}) from wrong
        fields = {n: given[n] for n in ("group", "site", "supervision") if n in given}
        change = bulk.Change(**fields, **tags)
        if not change:
            raise ValidationError({"group": ["Say what is to change."]})
        return change


class Changing(serializers.Serializer[Any]):
    """What is changed of one thing: it was so, of so many."""

    what = serializers.CharField()
    was = serializers.CharField(allow_blank=True)
    count = serializers.IntegerField()


class Changed(serializers.Serializer[Any]):
    """What was done, or would be."""

    dry_run = serializers.BooleanField()
    lines = serializers.IntegerField(help_text="That are meant and exist.")
    handsets = serializers.IntegerField(help_text="Of which anything changes.")
    beside = serializers.IntegerField(help_text="Other lines of these handsets, that go along.")
    starting = serializers.IntegerField(help_text="Lines that register and did not before.")
    changes = Changing(many=True)
    mark = serializers.CharField()


class ChangeView(NoParameters):
    """Changing group, site, supervision or tags of many handsets; one entry in the audit log."""

    required_roles = {"POST": Role.CONFIGURER}
    parser_classes = (JSONParser,)

    @extend_schema(
        operation_id="registrations_change_many",
        request=ChangeOrder,
        responses={200: Changed, 409: OpenApiResponse(description="Not what was told before.")},
    )
    def post(self, request: Request) -> Response:
        """Change them, all or nothing; with `dry_run` say what would be changed."""
        order = ChangeOrder(data=request.data)
        order.is_valid(raise_exception=True)
        given, change = order.validated_data, order.change
        rows = look_again.chosen(order.listed, given.get("filter"), timezone.now())
        ids = list(rows.order_by().values_list("line_id", flat=True))
        if len(ids) > bulk.MOST:
            raise ValidationError(
                {"filter": [f"At most {bulk.MOST} lines can be changed at once."]}
            )
        seen = bulk.preview(ids, change)
        if not given["dry_run"]:
            if seen.must_be_typed and given.get("starting") != seen.starting:
                raise Conflict(f"{seen.starting} lines would begin to register: say starting.")
            try:
                seen = bulk.apply(ids, change, given.get("mark", seen.mark))
            except bulk.Stale as stale:
                raise Conflict(str(stale)) from stale
        return Response(_told(seen, dry_run=given["dry_run"]))


def _told(seen: bulk.Preview, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "lines": seen.lines,
        "handsets": seen.concerned,
        "beside": seen.beside,
        "starting": seen.starting,
        "changes": [{"what": w, "was": was, "count": n} for w, was, n in seen.all_rows],
        "mark": seen.mark,
    }
