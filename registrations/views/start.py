"""The first run: five pages from an empty Rollcall to handsets that arrive one by one."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleet import first_run, forms, services, users
from fleet.formats.decoding import MAX_BYTES
from fleet.formats.handset_csv import COLUMNS, SEPARATORS
from fleet.models import ServerGroup, Site
from fleet.roles import Role, has_role, require_role
from fleet.zones import names
from registrations import demo, demo_fleet

require_form = require_http_methods(["GET", "HEAD", "POST"])


def _page(request: HttpRequest, name: str, status: int = 200, **more: Any) -> HttpResponse:
    steps = first_run.steps()
    at = next(n for n, step in enumerate(steps) if step.name == name)
    following = steps[at + 1].name if at + 1 < len(steps) else ""
    context = {"nav": "start", "steps": steps, "step": steps[at], "number": at + 1}
    context |= {"next": following, **more}
    return render(request, f"start_{name}.html", context, status=status)


@require_safe
@require_role(Role.CONFIGURER)
def start(request: HttpRequest) -> HttpResponse:
    """To the first step that is not done yet; people may come later."""
    left = (step.name for step in first_run.steps() if not step.is_done and step.name != "people")
    return redirect(f"start_{next(left, 'go')}")


@require_form
@require_role(Role.CONFIGURER)
def site(request: HttpRequest) -> HttpResponse:
    """Where the handsets are, and which time it is there."""
    form = forms.SiteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        first_run.make_site(form.save(commit=False))
        messages.info(request, f"Site {form.instance} is there.")
        return redirect("start_group")
    refused = request.method == "POST"
    return _page(
        request,
        "site",
        400 if refused else 200,
        form=form,
        zones=names(),
        sites=Site.objects.all(),
        may_have_demo=_demo_port() is not None,
    )


@require_form
@require_role(Role.CONFIGURER)
def group(request: HttpRequest) -> HttpResponse:
    """The servers in their order, with the policy by default."""
    form, rows = forms.GroupForm(request.POST or None), forms.ServerRows(request.POST or None)
    if request.method == "POST" and form.is_valid() & rows.is_valid():
        filled = [row for row in rows if row.has_changed()]
        if not filled:
            rows[0].add_error("address", "Name at least the primary.")
        else:
            try:
                servers = [row.save(commit=False) for row in filled]
                first_run.make_group(form.save(commit=False), servers)
            except first_run.ServerRefused as refused:
                filled[refused.place].add_error("address", str(refused))
            else:
                messages.info(request, f"Group {form.instance} is there, with the usual policy.")
                return redirect("start_handsets")
    refused = request.method == "POST"
    groups = ServerGroup.objects.prefetch_related("servers")
    return _page(request, "group", 400 if refused else 200, form=form, rows=rows, groups=groups)


@require_form
@require_role(Role.CONFIGURER)
def handsets(request: HttpRequest) -> HttpResponse:
    """A table or a fleet file: looked through first, then taken whole or not at all."""
    found: dict[str, Any] = {}
    if request.method == "POST":
        is_check = "check" in request.POST
        try:
            report, waiting = first_run.import_waiting(
                _files(request), by=request.user.get_username(), dry_run=is_check
            )
        except services.ImportRefused as refused:
            found = {"faults": refused.faults}
        else:
            if not is_check:
                made = report.created["handsets"]
                messages.info(request, f"{made} handset{'s' * (made != 1)} imported.")
                return redirect("start_people")
            found = {"report": report.as_dict(), "waiting": waiting}
    part = "HX-Request" in request.headers
    if part:
        return render(request, "_start_preview.html", found)
    place = {"group": ServerGroup.objects.first(), "site": Site.objects.first()}
    status = 400 if "faults" in found else 200
    return _page(request, "handsets", status, columns=COLUMNS, place=place, **found)


def _files(request: HttpRequest) -> list[tuple[str, bytes]]:
    """What was uploaded, else what was pasted: a fleet file where it does not look like a table."""
    uploads = request.FILES.getlist("files")
    if uploads:
        # One byte more than is read: the reader refuses it with a sentence.
        return [(str(file.name), file.read(MAX_BYTES + 1)) for file in uploads]
    pasted = request.POST.get("text", "").strip()
    head = pasted.partition("\n")[0]
    is_table = any(mark in head for mark in SEPARATORS) and ":" not in head
    return [("pasted.csv" if is_table else "pasted.yaml", pasted.encode())]


@require_form
@require_role(Role.CONFIGURER)
def people(request: HttpRequest) -> HttpResponse:
    """Who else works here, and what they may; an admin's to say."""
    may = has_role(request.user, Role.ADMIN)
    form = forms.UserForm((request.POST or None) if may else None)
    if request.method == "POST":
        if not may:
            return HttpResponse("This needs the role Admin.", status=403)
        if form.is_valid():
            users.make(**form.cleaned_data)
            messages.info(request, f"{form.cleaned_data['name']} can log in now.")
            return redirect("start_people")
    known = users.listed()[:50]
    listed = [(user, users.role_held(user)) for user in known]
    refused = request.method == "POST"
    return _page(
        request, "people", 400 if refused else 200, form=form, users=listed, roles=list(Role)
    )


@require_form
@require_role(Role.CONFIGURER)
def go(request: HttpRequest) -> HttpResponse:
    """What will happen now; and it happens."""
    if request.method == "POST":
        count = first_run.go(by=request.user.get_username())
        messages.info(request, f"{count} line{'s' * (count != 1)} begin{'s' * (count == 1)} now.")
        return redirect("overview")
    return _page(request, "go", starts=first_run.starts())


@require_safe
@require_role(Role.CONFIGURER)
def sample(request: HttpRequest) -> HttpResponse:
    """A fleet file to begin from."""
    text = first_run.sample("main", "ward")
    name = 'attachment; filename="sample-fleet.yaml"'
    return HttpResponse(text, "application/yaml", headers={"Content-Disposition": name})


@require_POST
@require_role(Role.CONFIGURER)
def sample_demo(request: HttpRequest) -> HttpResponse:
    """The demo's fleet, where its registrars run."""
    port = _demo_port()
    if port is None:
        raise Http404
    demo_fleet.make(port)
    return redirect("overview")


def _demo_port() -> int | None:
    """Where the demo's registrars listen; None where they do not, or where there is a fleet."""
    return demo.port() if settings.DEMO and demo_fleet.is_empty() else None
