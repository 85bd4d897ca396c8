"""`/healthz` and `/readyz`: for load balancers and supervisors, anonymous, without secrets."""

from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.urls import URLPattern, path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from registrations import vitals


@never_cache
@require_safe
@login_not_required
def healthz(_request: HttpRequest) -> JsonResponse:
    """This process serves requests."""
    return JsonResponse({"status": "alive"})


@never_cache
@require_safe
@login_not_required
def readyz(_request: HttpRequest) -> JsonResponse:
    """200 when database and Redis answer, and a worker and beat were heard in the last 10 s."""
    parts = {"database": _database(), **_redis_and_processes()}
    ready = all(part["ok"] for part in parts.values())
    status = {"status": "ready" if ready else "not ready", **parts}
    return JsonResponse(status, status=200 if ready else 503)


def _database() -> dict[str, Any]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return {"ok": False, "why": type(error).__name__}
    return {"ok": True}


def _redis_and_processes() -> dict[str, dict[str, Any]]:
    try:
        heard = vitals.heard()
    except vitals.Unavailable as error:
        silent = {"ok": False, "why": "Redis cannot be asked", "heard": []}
        return {"redis": {"ok": False, "why": str(error)}, "workers": silent, "beat": silent}
    return {
        "redis": {"ok": True},
        "workers": _heard(heard, "worker", "No worker was heard in the last 10 s"),
        "beat": _heard(heard, "beat", "Beat was not heard in the last 10 s: nothing falls due"),
    }


def _heard(processes: tuple[vitals.Process, ...], kind: str, otherwise: str) -> dict[str, Any]:
    names = [process.name for process in processes if process.kind == kind]
    return {"ok": True, "heard": names} if names else {"ok": False, "why": otherwise, "heard": []}


urlpatterns: list[URLPattern] = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
]
