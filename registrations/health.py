"""`/healthz` and `/readyz`: for load balancers and supervisors, anonymous, without secrets."""

from typing import Any

import redis
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import Error as DatabaseError
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.urls import URLPattern, path
from django.views.decorators.cache import never_cache

from registrations import live

REDIS_SECONDS = 2.0


@never_cache
@login_not_required
def healthz(_request: HttpRequest) -> JsonResponse:
    """This process serves requests."""
    return JsonResponse({"status": "alive"})


@never_cache
@login_not_required
def readyz(_request: HttpRequest) -> JsonResponse:
    """200 when database, Redis and a worker's heartbeat of the last 10 s are there, else 503."""
    parts = {"database": _database(), **_redis_and_workers()}
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


def _redis_and_workers() -> dict[str, dict[str, Any]]:
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
        ) as client:
            names = live.fresh_workers(client)
    except (redis.RedisError, OSError, ValueError) as error:
        # ValueError: REDIS_URL names no Redis, as in a test process.
        silent = {"ok": False, "why": "Redis cannot be asked", "heard": []}
        return {"redis": {"ok": False, "why": type(error).__name__}, "workers": silent}
    workers: dict[str, Any] = {"ok": bool(names), "heard": names}
    if not names:
        workers["why"] = "No worker was heard in the last 10 s"
    return {"redis": {"ok": True}, "workers": workers}


urlpatterns: list[URLPattern] = [
    path("healthz", healthz, name="healthz"),
    path("readyz", readyz, name="readyz"),
]
