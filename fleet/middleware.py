"""Around every request: its id, headers that Django does not set, and the viewer's time zone."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from auditlog.middleware import AuditlogMiddleware
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from fleet import audit, reach, request_id, sessions, zones

SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")

log = structlog.get_logger(__name__)

POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        # The style sheet draws arrows and ticks as data: images.
        "img-src 'self' data:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)


HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "X-Frame-Options": "DENY",
}


class RequestId:
    """Every request has an id: ours, or what a trusted proxy gave it (see `fleet.request_id`).

    What is to change something is one line in the log.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get(request_id.HEADER, "") if settings.BEHIND_TLS else ""
        mine = request_id.accepted(given) or request_id.fresh()
        began = time.monotonic()
        with request_id.bound(mine):
            response = self.get_response(request)
            if request.method not in SAFE:
                log.info(
                    f"{request.method} {request.path}",
                    status=response.status_code,
                    user=_asker(request),
                    ms=round((time.monotonic() - began) * 1000),
                )
        response.headers[request_id.HEADER] = mine
        return response


def _asker(request: HttpRequest) -> str:
    user = getattr(request, "user", None)
    return user.get_username() if user is not None else ""


class SessionCookies(SessionMiddleware):
    """Who only asks with a session that is over keeps the cookie of it.

    A page asks by itself, with the old cookie, while the answer to a log-in or to a new password
    brings the new one. To delete it by name would log out whoever just logged in.
    """

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        answer = super().process_response(request, response)
        sent = answer.cookies.get(settings.SESSION_COOKIE_NAME)
        if request.method in SAFE and sent is not None and not sent.value:
            del answer.cookies[settings.SESSION_COOKIE_NAME]
        return answer


class Sessions(AuthenticationMiddleware):
    """A session's user, as long as it lasts (see `fleet.sessions`)."""

    def process_request(self, request: HttpRequest) -> None:
        super().process_request(request)
        request.user = SimpleLazyObject(partial(self._user, request))  # type: ignore[assignment]

    def _user(self, request: HttpRequest) -> Any:
        user = sessions.user_of(request)
        if user.is_authenticated:
            sessions.use(request)
        elif SESSION_KEY in request.session:
            request.session.flush()
        return user


class Reach:
    """Whoever is let in by their role is limited to their sites, until the answer is made."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with reach.everything():
            return self.get_response(request)


class Headers:
    """Everything a page loads comes from this host; nothing inline runs (CSP level 3).

    On every answer, static files and errors included; Django's SecurityMiddleware adds nosniff,
    the referrer's and the opener's policy.
    """

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response


class Audit(AuditlogMiddleware):  # type: ignore[misc]
    """The audit log keeps the address that asked, not the one a header claims, and who it was."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with audit.asking(request):
            return super().__call__(request)  # type: ignore[no-any-return]

    @staticmethod
    def _get_remote_addr(request: HttpRequest) -> str | None:
        return request.META.get("REMOTE_ADDR")

    @staticmethod
    def _get_remote_port(request: HttpRequest) -> None:
        return None


class ViewersZone:
    """Times are written in the zone the viewer chose (fleet.zones)."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        zones.serve(request)
        try:
            return self.get_response(request)
        finally:
            zones.serve(None)
