"""The API of the first run's last step: what waits is let go."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleet import first_run
from fleet.api_lists import NoParameters
from fleet.bodies import takes_no_fields
from fleet.roles import Role


class Waiting(serializers.Serializer[Any]):
    """Lines that were imported to register, and wait until somebody says go."""

    waiting = serializers.IntegerField()
    begun = serializers.IntegerField(help_text="By this request.")


class FirstRunView(NoParameters):
    """How many lines wait since the first run; letting them register."""

    required_roles = {"GET": Role.CONFIGURER, "POST": Role.CONFIGURER}

    @extend_schema(responses=Waiting)
    def get(self, request: Request) -> Response:
        return Response({"waiting": first_run.waiting(), "begun": 0})

    @extend_schema(request=None, responses=Waiting)
    @takes_no_fields
    def post(self, request: Request) -> Response:
        begun = first_run.go(by=request.user.get_username())
        return Response({"waiting": first_run.waiting(), "begun": begun})
