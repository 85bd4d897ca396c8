"""The API of what a change of a group's policy, servers' order or DNS records would do."""

from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleet import dns_records, inventory
from fleet.api import GroupSerializer
from fleet.api_lists import NoParameters
from fleet.bodies import JSONParser
from fleet.models import ServerGroup
from fleet.roles import Role
from registrations.api.census import OutageForecast
from registrations.shown import conduct, outages


class PolicyChange(GroupSerializer):
    """A group's fields as PATCH takes them; what is left out stays. Nothing is stored."""

    order = serializers.ListField(
        child=serializers.IntegerField(),
        required=False,
        write_only=True,
        help_text="The ids of all its servers; the first that takes registrations is the primary.",
    )

    class Meta(GroupSerializer.Meta):
        fields = (*GroupSerializer.Meta.fields, "order")


class ConductStep(serializers.Serializer[Any]):
    """One thing these handsets would do."""

    title = serializers.CharField()
    sentences = serializers.ListField(child=serializers.CharField())
    because = serializers.ListField(
        child=serializers.CharField(), help_text="The parameters that make it so."
    )


class PrimaryMoved(serializers.Serializer[Any]):
    """Another server would be the primary."""

    before = serializers.IntegerField(source="before.pk", allow_null=True)
    after = serializers.IntegerField(source="after.pk", allow_null=True)
    lines = serializers.IntegerField(help_text="That register, and would belong to it.")
    watched = serializers.IntegerField(
        help_text="Lines that are only watched: their handsets go by their own configuration."
    )
    homeward = serializers.CharField(help_text="How each of them goes there.")
    at_least_seconds = serializers.FloatField(
        source="at_least_s", allow_null=True, help_text="For all of them, at the group's cap."
    )


class PolicyPreview(serializers.Serializer[Any]):
    """What its handsets would do, as the form tells it."""

    steps = ConductStep(many=True)
    warnings = serializers.ListField(child=serializers.CharField())
    new_primary = PrimaryMoved(allow_null=True)
    outages = OutageForecast(many=True, help_text="If one of its servers died then.")
    caveat = serializers.CharField()


class PolicyPreviewView(NoParameters):
    """What a change of a group would do; the change itself is `PATCH groups/ID/`."""

    required_roles = {"POST": Role.CONFIGURER}
    parser_classes = (JSONParser,)

    @extend_schema(
        operation_id="groups_preview",
        request=PolicyChange(partial=True),
        responses=PolicyPreview,
    )
    def post(self, request: Request, pk: int) -> Response:
        """Say it; nothing is changed and no handset hears of it."""
        group = get_object_or_404(ServerGroup, pk=pk)
        asked = PolicyChange(group, data=request.data, partial=True)
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        order, records = given.pop("order", None), given.pop("dns_cache", None)
        for name, value in given.items():
            setattr(group, name, value)
        moved = None if order is None else _arranged(group, order)
        records = dns_records.rows_of(group) if records is None else records
        found = conduct.of(group, records, timezone.now())
        told = {
            "steps": ConductStep(found.steps, many=True).data,
            "warnings": found.warnings,
            "new_primary": None if moved is None else PrimaryMoved(moved).data,
            "outages": [each.as_json() for each in found.outages],
            "caveat": outages.CAVEAT,
        }
        return Response(told)


def _arranged(group: ServerGroup, order: list[int]) -> conduct.NewPrimary | None:
    try:
        return conduct.arrange(group, order)
    except inventory.Refused as wrong:
        raise serializers.ValidationError(
            {"order": ["Name each server of the group once, and no other."]}
        ) from wrong
