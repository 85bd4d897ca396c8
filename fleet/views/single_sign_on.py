"""Log-in at the identity provider: there, and back again."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from fleet import oidc, users

COOKIE = "oidc"
BACKEND = "fleet.authentication.PasswordBackend"
"""Who loads the session's user from then on: it is the same for all."""


@never_cache
@require_safe
@login_not_required
def oidc_begin(request: HttpRequest) -> HttpResponse:
    """To the provider. The cookie brings back what the way back is held against."""
    if not oidc.is_offered():
        raise Http404("Single sign-on is not set up.")
    try:
        url, ticket = oidc.begin(_back(request), request.GET.get("next", ""))
    except oidc.Refused as refused:
        return _refused(request, refused)
    response = redirect(url)
    response.set_cookie(
        COOKIE,
        ticket,
        max_age=oidc.SECONDS,
        path=reverse("oidc"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return response


@never_cache
@require_safe
@login_not_required
def oidc_return(request: HttpRequest) -> HttpResponse:
    """Back from the provider, and in."""
    if not oidc.is_offered():
        raise Http404("Single sign-on is not set up.")
    ticket = request.COOKIES.get(COOKIE, "")
    try:
        visitor, then = oidc.arrive(_back(request), request.GET.dict(), ticket)
        user = users.come_in(settings.OIDC.issuer, *visitor)
    except (oidc.Refused, users.Refused) as refused:
        return _refused(request, refused)
    login(request, user, backend=BACKEND)
    ours = url_has_allowed_host_and_scheme(then, {request.get_host()}, request.is_secure())
    return _without_ticket(redirect(then if ours else settings.LOGIN_REDIRECT_URL))


def _back(request: HttpRequest) -> str:
    return request.build_absolute_uri(reverse("oidc_return"))


def _refused(request: HttpRequest, refused: Exception) -> HttpResponse:
    messages.error(request, str(refused))
    return _without_ticket(redirect("login"))


def _without_ticket(response: HttpResponse) -> HttpResponse:
    response.delete_cookie(COOKIE, path=reverse("oidc"), samesite="Lax")
    return response
