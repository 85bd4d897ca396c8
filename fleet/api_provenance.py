"""The API of where values came from."""

from dataclasses import asdict
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleet import provenance
from fleet.api_lists import NoParameters
from fleet.models import Handset, Provenance, ServerGroup
from fleet.roles import Role


class OriginRow(serializers.Serializer[Any]):
    """One value, and the parameter of the file it came from."""

    field = serializers.CharField(help_text="Ours: `expires`, `servers.1.address`, `1.extension`.")
    file = serializers.CharField()
    row = serializers.IntegerField(allow_null=True)
    parameter = serializers.CharField(help_text="As it is written there.")
    changed = serializers.BooleanField(help_text="It is another since.")


class UnknownRow(serializers.Serializer[Any]):
    """A parameter that says nothing about registration; its value is not kept."""

    parameter = serializers.CharField()
    file = serializers.CharField(help_text="Where it stands first.")
    row = serializers.IntegerField(allow_null=True)
    count = serializers.IntegerField(help_text="In how many files.")


class Origins(serializers.Serializer[Any]):
    """Of what was imported from handset configuration; else `at` is null."""

    at = serializers.DateTimeField(allow_null=True)
    values = OriginRow(many=True)
    unknown = UnknownRow(many=True)


class GroupProvenance(NoParameters):
    """From which file and parameter the values of a group came."""

    required_roles = {"GET": Role.VIEWER}

    @extend_schema(responses=Origins)
    def get(self, request: Request, pk: int) -> Response:
        group = get_object_or_404(ServerGroup, pk=pk)
        kept = Provenance.objects.filter(group=group).first()
        return _answer(kept, provenance.of_group(group, kept) if kept else [])


class HandsetProvenance(NoParameters):
    """From which file and parameter the values of a handset and its lines came."""

    required_roles = {"GET": Role.VIEWER}

    @extend_schema(responses=Origins)
    def get(self, request: Request, pk: int) -> Response:
        handset = get_object_or_404(Handset, pk=pk)
        kept = Provenance.objects.filter(handset=handset).first()
        return _answer(kept, provenance.of_handset(handset, kept) if kept else [])


def _answer(kept: Provenance | None, origins: list[provenance.Origin]) -> Response:
    values = [asdict(origin) for origin in origins]
    at, unknown = (kept.at, kept.unknown) if kept else (None, [])
    return Response(Origins({"at": at, "values": values, "unknown": unknown}).data)
