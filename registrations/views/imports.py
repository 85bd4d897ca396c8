"""The fleet from files and to files: looked through, shown as what they would do, imported."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from fleet import exporting, import_orders, reading
from fleet.formats.configuration.writing import site_cfg
from fleet.formats.decoding import MAX_BYTES
from fleet.formats.handset_csv import COLUMNS, HELP
from fleet.models import ImportJob, ServerGroup, Site
from fleet.roles import Role, require_role
from registrations.exports.cells import csv_bytes

SHOWN = 200
"""Faults and notes on the page; the file has all that are kept."""

NAMED = 12
"""Of what is new."""

STATES = {
    "waiting": "Waits for a worker",
    "running": "Is being looked through",
    "ready": "Looked through: nothing is changed yet",
    "refused": "Looked through: nothing can be imported",
    "done": "Imported",
    "failed": "Failed",
}


@require_http_methods(["GET", "HEAD", "POST"])
@require_role(Role.CONFIGURER)
def imports(request: HttpRequest) -> HttpResponse:
    """What is to be imported, and what was lately."""
    fault = ""
    sites = list(Site.objects.values_list("name", flat=True))
    if request.method == "POST":
        files = _files(request)
        if files:
            site = request.POST.get("site", "")
            by = request.user.get_username()
            return _on(import_orders.order(files, by=by, site=site if site in sites else ""))
        fault = "Choose at least one file."
    context: dict[str, Any] = {
        "nav": "import",
        "columns": [(name, HELP[name]) for name in COLUMNS],
        "sites": sites,
        "accept": ",".join(reading.READ),
        "jobs": [(job, STATES[import_orders.state(job)]) for job in import_orders.latest()],
        "fault": fault,
    }
    return render(request, "imports.html", context, status=400 if fault else 200)


@require_safe
@require_role(Role.CONFIGURER)
def import_job(request: HttpRequest, pk: int) -> HttpResponse:
    """How far it is, and what it found: faults, what would change, what is worth knowing."""
    job = get_object_or_404(ImportJob, pk=pk)
    state = import_orders.state(job)
    is_import = job.step == ImportJob.Step.APPLY
    word = "Is being imported" if is_import and state == "running" else STATES[state]
    counts = job.found.get("counts", {})
    listed = job.found.get("listed", [])
    context = {
        "nav": "import",
        "job": job,
        "state": state,
        "word": word,
        "names": ", ".join(file["name"] for file in job.files[:5]),
        "more": max(0, len(job.files) - 5),
        "counts": counts,
        "starting": job.found.get("starting", 0),
        "examples": _examples(counts, listed),
        "changed": [each for each in listed if each["fields"]],
        "faults": job.found.get("faults", [])[:SHOWN],
        "fault_count": job.found.get("fault_count", 0),
        "notes": job.found.get("notes", [])[:SHOWN],
        "unknown": job.found.get("unknown", []),
        "note_count": job.found.get("note_count", 0),
        "is_moving": state in ("waiting", "running"),
    }
    return render(request, "import.html", context)


@require_POST
@require_role(Role.CONFIGURER)
def import_go(request: HttpRequest, pk: int) -> HttpResponse:
    """Import what was looked through; `partial`: what is right, without what has faults."""
    job = get_object_or_404(ImportJob, pk=pk)
    partial = request.POST.get("partial") == "1"
    import_orders.say_go(job, by=request.user.get_username(), partial=partial)
    return _on(job)


@require_POST
@require_role(Role.CONFIGURER)
def import_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget it and its files; what was imported stays."""
    ImportJob.objects.filter(pk=pk).delete()
    return redirect("imports")


@require_safe
@require_role(Role.CONFIGURER)
def import_faults(request: HttpRequest, pk: int) -> HttpResponse:
    """All faults, then what is worth knowing, as a table to work through."""
    job = get_object_or_404(ImportJob, pk=pk)
    rows: list[tuple[Any, ...]] = [("kind", "file", "row", "field", "message")]
    for kind, name in (("fault", "faults"), ("note", "notes")):
        rows += [
            (kind, each["file"], each["row"], each["field"], each["message"])
            for each in job.found.get(name, [])
        ]
    headers = {"Content-Disposition": f'attachment; filename="import-{pk}-faults.csv"'}
    return HttpResponse(csv_bytes(rows), "text/csv; charset=utf-8", headers=headers)


@require_safe
@require_role(Role.CONFIGURER)
def columns(request: HttpRequest) -> HttpResponse:
    """An empty table with all columns, to begin from."""
    headers = {"Content-Disposition": 'attachment; filename="handsets.csv"'}
    return HttpResponse(csv_bytes([COLUMNS]), "text/csv; charset=utf-8", headers=headers)


@require_safe
@require_role(Role.CONFIGURER)
def fleet_file(request: HttpRequest, ending: str) -> HttpResponse:
    """The whole fleet as a file that can be imported again; without passwords."""
    if ending not in exporting.FORMATS:
        raise Http404
    kind, write = exporting.FORMATS[ending]
    headers = {"Content-Disposition": f'attachment; filename="fleet.{ending}"'}
    return HttpResponse(write(exporting.rows()), kind, headers=headers)


@never_cache
@require_POST
@require_role(Role.ADMIN)
def fleet_file_with_passwords(request: HttpRequest) -> HttpResponse:
    """The same with the SIP passwords, for an admin who asks for it; the audit log says so."""
    ending = request.POST.get("ending", "")
    if ending not in exporting.WITH_PASSWORDS:
        raise Http404
    headers = {"Content-Disposition": f'attachment; filename="fleet-with-passwords.{ending}"'}
    data = exporting.with_passwords(ending, by=request.user.get_username())
    return HttpResponse(data, exporting.FORMATS[ending][0], headers=headers)


@require_safe
@require_role(Role.VIEWER)
def group_site_cfg(request: HttpRequest, pk: int) -> HttpResponse:
    """A group's servers and policy as its handsets are told them."""
    group = get_object_or_404(ServerGroup, pk=pk)
    headers = {"Content-Disposition": 'attachment; filename="site.cfg"'}
    text = site_cfg(exporting.group_row(group))
    return HttpResponse(text, "application/xml", headers=headers)


def _examples(counts: Any, listed: Any) -> list[tuple[str, list[str], int]]:
    """Of what is new: kind, some of the names, and how many more there are."""
    found = []
    for kind in (kind for kind in counts if kind != "lines"):
        names = [each["name"] for each in listed if each["kind"] == kind and not each["fields"]]
        if names:
            found.append((kind, names[:NAMED], counts[kind]["created"] - len(names[:NAMED])))
    return found


def _on(job: ImportJob) -> HttpResponse:
    if import_orders.is_small(job):
        import_orders.make(job.pk)
    return redirect("import_job", job.pk)


def _files(request: HttpRequest) -> list[tuple[str, bytes]]:
    # One byte more than is read: the reader refuses it with a sentence.
    uploads = request.FILES.getlist("files")
    return [(str(file.name), file.read(MAX_BYTES + 1)) for file in uploads]
