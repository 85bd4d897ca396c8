"""Who may do what on the pages and sockets: every address and method, asked by everybody.

An address or a method that is missing from MAY fails here until somebody decides who may. The API
has its own table in tests/registrations/test_api_roles.py.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import websockets
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from fleet.roles import Role
from registrations.routing import websocket_urlpatterns
from tests.registrations.live_web import Web
from tests.support.rows import make_token, make_user

pytestmark = pytest.mark.django_db

IN = 0.5
"""Whoever is logged in, also without a role."""

ANYBODY = 0
"""Also who is not logged in: what guards it is not a role."""

SEE, ACT = {"get": Role.VIEWER}, {"post": Role.OPERATOR}
FORM = {"get": Role.OPERATOR, "post": Role.OPERATOR}
CONFIGURE = {"get": Role.CONFIGURER, "post": Role.CONFIGURER}
OWN = {"get": Role.VIEWER, "post": Role.VIEWER}

MAY: dict[str, dict[str, float]] = {
    "overview": SEE,
    "moves": SEE,
    "handsets": SEE,
    "handset_places": SEE,
    "handset_choices": SEE,
    "handset_columns": {"post": Role.VIEWER},
    "resume_many": FORM,
    "view_create": {"post": Role.VIEWER},
    "view_change": {"post": Role.VIEWER},
    "view_replace": {"post": Role.VIEWER},
    "view_delete": {"post": Role.VIEWER},
    "handset": SEE,
    "handset_by_mac": SEE,
    "resume": ACT,
    "override": CONFIGURE,
    "groups": SEE,
    "group": SEE,
    "group_site_cfg": SEE,
    "notifications": {"get": Role.OPERATOR},
    "notification_files": {"get": Role.OPERATOR},
    "notification_make": ACT,
    "notification_renew": ACT,
    "notify": {"post": ANYBODY},  # with its key
    "group_new": CONFIGURE,
    "group_edit": CONFIGURE,
    "server": SEE,
    "server_new": CONFIGURE,
    "server_order": {"post": Role.CONFIGURER},
    "delete": CONFIGURE,
    "server_edit": CONFIGURE,
    "sites": SEE,
    "site_new": CONFIGURE,
    "site_edit": CONFIGURE,
    "handset_new": CONFIGURE,
    "bulk_edit": CONFIGURE,
    "handset_edit": CONFIGURE,
    "readiness": SEE,
    "findings": SEE,
    "proofs": SEE,
    "history": SEE,
    "exports": SEE,
    "export_new": {"post": Role.VIEWER},
    "export_file": SEE,
    "export_delete": {"post": Role.VIEWER},
    "between": SEE,
    "reports": SEE,
    "imports": CONFIGURE,
    "import_columns": {"get": Role.CONFIGURER},
    "fleet_file": {"get": Role.CONFIGURER},
    "fleet_file_with_passwords": {"post": Role.ADMIN},
    "import_job": {"get": Role.CONFIGURER},
    "import_go": {"post": Role.CONFIGURER},
    "import_delete": {"post": Role.CONFIGURER},
    "import_faults": {"get": Role.CONFIGURER},
    "incidents": SEE,
    "incidents_open": SEE,
    "incident": SEE,
    "incident_acknowledge": ACT,
    "alerts": {"get": Role.CONFIGURER},
    "limits": {"get": Role.CONFIGURER},
    "limit_edit": CONFIGURE,
    "rule_new": CONFIGURE,
    "rule_edit": CONFIGURE,
    "channel_new": CONFIGURE,
    "channel_edit": CONFIGURE,
    "channel_test": {"post": Role.CONFIGURER},
    "maintenance_new": CONFIGURE,
    "maintenance_edit": CONFIGURE,
    "alert_delete": {"post": Role.CONFIGURER},
    "deliveries": {"get": Role.CONFIGURER},
    "delivery_again": {"post": Role.CONFIGURER},
    "jobs": SEE,
    "job_new": FORM,
    "hours_new": CONFIGURE,
    "hours_delete": {"post": Role.CONFIGURER},
    "drain_new": FORM,
    "drain_end": ACT,
    "drill_new": FORM,
    "drill": SEE,
    "drill_end": ACT,
    "drill_evidence": SEE,
    "job": SEE,
    "job_pause": ACT,
    "job_resume": ACT,
    "job_cancel": ACT,
    "job_roll_back": ACT,
    "start": {"get": Role.CONFIGURER},
    "start_site": CONFIGURE,
    "start_group": CONFIGURE,
    "start_handsets": CONFIGURE,
    "start_people": {"get": Role.CONFIGURER, "post": Role.ADMIN},
    "start_go": CONFIGURE,
    "start_sample": {"get": Role.CONFIGURER},
    "start_sample_demo": {"post": Role.CONFIGURER},
    "ops": {"get": Role.CONFIGURER},
    "audit": {"get": Role.ADMIN},
    "audit_file": {"get": Role.ADMIN},
    "metrics": {"get": ANYBODY},  # on this machine itself
    "wallboard": SEE,
    "wallboard_tokens": {"get": Role.ADMIN, "post": Role.ADMIN},
    "wallboard_revoke": {"post": Role.ADMIN},
    "wallboard_of_token": {"get": ANYBODY},  # with its key
    "demo_server": ACT,
    "healthz": {"get": ANYBODY},
    "readyz": {"get": ANYBODY},
    "login": {"get": ANYBODY, "post": ANYBODY},
    "oidc": {"get": ANYBODY},
    "oidc_return": {"get": ANYBODY},
    "logout": {"post": ANYBODY},
    "times": OWN,
    "password": {"get": IN, "post": IN},
    "sign_out_everywhere": {"post": IN},
    "users": {"get": Role.ADMIN, "post": Role.ADMIN},
    "user_role": {"post": Role.ADMIN},
    "user_sites": {"get": Role.ADMIN, "post": Role.ADMIN},
    "user_reset": {"post": Role.ADMIN},
    "user_active": {"post": Role.ADMIN},
    "user_end_sessions": {"post": Role.ADMIN},
    "tokens": OWN,
    "token_revoke": {"post": Role.VIEWER},
}
"""By name of the address: the least role of each method. All other methods are refused to all."""

SOCKETS = {"ws/live/": Role.VIEWER, "ws/events/": Role.VIEWER}

ENDING = {"logout", "sign_out_everywhere"}
"""After these a session is over: they come last, each with one of its own."""

METHODS = ("get", "post", "put", "patch", "delete")
ASKERS: dict[str, Role | None] = {
    "nobody": None,
    "no role": None,
    **{role.word: role for role in Role},
}
GIVEN = {"slug": "yaml", "int": 987_654_321, "str": "x"}
"""What stands for the ids in addresses: the role is asked before whether there is such a thing."""


def addresses(patterns: Any, under: str = "") -> Iterator[tuple[str, str, URLPattern]]:
    """Yield the path, the name and the pattern of every address."""
    for pattern in patterns:
        path = under + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, path)
        else:
            yield path, pattern.name or path, pattern


def pages() -> dict[str, URLPattern]:
    """Every page and file by name: all but the API's and Django's admin's."""
    found = {}
    for path, name, pattern in addresses(get_resolver().url_patterns):
        if not path.startswith(("api/", "admin/")):
            assert name not in found, f"Two addresses have the name {name}: give one another name."
            found[name] = pattern
    return found


def url_of(name: str, pattern: URLPattern) -> str:
    kinds = {
        word: type(how).__name__.removesuffix("Converter").lower()
        for word, how in pattern.pattern.converters.items()
    }
    kinds = {word: {"string": "str"}.get(kind, kind) for word, kind in kinds.items()}
    return reverse(name, kwargs={word: GIVEN[kind] for word, kind in kinds.items()})


def test_every_page_has_its_roles_decided() -> None:
    missing, gone = pages().keys() - MAY.keys(), MAY.keys() - pages().keys()
    assert not missing, (
        f"Nobody has said who may use {sorted(missing)}: add each to MAY in {__name__}, "
        "with the least role of each of its methods."
    )
    assert not gone, f"Take {sorted(gone)} out of MAY in {__name__}: there are no such addresses."


def client_of(asker: str) -> Client:
    client = Client(raise_request_exception=False)
    if asker != "nobody":
        user = User.objects.filter(username=asker).first() or make_user(asker, ASKERS[asker])
        client.force_login(user)
    return client


@pytest.mark.parametrize("asker", ASKERS)
def test_everybody_gets_as_far_as_their_role(asker: str, live_redis: str) -> None:
    role = ASKERS[asker] or (ANYBODY if asker == "nobody" else IN)
    client = client_of(asker)
    wrong = []
    for name, pattern in sorted(pages().items(), key=lambda page: page[0] in ENDING):
        for method, least in MAY[name].items():
            url = url_of(name, pattern)
            who = client_of(asker) if name in ENDING else client
            answer = getattr(who, method)(url)
            status, sent = answer.status_code, answer.headers.get("Location", "")
            if least == ANYBODY:
                well = status < 500 or name == "readyz"
            elif asker == "nobody":
                well = status == 302 and sent.startswith("/accounts/login/")
            elif role < least:
                well = status == 403
            else:
                well = status in {200, 302, 400, 404, 409, 422} and "/login/?next" not in sent
            if not well:
                wrong.append(f"{asker} {method} {url}: {status} {sent}")
    assert wrong == []


def test_a_method_that_is_not_in_the_table_is_refused_to_admins_too() -> None:
    client = client_of("Admin")
    taken = [
        f"{name} {method}"
        for name, pattern in pages().items()
        for method in set(METHODS) - set(MAY[name])
        if getattr(client, method)(url_of(name, pattern)).status_code != 405
    ]
    assert taken == [], f"These do something: add them to MAY in {__name__}, or refuse them."


@pytest.mark.parametrize("asker", [each for each in ASKERS if each != "Admin"])
def test_djangos_admin_is_for_admins_at_every_address(asker: str) -> None:
    client = client_of(asker)
    asked = 0
    for path, _, pattern in addresses(get_resolver().url_patterns):
        if not path.startswith("admin/") or pattern.name in {"login", "logout"}:
            continue
        url = "/" + path
        for word in pattern.pattern.converters:
            url = url.replace(f"<path:{word}>", "1").replace(f"<int:{word}>", "1")
        if "<" in url or "(" in url:
            continue
        asked += 1
        for method in ("get", "post"):
            answer = getattr(client, method)(url)
            assert answer.status_code == 302, f"{asker} {method} {url}"
            assert "login" in answer.headers["Location"], f"{asker} {method} {url}"
    assert asked > 30


def test_a_token_opens_no_page() -> None:
    """It is for the API, /metrics and the socket; whoever finds one cannot sit down with it."""
    key = make_token(make_user("otto", Role.ADMIN))
    for name, pattern in pages().items():
        if MAY[name].get("get", ANYBODY) != ANYBODY:
            answer = Client().get(url_of(name, pattern), headers={"authorization": f"Token {key}"})
            assert answer.status_code == 302, name
            assert answer.headers["Location"].startswith("/accounts/login/"), name


def test_every_socket_has_its_role_decided() -> None:
    found = {str(pattern.pattern) for pattern in websocket_urlpatterns}
    assert found == set(SOCKETS), f"Say in SOCKETS of {__name__} who may open each socket."


@pytest.mark.django_db(transaction=True)
def test_everybody_gets_as_far_into_a_socket_as_their_role(web: Web) -> None:
    given: dict[str, list[dict[str, str]]] = {}
    ours = f"http://127.0.0.1:{web.port}"
    for asker in ASKERS:
        client = client_of(asker)
        if asker == "nobody":
            given[asker] = [{}, {"Origin": ours}, {"Authorization": "Token nonsense"}]
            continue
        key = make_token(User.objects.get(username=asker))
        session = f"sessionid={client.cookies['sessionid'].value}"
        given[asker] = [{"Cookie": session, "Origin": ours}, {"Authorization": f"Token {key}"}]

    async def opens(path: str, headers: dict[str, str]) -> bool:
        uri = f"ws://127.0.0.1:{web.port}/{path}"
        try:
            async with websockets.connect(uri, additional_headers=headers):
                return True
        except websockets.InvalidStatus as refused:
            assert refused.response.status_code == 403
            return False

    async def run() -> None:
        for path, least in SOCKETS.items():
            for asker, ways in given.items():
                may = (ASKERS[asker] or ANYBODY) >= least
                for headers in ways:
                    assert await opens(path, headers) == may, f"{asker} {path} {list(headers)}"

    asyncio.run(run())
