"""The audit log: who did what, from where and with what; and that nobody takes it back."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.test import Client

from fleet import append_only, audit, exporting, services
from fleet.models import Line, Site
from fleet.roles import Role
from tests.support.databases import database, migrated_postgres
from tests.support.rows import make_group, make_line, make_token, make_user

__all__ = ["database", "migrated_postgres"]

pytestmark = pytest.mark.django_db


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def ada() -> Client:
    return signed_in(make_user("ada", Role.ADMIN))


def entries(client: Client, query: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"/api/v1/audit/?{query}")
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


SITE = {"name": "north", "time_zone": "UTC"}


def test_a_change_tells_who_from_where_and_with_which_token(ada: Client) -> None:
    key = make_token(make_user("otto", Role.CONFIGURER), name="Grafana")
    headers = {"authorization": f"Token {key}"}
    body = {"data": SITE, "content_type": "application/json"}
    assert Client().post("/api/v1/sites/", headers=headers, **body).status_code == 201
    (told,) = entries(ada, "kind=site")
    assert (told["by"], told["token"], told["session"]) == ("otto", "Grafana", "")
    assert (told["did"], told["object"], told["from_address"]) == ("made", "north", "127.0.0.1")
    assert told["request"]
    address = f"/api/v1/sites/{told['object_id']}/"
    change = {"data": {"time_zone": "America/Denver"}, "content_type": "application/json"}
    assert ada.patch(address, headers={"If-Match": "*"}, **change).status_code == 200
    newest = entries(ada, "kind=site")[0]
    assert newest["changes"] == {"time_zone": ["UTC", "America/Denver"]}
    assert (newest["by"], newest["token"], len(newest["session"])) == ("ada", "", 8)


def test_who_changed_something_is_known_when_they_are_no_user_any_more(ada: Client) -> None:
    otto = make_user("otto", Role.CONFIGURER)
    body = {"data": SITE, "content_type": "application/json"}
    signed_in(otto).post("/api/v1/sites/", **body)
    otto.delete()
    (told,) = entries(ada, "kind=site&by=otto")
    assert told["by"] == "otto"


def test_what_nobody_asked_for_names_nobody(ada: Client) -> None:
    ada.get("/users/")
    Site.objects.create(name="by-command")
    (told,) = entries(ada, "kind=site")
    assert (told["by"], told["session"], told["from_address"]) == ("", "", "")


def test_log_in_and_out_are_told() -> None:
    user = make_user("vera", Role.VIEWER)
    user.set_password("night-shift-7")
    user.save()
    client = Client()
    client.post("/accounts/login/", {"username": "vera", "password": "night-shift-7"})
    client.post("/accounts/logout/")
    ada = signed_in(make_user("ada", Role.ADMIN))
    told = [each["changes"] for each in entries(ada, "by=vera") if "session" in each["changes"]]
    assert told == [{"session": ["logged in", "logged out"]}, {"session": ["", "logged in"]}]


def test_the_page_and_the_file_show_what_the_filter_says(ada: Client) -> None:
    for name in ("north", "south"):
        Site.objects.create(name=name)
    page = ada.get("/audit/?q=north&kind=site").content.decode()
    assert "north" in page and "south" not in page
    assert ada.get("/audit/?nonsense=1").status_code == 400
    assert ada.get("/audit.csv?kind=nonsense").status_code == 400
    file = b"".join(ada.get("/audit.csv?kind=site"))  # type: ignore[arg-type]
    rows = list(csv.DictReader(io.StringIO(file.decode())))
    assert [row["object"] for row in rows] == ["south", "north"]
    assert json.loads(rows[0]["changes"])["name"] == ["None", "south"]
    everything = entries(ada)
    older = ada.get(f"/audit/?before={everything[0]['id']}").content.decode()
    assert "north" in older and "south" not in older


def test_a_long_log_is_leafed_through_and_exported_in_chunks(
    ada: Client, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    monkeypatch.setattr("fleet.audit_log.AT_ONCE", 3)
    monkeypatch.setattr("fleet.audit_log.CHUNK", 2)
    for number in range(7):
        Site.objects.create(name=f"site-{number}")
    page = ada.get("/audit/?kind=site").content.decode()
    assert "site-6" in page and "site-3" not in page
    assert "Older" in page
    file = b"".join(ada.get("/audit.csv?kind=site"))  # type: ignore[arg-type]
    assert file.count(b"\n") == 8
    with django_assert_max_num_queries(12):
        ada.get("/audit/")


@pytest.mark.parametrize("ending", exporting.WITH_PASSWORDS)
def test_the_fleet_with_passwords_is_an_admins_who_asks_and_comes_back_whole(
    ada: Client, ending: str
) -> None:
    make_line(make_group(), auth_password="=sing, Tweety")
    before = exporting.rows(passwords=True)
    assert ada.get("/import/fleet-with-passwords/").status_code == 405
    assert ada.post("/import/fleet-with-passwords/", {"ending": "csv"}).status_code == 404
    answer = ada.post("/import/fleet-with-passwords/", {"ending": ending})
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    (told,) = [each for each in entries(ada, "kind=line") if "export" in each["changes"]]
    assert (told["by"], told["changes"]) == (
        "ada",
        {"export": ["", f"all SIP passwords, as {ending}"]},
    )
    Line.objects.update(auth_password="forgotten")
    services.import_files([(f"fleet.{ending}", answer.content)], by="ada")
    assert exporting.rows(passwords=True) == before
    (told,) = [each for each in entries(ada, "kind=handset") if each["object"] == "an import"]
    assert told["changes"]["lines"] == ["", "0 made, 1 changed"]
    for plain in exporting.FORMATS:
        assert b"Tweety" not in ada.get(f"/import/fleet.{plain}").content


@pytest.fixture
def kept(database: str) -> Iterator[str]:
    """The database as it is in production: tests alone may empty the log."""
    append_only.lift(connection)
    append_only.put(connection)
    yield database
    append_only.lift(connection)


def test_the_database_refuses_to_change_or_delete_an_entry(kept: str) -> None:
    user = make_user("vera", Role.VIEWER)
    audit.record(user, {"session": ["", "logged in"]}, actor=user)
    rows = LogEntry.objects.all()
    before = list(rows.values_list("pk", "changes"))
    for act in (
        lambda: rows._raw_delete("default"),
        lambda: rows.update(object_repr="somebody else"),
        lambda: rows.update(actor=None, object_repr="somebody else"),
    ):
        with pytest.raises(DatabaseError, match="only added to"), transaction.atomic():
            act()
    with pytest.raises(audit.Kept):
        rows.first().delete()  # type: ignore[union-attr]
    with pytest.raises(audit.Kept):
        rows.first().save()  # type: ignore[union-attr]
    user.delete()
    assert list(rows.order_by("pk").values_list("pk", "changes"))[: len(before)] == before[::-1]
