"""What is said where no view answers: a page in our look, or JSON to those who asked the API."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

API = "/api/"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400: a host we do not answer to, a body that is too much, a form nobody could have filled."""
    return _said(request, 400, "That request cannot be understood.")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403: the sentence of whoever raised PermissionDenied."""
    return _said(request, 403, str(exception) or "Your role does not allow this.")


def forged(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403: a form that no page of ours can have sent, or one that is older than the log-in."""
    return _said(
        request, 403, "This form is too old, or no page of ours sent it. Open the page anew."
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    return _said(request, 404, "Nothing is here.")


def broken(request: HttpRequest) -> HttpResponse:
    """500. What went wrong is in the log and nowhere else."""
    return _said(request, 500, "This broke; what happened is in the log of the web process.")


def locked_out(
    request: HttpRequest, response: HttpResponse | None, credentials: dict[str, Any] | None
) -> HttpResponse:
    """429: too many wrong passwords; the same whether there is such a user or not."""
    seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
    said = _said(request, 429, f"Too many wrong passwords: wait {seconds // 60} minutes.")
    said.headers["Retry-After"] = str(seconds)
    return said


class NoNul:
    """PostgreSQL takes no NUL in any text: a request that brought one is wrong; nothing broke."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, ValueError) and "NUL (0x00)" in str(exception):
            return bad_request(request, exception)
        return None


def _said(request: HttpRequest, status: int, sentence: str) -> HttpResponse:
    if request.path.startswith(API):
        return JsonResponse({"detail": sentence}, status=status)
    # Without the request a page needs no session, no database and no host that we answer to.
    asker = None if status in (400, 500) else request
    return render(asker, f"{status}.html", {"sentence": sentence}, status=status)
