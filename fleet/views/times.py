"""What a user sets for nobody but themselves."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods

from fleet import zones
from fleet.roles import Role, require_role


@require_http_methods(["GET", "POST"])
@require_role(Role.VIEWER, narrowed=True)
def times(request: HttpRequest) -> HttpResponse:
    """In which zone this user reads times."""
    back = request.POST.get("next") or request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(back, {request.get_host()}):
        back = reverse("overview")
    fault = ""
    if request.method == "POST":
        wanted = request.POST.get("zone", "")
        try:
            zones.choose(request, request.POST.get("name", "") if wanted == "name" else wanted)
        except ValueError as error:
            fault = str(error)
        else:
            return HttpResponseRedirect(back)
    context = {
        "choice": zones.choice(request),
        "names": zones.names(),
        "next": back,
        "fault": fault,
    }
    template = "_times_dialog.html" if "HX-Request" in request.headers else "times.html"
    return render(request, template, context, status=400 if fault else 200)
