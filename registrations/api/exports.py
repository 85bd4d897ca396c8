"""The API of exports: as a file at once."""

from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView

from fleet.roles import Role
from registrations import exports, queries
from registrations.api.negotiation import WhateverIsAccepted

VIEWER_READS = {"GET": Role.VIEWER}


def described(filters: Any) -> Any:
    """Describe an export by the filter it takes."""
    return extend_schema(
        parameters=[
            OpenApiParameter("format", enum=list(exports.Format), default="csv"),
            *(
                OpenApiParameter(name, many=hasattr(field.field, "choices"))
                for name, field in filters.base_filters.items()
            ),
        ],
        responses={
            **{(200, f.content_type): OpenApiTypes.BINARY for f in exports.Format},
            400: OpenApiResponse(description="A filter or the format is wrong."),
        },
    )


class ExportView(APIView):
    """Rows as a file, streamed: exactly what the filter shows."""

    required_roles = VIEWER_READS
    content_negotiation_class = WhateverIsAccepted
    kind: str

    def get(self, request: Request) -> StreamingHttpResponse:
        try:
            export = exports.prepare(self.kind, request.query_params)
        except exports.ExportRefused as refused:
            raise ValidationError(refused.errors) from refused
        return exports.stream(request._request, export)


@described(queries.TransitionFilter)
class TransitionExport(ExportView):
    """The filtered history as a file, streamed."""

    narrowed = ("GET",)
    kind = "transitions"


class ReportExport(ExportView):
    """A report over a period as a file: `by` handset, group, site, server or all."""

    kind = "reports"

    @extend_schema(
        parameters=[
            OpenApiParameter("format", enum=list(exports.Format), default="csv"),
            *(OpenApiParameter(name) for name in queries.ReportForm.base_fields),
        ],
        responses={(200, f.content_type): OpenApiTypes.BINARY for f in exports.Format},
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        return super().get(request)


@described(queries.RegistrationFilter)
class RegistrationExport(ExportView):
    """The filtered registrations as they are shown, or as they were (`at`), as a file, streamed."""

    narrowed = ("GET",)
    kind = "registrations"
