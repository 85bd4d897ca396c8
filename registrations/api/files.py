"""The API of the fleet as files: all of it, to be imported again, and a group's `site.cfg`."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView

from fleet import exporting
from fleet.api_lists import NoParameters, refuse_others
from fleet.formats.configuration.writing import site_cfg
from fleet.models import ServerGroup
from fleet.roles import Role
from registrations.api.negotiation import WhateverIsAccepted


class FleetFileView(APIView):
    """The whole fleet as a file that can be imported again; without passwords."""

    required_roles = {"GET": Role.CONFIGURER}
    content_negotiation_class = WhateverIsAccepted

    @extend_schema(
        parameters=[OpenApiParameter("format", enum=list(exporting.FORMATS), default="yaml")],
        responses={(200, kind): OpenApiTypes.BINARY for kind, _ in exporting.FORMATS.values()},
    )
    def get(self, request: Request) -> HttpResponse:
        refuse_others(request.query_params, ("format",))
        ending = request.query_params.get("format", "yaml")
        if ending not in exporting.FORMATS:
            raise ValidationError({"format": [f"Give one of {', '.join(exporting.FORMATS)}."]})
        kind, write = exporting.FORMATS[ending]
        headers = {"Content-Disposition": f'attachment; filename="fleet.{ending}"'}
        return HttpResponse(write(exporting.rows()), kind, headers=headers)


class SiteCfgView(NoParameters):
    """A group's servers and policy as its handsets are told them, in the guide's parameters."""

    required_roles = {"GET": Role.VIEWER}
    content_negotiation_class = WhateverIsAccepted

    @extend_schema(responses={(200, "application/xml"): OpenApiTypes.STR})
    def get(self, request: Request, pk: int) -> HttpResponse:
        group = get_object_or_404(ServerGroup, pk=pk)
        headers = {"Content-Disposition": 'attachment; filename="site.cfg"'}
        return HttpResponse(
            site_cfg(exporting.group_row(group)), "application/xml", headers=headers
        )
