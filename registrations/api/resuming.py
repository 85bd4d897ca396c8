"""The API of letting many lines look again at once."""

from typing import Any

from django.http import QueryDict
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.api_lists import NoParameters
from fleet.bodies import JSONParser, KnownFields
from fleet.roles import Role
from registrations import look_again, queries


class Chosen(KnownFields, serializers.Serializer[Any]):
    """Whom an order means: these, or all that a filter finds now."""

    registrations = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1), required=False
    )
    filter = serializers.CharField(required=False, help_text="Query string of registrations/.")
    dry_run = serializers.BooleanField(default=False, help_text="Only say what it would do.")

    @property
    def listed(self) -> list[str]:
        """Those that are named, once valid."""
        return [str(pk) for pk in self.validated_data.get("registrations", ())]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("registrations" in attrs) == ("filter" in attrs):
            raise ValidationError({"registrations": ["Give either registrations or filter."]})
        wrong = queries.RegistrationFilter(
            QueryDict(attrs.get("filter", "")), queries.plain(timezone.now())
        ).errors
        if wrong:
            raise ValidationError({"filter": [f"{name}: {e[0]}" for name, e in wrong.items()]})
        return attrs


class LeftOut(serializers.Serializer[Any]):
    """Why some are not asked."""

    reason = serializers.CharField()
    count = serializers.IntegerField()


class Resumed(serializers.Serializer[Any]):
    """What was asked, or would be."""

    dry_run = serializers.BooleanField()
    asked = serializers.IntegerField()
    left_out = LeftOut(many=True)


class ResumeView(NoParameters):
    """Forgetting back-off and refusals of many lines without a server, and trying again now."""

    required_roles = {"POST": Role.OPERATOR}
    narrowed = ("POST",)
    parser_classes = (JSONParser,)

    @extend_schema(operation_id="registrations_resume_many", request=Chosen, responses=Resumed)
    def post(self, request: Request) -> Response:
        """Ask them, at their servers' pace; who is left out, and why, is in the answer."""
        given = Chosen(data=request.data)
        given.is_valid(raise_exception=True)
        order = given.validated_data
        rows = look_again.chosen(given.listed, order.get("filter"), timezone.now())
        seen = look_again.preview(rows)
        asked = seen.asked if order["dry_run"] else look_again.resume(rows, request.user)
        out = [{"reason": reason, "count": count} for reason, count in seen.left_out]
        return Response({"dry_run": order["dry_run"], "asked": asked, "left_out": out})
