"""Who may do what through the API: every URL and method, asked by everybody.

A new API URL or method that is missing from MAY fails the test until somebody decides who may.
"""

from collections.abc import Iterator
from datetime import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import QueryDict
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from rest_framework.test import APIClient

from fleet import import_orders
from fleet.models import Server
from fleet.roles import Role
from registrations.alerts import composing, queue
from registrations.exports import orders
from registrations.models import (
    AlertRule,
    Channel,
    Delivery,
    Drill,
    Incident,
    MaintenanceWindow,
    SavedView,
)
from tests.support.rows import (
    make_group,
    make_registration,
    make_reports,
    make_server_change,
    make_token,
    make_transition,
    make_user,
)

pytestmark = pytest.mark.django_db

READ = {"get": Role.VIEWER}
LIST = READ | {"post": Role.CONFIGURER}
DETAIL = READ | {method: Role.CONFIGURER for method in ("put", "patch", "delete")}

CONFIGURED = {"get": Role.CONFIGURER}
CONFIGURED_DETAIL = CONFIGURED | {method: Role.CONFIGURER for method in DETAIL}

MAY: dict[str, dict[str, Role]] = {
    "sites/": LIST,
    "sites/ID/": DETAIL,
    "groups/": LIST,
    "groups/ID/": DETAIL,
    "servers/": LIST,
    "servers/ID/": DETAIL,
    "handsets/": LIST,
    "handsets/ID/": DETAIL,
    "lines/": LIST,
    "lines/ID/": DETAIL,
    "handsets/bulk/": {"post": Role.CONFIGURER},
    "imports/": {"post": Role.CONFIGURER},
    "imports/jobs/": {"get": Role.CONFIGURER, "post": Role.CONFIGURER},
    "imports/jobs/ID/": {"get": Role.CONFIGURER, "delete": Role.CONFIGURER},
    "imports/jobs/ID/go/": {"post": Role.CONFIGURER},
    "first-run/": {"get": Role.CONFIGURER, "post": Role.CONFIGURER},
    "fleet/": {"get": Role.CONFIGURER},
    "groups/ID/preview/": {"post": Role.CONFIGURER},
    "groups/ID/site.cfg": READ,
    "groups/ID/provenance/": READ,
    "handsets/ID/provenance/": READ,
    "wallboards/": {"get": Role.ADMIN, "post": Role.ADMIN},
    "wallboards/ID/": {"get": Role.ADMIN, "delete": Role.ADMIN},
    "between/": READ,
    "registrations/": READ,
    "registrations/ID/": READ,
    "registrations/ID/why/": READ,
    "registrations/ID/trace/": READ,
    "registrations/change/": {"post": Role.CONFIGURER},
    "registrations/resume/": {"post": Role.OPERATOR},
    "registrations/ID/resume/": {"post": Role.OPERATOR},
    "registrations/ID/override/": {"post": Role.CONFIGURER},
    "views/": READ | {"post": Role.VIEWER},
    "views/ID/": READ | {"patch": Role.CONFIGURER, "delete": Role.CONFIGURER},
    "summary/": READ,
    "census/": READ,
    "readiness/": READ,
    "findings/": READ,
    "readiness/summary/": READ,
    "readiness/trend/": READ,
    "readiness/export/": READ,
    "servers/ID/outage/": READ,
    "server-changes/": READ,
    "server-changes/ID/": READ,
    "transitions/": READ,
    "transitions/ID/": READ,
    "transitions/export/": READ,
    "registrations/export/": READ,
    "reports/export/": READ,
    "exports/": READ | {"post": Role.VIEWER},
    "exports/ID/": READ | {"delete": Role.ADMIN},
    "exports/ID/file/": READ,
    "failbacks/": READ | {"post": Role.OPERATOR},
    "failbacks/preview/": {"post": Role.OPERATOR},
    "failbacks/ID/": READ,
    "failbacks/ID/cancel/": {"post": Role.OPERATOR},
    "failbacks/ID/pause/": {"post": Role.OPERATOR},
    "failbacks/ID/resume/": {"post": Role.OPERATOR},
    "failbacks/ID/rollback/": {"post": Role.OPERATOR},
    "drains/": READ | {"post": Role.OPERATOR},
    "drains/ID/": READ,
    "drains/ID/end/": {"post": Role.OPERATOR},
    "drills/": READ | {"post": Role.OPERATOR},
    "drills/ID/": READ,
    "drills/ID/end/": {"post": Role.OPERATOR},
    "drills/ID/evidence/": READ,
    "notification-addresses/": {"get": Role.OPERATOR, "post": Role.OPERATOR},
    "notification-addresses/ID/": {"get": Role.OPERATOR},
    "notification-addresses/ID/renew/": {"post": Role.OPERATOR},
    "quiet-hours/": LIST,
    "quiet-hours/ID/": DETAIL,
    "audit/": {"get": Role.ADMIN},
    "users/": {"get": Role.ADMIN, "post": Role.ADMIN},
    "users/ID/": {"get": Role.ADMIN, "patch": Role.ADMIN},
    "users/ID/end-sessions/": {"post": Role.ADMIN},
    "tokens/": READ | {"post": Role.VIEWER},
    "tokens/ID/": {"delete": Role.VIEWER},
    "incidents/": READ,
    "incidents/ID/": READ,
    "incidents/ID/acknowledge/": {"post": Role.OPERATOR},
    "incidents/export/": READ,
    "incident-limits/": CONFIGURED,
    "incident-limits/ID/": {method: Role.CONFIGURER for method in ("get", "put", "patch")},
    "alert-rules/": CONFIGURED | {"post": Role.CONFIGURER},
    "alert-rules/ID/": CONFIGURED_DETAIL,
    "channels/": CONFIGURED | {"post": Role.CONFIGURER},
    "channels/ID/": CONFIGURED_DETAIL,
    "channels/ID/test/": {"post": Role.CONFIGURER},
    "deliveries/": CONFIGURED,
    "deliveries/ID/": CONFIGURED,
    "maintenance/": LIST,
    "maintenance/ID/": DETAIL,
    "schema/": READ,
}
"""The least role for each URL and method. The saved view is a shared one, the export another's."""

NEEDS = {"between/": "?from=2026-01-01T00:00:00Z"}

ASKERS: dict[str, Role | None] = {
    "anonymous": None,
    "no role": None,
    **{role.word: role for role in Role},
}
ANY_VERSION = {"If-Match": "*"}
METHODS = ("get", "post", "put", "patch", "delete")


def api_views(patterns: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every URL under /api/v1/ (ids written as ID) and the view behind it."""
    for pattern in patterns:
        path = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from api_views(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern) and path.startswith("api/v1/"):
            yield normal(path), pattern.callback


def normal(path: str) -> str:
    for group in (r"(?P<pk>\d+)", r"(?P<slug>[^/.]+)", r"(?P<kind>[a-z_]+)", "<pk>", "<int:pk>"):
        path = path.replace(group, "ID")
    return path.removeprefix("api/v1/").replace("^", "").replace("$", "")


def methods_of(view: Any) -> set[str]:
    actions = getattr(view, "actions", None)
    if actions is not None:
        return set(actions) & set(METHODS)
    return {method for method in METHODS if hasattr(view.cls, method)}


def test_every_api_url_and_method_has_its_role_decided() -> None:
    found = {path: methods_of(view) for path, view in api_views(get_resolver().url_patterns)}
    assert found, "the API's URLs were not found at all"
    decided = {path: set(methods) for path, methods in MAY.items()}
    undecided = {path: methods - decided.get(path, set()) for path, methods in found.items()}
    undecided = {path: methods for path, methods in undecided.items() if methods}
    assert not undecided, f"Say in MAY of {__name__} which role may use {undecided}."
    assert found == decided, f"MAY of {__name__} names what is not there (any more)."


def url_of(path: str, ids: dict[str, Any]) -> str:
    pk = ids.get(path.split("/")[0], 0)
    return f"/api/v1/{path.replace('ID', str(pk))}{NEEDS.get(path, '')}"


@pytest.fixture
def ids(live_redis: str) -> dict[str, Any]:
    """A thing of each kind, so that what is allowed finds something."""
    group = make_group()
    registration = make_registration(group)
    server = group.servers.get(priority=2)
    admin = APIClient()
    admin.force_authenticate(make_user("setup", Role.ADMIN))
    job = admin.post("/api/v1/failbacks/", {"all": True}, format="json").json()
    drain = {"server": server.pk, "ends_at": "2100-01-01T00:00:00Z"}
    over = {"scope": {}, "minutes": 5, "finished_at": timezone.now(), "evidence": "{}"}
    made = orders.order("transitions", QueryDict(""), User(username="setup"))
    orders.make(made.pk)
    imported = import_orders.order([("h.csv", b"mac\n1\n")], by="setup")
    screen = {"name": "lobby", "groups": [group.pk]}
    hours = {"group": group.pk, "days": "67", "begins": "22:00", "ends": "06:00"}
    return {
        "sites": registration.site_id,
        "groups": group.pk,
        "servers": server.pk,
        "handsets": registration.line.handset_id,
        "lines": registration.line_id,
        "registrations": registration.pk,
        "transitions": make_transition(registration).pk,
        "server-changes": make_server_change(server).pk,
        "exports": made.pk,
        "users": User.objects.get(username="setup").pk,
        "notification-addresses": make_reports(registration.line.handset).pk,
        "failbacks": job["id"],
        "imports": imported.pk,
        "wallboards": admin.post("/api/v1/wallboards/", screen, format="json").json()["id"],
        "drills": Drill.objects.create(**over).pk,
        "drains": admin.post("/api/v1/drains/", drain, format="json").json()["id"],
        "quiet-hours": admin.post("/api/v1/quiet-hours/", hours, format="json").json()["id"],
        **told_of(server),
        "views": SavedView.objects.create(slug="ours", name="Ours", is_shared=True).slug,
    }


def told_of(server: Server) -> dict[str, Any]:
    """An incident, and what there is to tell somebody of it."""
    now = timezone.now()
    facts = {"kind": "server_silent", "severity": "critical", "cause": "server_silent:0"}
    incident = Incident.objects.create(opened_at=now, detected_at=now, **facts)
    channel = Channel.objects.create(name="night", kind="email", settings={"to": ["a@x.example"]})
    test = composing.test_message(channel, "setup")
    queue.enqueue(test, channel, now, what=Delivery.What.TEST)
    clock = {"days": "1", "begins": time(2), "ends": time(4)}
    window = MaintenanceWindow.objects.create(name="patches", **clock)
    window.servers.add(server)
    return {
        "incidents": incident.pk,
        "incident-limits": "flapping",
        "alert-rules": AlertRule.objects.create(name="all").pk,
        "channels": channel.pk,
        "deliveries": Delivery.objects.get().pk,
        "maintenance": window.pk,
    }


@pytest.mark.parametrize("asker", ASKERS)
def test_everybody_gets_as_far_as_their_role(asker: str, ids: dict[str, int]) -> None:
    role = ASKERS[asker]
    client = APIClient()
    if asker != "anonymous":
        user = make_user(asker, role)
        make_token(user)
        ids["tokens"] = user.api_tokens.get().pk
        client.credentials(HTTP_AUTHORIZATION=f"Token {make_token(user)}")
    calls = [(path, method, least) for path, may in MAY.items() for method, least in may.items()]
    # Deleting comes last, and what depends on others first: each method finds something.
    deletes = [call for call in reversed(calls) if call[1] == "delete"]
    for path, method, least in [c for c in calls if c[1] != "delete"] + deletes:
        url = url_of(path, ids)
        status = getattr(client, method)(url, {}, format="json", headers=ANY_VERSION).status_code
        if asker == "anonymous":
            assert status == 401, f"{asker} {method} {url}"
        elif role is None or role < least:
            assert status == 403, f"{asker} {method} {url}"
        else:
            assert status in {200, 201, 202, 204, 400, 409}, f"{asker} {method} {url}"


@pytest.mark.parametrize("asker", ASKERS)
def test_a_session_has_the_same_rights_as_a_token(asker: str, ids: dict[str, int]) -> None:
    role = ASKERS[asker]
    client = APIClient()
    if asker != "anonymous":
        client.force_login(make_user(asker, role))
    for path, methods in MAY.items():
        if "get" not in methods:
            continue
        url = url_of(path, ids)
        status = client.get(url).status_code
        if asker == "anonymous":
            assert status == 401, url
        else:
            may = role is not None and role >= methods["get"]
            assert status == (200 if may else 403), url


def test_a_field_that_is_not_there_is_refused_by_its_name_everywhere(ids: dict[str, Any]) -> None:
    asked = APIClient()
    asked.force_authenticate(make_user("ada", Role.ADMIN))
    for path, may in MAY.items():
        for method in may.keys() & {"post", "put", "patch"}:
            url, sent = url_of(path, ids), {"colour": "red"}
            answer = getattr(asked, method)(url, sent, format="json", headers=ANY_VERSION)
            told = answer.json()
            assert answer.status_code == 400, f"{method} {url}: {answer.status_code} {told}"
            assert told.get("colour") == ["There is no such field."], f"{method} {url}: {told}"


def test_what_a_role_may_not_do_does_not_happen(ids: dict[str, int]) -> None:
    client = APIClient()
    client.force_authenticate(make_user("vera", Role.VIEWER))
    before = client.get("/api/v1/failbacks/").json()["count"]
    client.post("/api/v1/failbacks/", {"all": True}, format="json")
    client.delete(f"/api/v1/handsets/{ids['handsets']}/")
    assert client.get("/api/v1/failbacks/").json()["count"] == before
    assert client.get("/api/v1/handsets/").json()["count"] == 1


def test_an_inactive_user_gets_nowhere() -> None:
    user = make_user("gone", Role.ADMIN)
    token = make_token(user)
    user.is_active = False
    user.save()
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    assert client.get("/api/v1/registrations/").status_code == 401
