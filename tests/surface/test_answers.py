"""What every answer carries, and what is said where no view answers."""

import logging
import logging.config
import random
from itertools import product
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from fleet.config import logs
from fleet.config.urls import (
    handler400,
    handler403,
    handler404,
    handler500,
    urlpatterns,
)
from fleet.roles import Role
from tests.support import fuzzing, pages
from tests.support.rows import make_user

pytestmark = pytest.mark.django_db

BREAKS = "something of the inside: sesame"


def breaks(request: HttpRequest) -> HttpResponse:
    raise RuntimeError(BREAKS)


breaks.login_required = False  # type: ignore[attr-defined]


class Broken:
    """Our addresses and some that break."""

    handler400, handler403, handler404, handler500 = handler400, handler403, handler404, handler500
    urlpatterns = [path("breaks/", breaks), path("api/v1/breaks/", breaks), *urlpatterns]


@pytest.fixture
def admin(client: Client) -> Client:
    client.raise_request_exception = False
    client.force_login(User.objects.create_superuser("admin"))
    return client


def faults_of(answer: Any) -> list[str]:
    """What a strict browser would miss in its headers."""
    given = answer.headers
    policy = given.get("Content-Security-Policy", "")
    wanted = {
        "no policy of its own": "default-src 'self'" in policy and "script-src 'self'" in policy,
        "may run what stands in the page": "unsafe" not in policy and "nonce" not in policy,
        "may be framed": "frame-ancestors 'none'" in policy
        and given.get("X-Frame-Options") == "DENY",
        "may be sniffed": given.get("X-Content-Type-Options") == "nosniff",
        "tells where one comes from": given.get("Referrer-Policy")
        in ("same-origin", "no-referrer"),
        "may reach for the camera": "camera=()" in given.get("Permissions-Policy", ""),
        "may be opened into": given.get("Cross-Origin-Opener-Policy") == "same-origin",
        "may be loaded elsewhere": given.get("Cross-Origin-Resource-Policy") == "same-origin",
        "may be read elsewhere": "Access-Control-Allow-Origin" not in given,
    }
    return [fault for fault, is_well in wanted.items() if not is_well]


def test_every_page_every_error_and_every_file_is_shut_to_other_origins(
    admin: Client, settings: Any
) -> None:
    settings.ROOT_URLCONF = Broken
    ids = pages.make_fleet()
    asked = [
        *((name, address, 200) for name, address in pages.addresses(ids)),
        *((name, address, 200) for name, address in pages.addresses_then(ids)),
        *(("admin", f"/admin/{part}", 200) for part in ("", "auth/user/", "fleet/line/add/")),
        *((part, f"/api/v1/{part}/", 200) for part in ("sites", "handsets", "registrations")),
        *((part, f"/{part}", 200) for part in ("healthz", "static/rollcall/rollcall.css")),
        *((part, f"/api/v1/{part}", 200) for part in ("schema/", "summary/")),
        *((part, part, 404) for part in ("/nothing/", "/api/v1/nothing/", "/static/nothing.css")),
        *((part, part, 500) for part in ("/breaks/", "/api/v1/breaks/")),
        ("a redirect", "/api/v1/sites", 301),
        ("a refused file", "/api/v1/transitions/export/?format=exe", 400),
    ]
    wrong = {}
    for name, address, status in asked:
        answer = admin.get(address)
        assert answer.status_code == status, address
        if faults := faults_of(answer):
            wrong[name] = faults
    for name, answer in (
        ("another host", admin.get("/", headers={"host": "evil.example"})),
        ("a forged form", Client(enforce_csrf_checks=True).post("/accounts/login/")),
        ("the log-in", Client().get("/accounts/login/")),
        ("not a method", admin.post("/history/")),
    ):
        assert answer.status_code in (200, 400, 403, 405)
        if faults := faults_of(answer):
            wrong[name] = faults
    assert wrong == {}


OPEN = {"wallboard_of_token"}
"""Pages for those who do not log in: their key says what they may see."""

OWN = {"password"}
"""Pages about oneself alone, for everybody who has logged in."""


def test_no_page_is_shown_to_a_stranger_or_to_who_has_no_role() -> None:
    ids = pages.make_fleet()
    nobody = Client()
    nobody.force_login(User.objects.create_user("nobody"))
    for name, address in [*pages.addresses(ids), *pages.addresses_then(ids)]:
        if name not in OPEN:
            sent = Client().get(address)
            assert sent.status_code == 302, name
            assert sent.headers["Location"].startswith("/accounts/login/"), name
            if name not in OWN:
                assert nobody.get(address).status_code == 403, name


def test_no_page_has_a_script_or_a_style_in_it(admin: Client) -> None:
    ids = pages.make_fleet()
    for name, address in pages.addresses(ids):
        page = admin.get(address).content.decode()
        assert "<style" not in page and " style=" not in page, name
        assert "<script>" not in page and "javascript:" not in page, name
        assert not any(f" on{event}=" in page for event in ("click", "load", "error")), name


def test_cookies_are_read_by_no_script_and_sent_by_no_other_site(client: Client) -> None:
    make_user("vera", Role.VIEWER)
    User.objects.filter(username="vera").update(password="!")
    user = User.objects.get(username="vera")
    user.set_password("night-shift-7")
    user.save()
    client.get("/accounts/login/")
    client.post("/accounts/login/", {"username": "vera", "password": "night-shift-7"})
    assert {"sessionid", "csrftoken"} <= client.cookies.keys()
    for name in ("sessionid", "csrftoken"):
        cookie = client.cookies[name]
        assert cookie["httponly"], name
        assert cookie["samesite"] == "Lax", name


def test_a_log_in_has_a_session_of_its_own(client: Client) -> None:
    """Nobody can plant a session and wait for somebody to log in to it."""
    user = make_user("vera", Role.VIEWER)
    user.set_password("night-shift-7")
    user.save()
    client.cookies["sessionid"] = "planted"
    client.post("/accounts/login/", {"username": "vera", "password": "night-shift-7"})
    assert client.cookies["sessionid"].value not in ("planted", "")


@pytest.mark.parametrize("is_known", [True, False])
def test_the_api_answers_in_json_where_there_is_nothing(admin: Client, is_known: bool) -> None:
    asker = admin if is_known else Client()
    for method in (asker.get, asker.post, asker.delete):
        answer = method("/api/v1/no-such-thing/")
        assert (answer.status_code, answer.json()) == (404, {"detail": "Nothing is here."})
    page = asker.get("/no-such-page/")
    assert page.status_code == 404
    assert "Nothing is here" in page.content.decode()


def test_what_breaks_tells_its_log_and_nobody_else(
    admin: Client, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ROOT_URLCONF = Broken
    assert "sesame" not in admin.get("/breaks/").content.decode()
    answer = admin.get("/api/v1/breaks/")
    assert answer.json().keys() == {"detail"}
    assert "sesame" not in answer.content.decode()
    assert "sesame" in caplog.text


def test_another_host_and_a_forged_form_get_a_page_that_says_so(admin: Client) -> None:
    page = admin.get("/", headers={"host": "evil.example"})
    assert page.status_code == 400
    assert "cannot be understood" in page.content.decode()
    assert "ALLOWED_HOSTS" in page.content.decode()
    strict = Client(enforce_csrf_checks=True)
    page = strict.post("/accounts/login/", {"username": "a", "password": "b"})
    assert page.status_code == 403
    assert "Open the page anew" in page.content.decode()
    assert admin.get("/api/v1/sites/", headers={"host": "evil.example"}).json()


def test_a_refusal_is_one_line_in_the_log_and_a_fault_keeps_its_traceback(
    client: Client, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.ROOT_URLCONF = Broken
    client.raise_request_exception = False
    client.force_login(make_user("vera", Role.VIEWER))
    assert client.post("/jobs/new/", {}).status_code == 403
    client.get("/breaks/")
    refused, broke = [r for r in caplog.records if r.name == "django.request"][-2:]
    assert "/jobs/new/" in refused.getMessage() and "/breaks/" in broke.getMessage()
    [written] = logging.config.dictConfigClass(settings.LOGGING).config["handlers"].values()
    assert "refusals" in written["filters"]
    assert logs.without_refusals(refused) and refused.exc_info is None
    assert logs.without_refusals(broke) and broke.exc_info is not None


HOSTILE = (
    *("\x00", "a\x00b", "'\"--", "%", "_", "\\", "-1", "1e9", "9" * 400, "²", "\u202e", "🚑" * 50),
    *(
        "../../etc/passwd",
        "<script>alert(1)</script>",
        "{{ 7*7 }}",
        "${jndi:ldap://x}",
        "[]",
        "a" * 5000,
    ),
)


def test_no_parameter_breaks_a_page_or_is_given_back_as_markup(admin: Client) -> None:
    ids = pages.make_fleet()
    names = (
        *("q", "state", "group", "site", "server", "sort", "page", "page_size", "at", "since"),
        *("until", "cause", "view", "from", "by", "theme", "next", "format", "zone", "columns"),
    )
    addresses = [address for _, address in pages.addresses(ids)]
    addresses += [f"/api/v1/{p}/" for p in ("handsets", "registrations", "transitions", "census")]
    asked = list(product(addresses, names, HOSTILE))
    for address, name, value in asked if fuzzing.AT_LENGTH else random.Random(1).sample(asked, 100):
        answer = admin.get(f"{address}{'&' if '?' in address else '?'}{name}={quote(value)}")
        assert answer.status_code < 500, (address, name, value)
        assert b"<script>alert" not in answer.content, (address, name)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_nul_anywhere_is_a_wrong_request_and_no_fault(database: str, admin: Client) -> None:
    for address in (
        *("/handsets/?view=%00", "/history/?group=%00", "/history/?site=a%00b", "/handsets/?q=%00"),
        *("/api/v1/registrations/?view=%00", "/api/v1/transitions/export/?site=%00"),
        *("/handsets/mac/a%00b/", "/wallboard/a%00b/"),
    ):
        assert admin.get(address).status_code in (200, 400, 403, 404), address
    body = {"query": "group=%00", "name": "x"}
    assert admin.post("/handsets/views/", body).status_code in (302, 400)


@pytest.mark.parametrize("value", ["0", "9" * 30, "-1", "%00", "1%20or%201"])
def test_no_id_breaks_a_page(admin: Client, value: str) -> None:
    for page in ("handsets", "groups", "servers", "jobs", "exports", "start", "wallboard"):
        for address in (f"/{page}/{value}/", f"/api/v1/{page}/{value}/"):
            assert admin.get(address).status_code in (403, 404), address


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    "body",
    [DEEP, DEEP + "]" * 100_000, '{"a":' * 50_000, "\xff", '"\\ud800"', "NaN", "", "nul", "1e999"],
)
def test_no_json_breaks_the_api(admin: Client, body: str) -> None:
    for address in ("imports/", "handsets/", "failbacks/", "views/"):
        answer = admin.post(
            f"/api/v1/{address}", body.encode("latin-1"), content_type="application/json"
        )
        assert answer.status_code in (400, 404), address
        assert answer.json()
