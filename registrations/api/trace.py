"""The API of one line's SIP trace: `registrations/ID/trace/`, as JSON or as text.

Viewers may read it: it holds no credentials, and whoever is asked at night why a handset is away
must not need another role to see what its server said.
"""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from fleet.api_lists import refuse_others
from fleet.roles import Role
from registrations import ring
from registrations.api.negotiation import WhateverIsAccepted
from registrations.models import Registration
from registrations.shown import ladders
from registrations.trace.ladder import End


class ServerName(serializers.Serializer[Any]):
    """A server as its group knows it."""

    id = serializers.IntegerField()
    name = serializers.CharField()


class TraceAnswer(serializers.Serializer[Any]):
    """One response."""

    at = serializers.DateTimeField()
    code = serializers.IntegerField()
    reason = serializers.CharField(allow_blank=True)
    text = serializers.CharField(help_text="The whole message; credentials and nonces are masked.")


class TraceTransaction(serializers.Serializer[Any]):
    """One request with its retransmissions, and what came of it."""

    server = ServerName()
    target = serializers.CharField()
    transport = serializers.CharField()
    sends = serializers.ListField(child=serializers.DateTimeField())
    request = serializers.CharField()
    answers = TraceAnswer(many=True)
    failure = serializers.CharField(allow_blank=True, help_text="Why it was not delivered.")
    ended_at = serializers.DateTimeField(allow_null=True)
    seconds = serializers.FloatField(allow_null=True)
    end = serializers.ChoiceField(choices=[(each.value, each.value) for each in End])
    sentence = serializers.CharField()


class TraceTry(serializers.Serializer[Any]):
    """What the agent did under one claim."""

    at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    verdict = serializers.CharField(help_text="The last word of each server asked.")
    note = serializers.CharField(allow_blank=True, help_text="Why it has no end of its own.")
    left_out = serializers.IntegerField(help_text="Messages beyond what is kept of one try.")
    transactions = TraceTransaction(many=True)


class TraceComparison(serializers.Serializer[Any]):
    """The first failure at a server since it last took the line, and that success."""

    server = ServerName()
    success = TraceTransaction(allow_null=True)
    failure = TraceTransaction()
    differences = serializers.ListField(child=serializers.DictField())


class TraceLost(serializers.Serializer[Any]):
    """Tries of the fleet that could not be kept, the last time that happened."""

    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    tries = serializers.IntegerField()
    why = serializers.CharField()


class Trace(serializers.Serializer[Any]):
    """The last tries of one line, newest first."""

    registration = serializers.IntegerField()
    kept_since = serializers.DateTimeField(
        allow_null=True, help_text="Since when tries are kept at all; null: none was yet."
    )
    lost = TraceLost(allow_null=True)
    tries = TraceTry(many=True)
    comparisons = TraceComparison(many=True)


class TraceView(APIView):
    """What a line's agent sent and heard of late."""

    required_roles = {"GET": Role.VIEWER}
    narrowed = ("GET",)
    content_negotiation_class = WhateverIsAccepted

    @extend_schema(
        parameters=[
            OpenApiParameter("format", enum=["json", "text"], default="json"),
            OpenApiParameter("server", OpenApiTypes.INT, description="Of this server alone."),
        ],
        responses={
            (200, "application/json"): Trace,
            (200, "text/plain"): OpenApiTypes.STR,
            503: OpenApiResponse(description="The trace cannot be read now; it says since when."),
        },
    )
    def get(self, request: Request, pk: int) -> HttpResponse:
        kind, server_id = _asked(request)
        row = get_object_or_404(
            Registration.objects.select_related("line__handset", "group"), pk=pk
        )
        servers = {server.pk: server for server in row.group.servers.all()}
        try:
            found = ladders.read(pk, server_id)
        except ring.Unavailable as gone:
            return Response(
                {"detail": ladders.unavailable(gone), "since": ladders.moment(gone.since)},
                status=status.HTTP_503_SERVICE_UNAVAILABLE,
            )
        if kind == "json":
            return Response(ladders.data(found, pk, servers))
        line = row.line
        of_whom = f"{line.handset} ({line.handset.mac}, line {line.number}, {line})"
        file = f"trace-{line.handset.mac}-{line.number}-{timezone.now():%Y%m%dT%H%M%SZ}.txt"
        return HttpResponse(
            ladders.text(found, servers, of_whom),
            content_type="text/plain; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{file}"'},
        )


def _asked(request: Request) -> tuple[str, int | None]:
    """Raises ValidationError."""
    refuse_others(request.query_params, ("format", "server"))
    kind, server = (request.query_params.get(n, d) for n, d in (("format", "json"), ("server", "")))
    if kind not in ("json", "text"):
        raise ValidationError({"format": ["Give json or text."]})
    if server and not (server.isdecimal() and len(server) < 19):
        raise ValidationError({"server": ["Give the id of a server."]})
    return kind, int(server) if server else None
