"""An export as the answer to a request, streamed under ASGI and WSGI alike."""

from collections.abc import Iterator

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from fleet import reach
from registrations.exports import orders
from registrations.exports.export import Export, Format, in_threads
from registrations.models import ExportJob


def stream(request: HttpRequest, export: Export) -> StreamingHttpResponse:
    """Answer with an export that is made while it is read."""
    return _answer(request, iter(export), export.format, export.headers)


def download(request: HttpRequest, job: ExportJob) -> StreamingHttpResponse:
    """Answer with the file of a finished job."""
    wanted = Format(orders.described(job)["format"])
    return _answer(request, orders.content(job), wanted, job.headers)


def _answer(
    request: HttpRequest, parts: Iterator[bytes], wanted: Format, headers: dict[str, str]
) -> StreamingHttpResponse:
    is_async = isinstance(request, ASGIRequest)
    parts = reach.carried(parts)
    return StreamingHttpResponse(
        in_threads(parts) if is_async else parts,
        content_type=wanted.content_type,
        headers=headers,
    )
