"""API tokens: one's own, and for an admin everybody's."""

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from fleet import tokens
from fleet.forms import TokenForm
from fleet.roles import Role, require_role, role_of


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.VIEWER, narrowed=True)
def tokens_page(request: HttpRequest) -> HttpResponse:
    """What one's programs may; a new token's key is shown this once."""
    held = role_of(request.user) or Role.VIEWER
    form = TokenForm(request.POST or None)
    key = ""
    if request.method == "POST" and form.is_valid():
        key = _made(request, form)
    now = timezone.now()
    listed = [(t, Role(t.role), tokens.is_over(t, now)) for t in tokens.of(request.user)]
    context = {
        "nav": "tokens",
        "listed": listed,
        "form": form if not key else TokenForm(),
        "key": key,
        "roles": [role for role in Role if role <= held],
        "held": held,
    }
    refused = request.method == "POST" and not key
    return render(request, "tokens.html", context, status=400 if refused else 200)


def _made(request: HttpRequest, form: TokenForm) -> str:
    """Return the new token's key; '' where it is refused, which the form then says."""
    given = form.cleaned_data
    days = given["days"]
    ends = timezone.now() + timedelta(days=days) if days else None
    by = request.user.get_username()
    try:
        return tokens.make(request.user, given["name"], given["role"], ends, by=by).key
    except tokens.Refused as refused:
        form.add_error(refused.field if refused.field in form.fields else None, str(refused))
        return ""


@require_POST
@require_role(Role.VIEWER, narrowed=True)
def token_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """End a token: one's own, an admin anybody's."""
    token = get_object_or_404(tokens.of(request.user), pk=pk)
    tokens.revoke(token, by=request.user.get_username())
    return redirect("tokens")
