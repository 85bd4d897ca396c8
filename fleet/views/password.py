"""One's own password, and one's own sessions."""

from typing import Any

from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from fleet import sessions, users


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """A new password; every other session ends with the old one. For whoever is logged in."""
    form = PasswordChangeForm(request.user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        user: Any = form.save()
        users.password_changed(user)
        update_session_auth_hash(request, user)
        messages.info(request, "Your password is changed, and all your other sessions are over.")
        return redirect("overview")
    status = 400 if request.method == "POST" else 200
    must = getattr(request.user, "must_change_password", False)
    return render(request, "password.html", {"form": form, "must": must}, status=status)


@require_POST
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """End all of one's own sessions, this one too."""
    sessions.end_all(request.user, by=request.user.get_username())
    request.session.flush()
    return redirect("login")
