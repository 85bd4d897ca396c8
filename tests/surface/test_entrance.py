"""The log-in and the audit log: nobody learns who is there, and everybody is named rightly."""

import re
from typing import Any

import pytest
from auditlog.models import LogEntry
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.test import Client

from fleet.models import Handset, Site
from fleet.roles import Role
from tests.support.rows import make_group, make_line, make_token, make_user

pytestmark = pytest.mark.django_db

LOGIN = "/accounts/login/"


def person(name: str, password: str, role: Role = Role.VIEWER) -> User:
    user = make_user(name, role)
    user.set_password(password)
    user.save()
    return user


def said(client: Client, name: str) -> tuple[int, str]:
    answer = client.post(LOGIN, {"username": name, "password": "guess"})
    page = answer.content.decode().replace(name, "NAME")
    for changing in (r'data-now="[^"]+"', r'name="csrfmiddlewaretoken" value="\w+"'):
        page = re.sub(changing, "", page)
    return answer.status_code, page


@pytest.fixture(autouse=True)
def quick_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def test_a_stranger_cannot_tell_who_is_there() -> None:
    """Known, retired or unknown: the same words, the same lock, and the same work is done."""
    person("vera", "night-shift-7")
    person("rita", "night-shift-7")
    User.objects.filter(username="rita").update(is_active=False)
    heard = []
    for name in ("vera", "rita", "norbert"):
        client = Client()
        heard.append([said(client, name) for _ in range(9)])
    assert heard[0] == heard[1] == heard[2]
    assert [status for status, _ in heard[0]] == [200] * 7 + [429] * 2


def test_who_is_locked_out_gets_a_page_that_says_how_long() -> None:
    person("vera", "night-shift-7")
    client = Client()
    for _ in range(8):
        answer = client.post(LOGIN, {"username": "vera", "password": "guess"})
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "300"
    page = answer.content.decode()
    assert "wait 5 minutes" in page
    assert "rollcall.css" in page
    assert "vera" not in page and "guess" not in page
    from_script = {"x-requested-with": "XMLHttpRequest"}
    again = client.post(LOGIN, {"username": "vera", "password": "x"}, headers=from_script)
    assert "Access-Control-Allow-Origin" not in again.headers
    admin = client.post("/admin/login/", {"username": "vera", "password": "night-shift-7"})
    assert admin.status_code == 429, "the other door is the same"


def test_no_guess_is_kept_where_somebody_could_read_it() -> None:
    """People type their password for another account, or into the field for the name."""
    client = Client()
    client.post(LOGIN, {"username": "vera", "password": "my-bank-password"})
    assert "my-bank-password" not in str(list(AccessAttempt.objects.values()))


def test_a_change_through_the_api_names_who_asked_and_from_where() -> None:
    otto = person("otto", "night-shift-7", Role.CONFIGURER)
    site = Site.objects.create(name="main", time_zone="UTC")
    handset = make_line(make_group(), site).handset
    LogEntry.objects.all()._raw_delete("default")  # as only a test can
    token = make_token(otto)
    forged = {"authorization": f"Token {token}", "x-forwarded-for": "nonsense"}
    address = f"/api/v1/handsets/{handset.pk}/"
    body = {"data": {"name": "Ward 4"}, "content_type": "application/json"}
    assert Client().patch(address, headers=forged, **body).status_code == 200
    [entry] = LogEntry.objects.get_for_model(Handset)
    assert (entry.actor, entry.remote_addr) == (otto, "127.0.0.1")
    session = Client()
    session.force_login(otto)
    body["data"] = {"name": "Ward 5"}
    assert session.patch(address, **body).status_code == 200
    assert LogEntry.objects.get_for_model(Handset).latest().actor == otto


def test_who_asks_next_is_not_taken_for_who_asked_before() -> None:
    otto, vera = (person(name, "x", Role.CONFIGURER) for name in ("otto", "vera"))
    tokens = [make_token(user) for user in (otto, vera)]
    client = Client()
    for number, key in enumerate(tokens):
        made = client.post(
            "/api/v1/sites/",
            {"name": f"site-{number}", "time_zone": "UTC"},
            content_type="application/json",
            headers={"authorization": f"Token {key}"},
        )
        assert made.status_code == 201
    entries = LogEntry.objects.get_for_model(Site).order_by("pk")
    assert [entry.actor for entry in entries] == [otto, vera]
