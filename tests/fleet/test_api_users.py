"""Users through the API: made, changed and let out by admins, and somebody is left who can."""

import threading
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from fleet import users
from fleet.people import Account
from fleet.roles import Role, role_of, sites_of
from tests.support.databases import database, migrated_postgres
from tests.support.rows import make_site, make_token, make_user

__all__ = ["database", "migrated_postgres"]

pytestmark = pytest.mark.django_db

USERS = "/api/v1/users/"
BEGINS = "a night shift of seven"
VERA = {"name": "vera", "role": "operator", "password": BEGINS}


@pytest.fixture(autouse=True)
def quick_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ada() -> APIClient:
    return asking(make_user("ada", Role.ADMIN))


def asking(user: User) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {make_token(user)}")
    return client


def log_in(name: str, password: str) -> Client:
    client = Client()
    client.post("/accounts/login/", {"username": name, "password": password})
    return client


def address(user: User) -> str:
    return f"{USERS}{user.pk}/"


def test_a_user_is_made_with_a_password_that_goes_in_and_never_comes_out(ada: APIClient) -> None:
    made = ada.post(USERS, VERA, format="json")
    assert made.status_code == 201
    told = made.json()
    assert (told["name"], told["role"], told["is_active"]) == ("vera", "operator", True)
    assert told["must_change_password"] is True and told["logs_in_by"] == "password"
    assert made.headers["ETag"] == f'"{told["version"]}"'
    vera = User.objects.get(username="vera")
    assert role_of(vera) == Role.OPERATOR
    for answer in (made, ada.get(USERS), ada.get(address(vera))):
        assert b'password":' not in answer.content.replace(b"must_change_password", b"")
        assert vera.password.encode() not in answer.content
    assert log_in("vera", BEGINS).get("/").headers["Location"] == "/accounts/password/"


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"name": "ADA"}, "name", "a user of that name already"),
        ({"name": "ve ra"}, "name", "valid username"),
        ({"role": "king"}, "role", "not a valid choice"),
        ({"role": None}, "role", "Name a role"),
        ({"password": "password"}, "password", "too common"),
        ({"is_admin": True}, "is_admin", "no such field"),
    ],
)
def test_what_is_wrong_is_named(ada: APIClient, given: Any, field: str, said: str) -> None:
    answer = ada.post(USERS, VERA | given, format="json")
    assert answer.status_code == 400
    assert said in answer.json()[field][0]
    assert User.objects.count() == 1


def test_a_name_that_is_taken_at_this_moment_is_told(
    ada: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "new_name", str)
    answer = ada.post(USERS, VERA | {"name": "ada"}, format="json")
    assert answer.status_code == 409
    assert "already" in answer.json()["detail"]


def test_a_role_is_changed_by_who_has_seen_the_last_one(ada: APIClient) -> None:
    vera = make_user("vera", Role.VIEWER)
    seen = {"If-Match": ada.get(address(vera)).headers["ETag"]}
    change = {"role": "configurer"}
    assert ada.patch(address(vera), change, format="json", headers=seen).status_code == 200
    assert role_of(User.objects.get(pk=vera.pk)) == Role.CONFIGURER
    late = ada.patch(address(vera), {"role": "admin"}, format="json", headers=seen)
    assert late.status_code == 412
    assert role_of(User.objects.get(pk=vera.pk)) == Role.CONFIGURER
    assert ada.patch(address(vera), {"name": "eva"}, format="json").status_code == 400


def test_no_log_in_and_no_password_makes_another_version(ada: APIClient) -> None:
    vera = make_user("vera", Role.VIEWER)
    seen = ada.get(address(vera)).headers["ETag"]
    changed = ada.patch(address(vera), {"password": BEGINS}, format="json")
    log_in("vera", BEGINS)
    assert changed.headers["ETag"] == ada.get(address(vera)).headers["ETag"] == seen


def test_who_is_let_out_gets_nowhere_and_keeps_the_role_for_later(ada: APIClient) -> None:
    vera = make_user("vera", Role.OPERATOR)
    theirs = asking(vera)
    assert ada.patch(address(vera), {"is_active": False}, format="json").json()["role"] == (
        "operator"
    )
    assert theirs.get("/api/v1/sites/").status_code == 401
    assert ada.get(f"{USERS}?is_active=false").json()["count"] == 1
    ada.patch(address(vera), {"is_active": True}, format="json")
    assert theirs.get("/api/v1/sites/").status_code == 200


def test_a_new_password_ends_sessions_and_so_does_saying_so(ada: APIClient) -> None:
    vera = make_user("vera", Role.VIEWER)
    for act in ("password", "end"):
        vera.set_password(BEGINS)
        vera.save()
        Account.objects.filter(user=vera).update(must_change_password=False)
        session = log_in("vera", BEGINS)
        assert session.get("/").status_code == 200
        if act == "end":
            assert ada.post(f"{address(vera)}end-sessions/").status_code == 200
        else:
            ada.patch(address(vera), {"password": "another shift, of eight"}, format="json")
        assert session.get("/").headers["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("change", [{"role": "viewer"}, {"is_active": False}])
def test_the_last_admin_stays_one(ada: APIClient, change: dict[str, Any]) -> None:
    only = User.objects.get()
    refused = ada.patch(address(only), change, format="json")
    assert refused.status_code == 409 and "the only admin" in refused.json()["detail"]
    assert role_of(User.objects.get()) == Role.ADMIN
    make_user("eve", Role.ADMIN)
    assert ada.patch(address(only), change, format="json").status_code == 200


def test_two_admins_cannot_take_it_from_each_other_at_once(database: str, ada: APIClient) -> None:
    ann, ada_herself = make_user("ann", Role.ADMIN), User.objects.get(username="ada")
    meet, answers = threading.Barrier(2, timeout=60), []

    def demote(by: APIClient, whom: User) -> None:
        meet.wait()
        answers.append(by.patch(address(whom), {"role": "viewer"}, format="json").status_code)
        connection.close()

    pairs = ((ada, ann), (asking(ann), ada_herself))
    threads = [threading.Thread(target=demote, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    # The second is refused as the only one left, or as no admin any more.
    assert sorted(answers) in ([200, 403], [200, 409])
    assert User.objects.filter(groups__name="admin").count() == 1


def test_whose_role_is_kept_elsewhere_is_not_changed_here(ada: APIClient) -> None:
    vera = make_user("vera", Role.VIEWER)
    Account.objects.create(user=vera, issuer="ldap", subject="4711")
    assert ada.get(address(vera)).json()["logs_in_by"] == "the directory"
    for change in ({"role": "operator"}, {"password": BEGINS}):
        refused = ada.patch(address(vera), change, format="json")
        assert refused.status_code == 409 and "kept there" in refused.json()["detail"]
    assert ada.patch(address(vera), {"is_active": False}, format="json").status_code == 200


def test_the_audit_log_tells_by_whom_and_no_password(ada: APIClient) -> None:
    made = ada.post(USERS, VERA, format="json").json()
    ada.patch(f"{USERS}{made['id']}/", {"role": "viewer", "is_active": False}, format="json")
    entries = LogEntry.objects.filter(object_pk=str(made["id"]), content_type__model="user")
    told = [entry.changes_dict for entry in entries]
    assert any("is_active" in changes for changes in told)
    assert any("groups" in changes for changes in told)
    assert all(entry.additional_data["by"] == "ada" for entry in entries)
    assert BEGINS not in str(told) and User.objects.get(username="vera").password not in str(told)


def test_many_users_cost_no_more_queries(
    ada: APIClient, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        make_user(f"user-{number}", Role.VIEWER)
    with django_assert_max_num_queries(9):
        assert ada.get(USERS).json()["count"] == 21


def test_a_user_is_limited_to_sites(database: str, ada: APIClient) -> None:
    north, south = make_site("north").pk, make_site("south").pk
    made = ada.post(USERS, VERA | {"sites": [south, north]}, format="json")
    assert made.json()["sites"] == sorted([north, south])
    vera = User.objects.get(username="vera")
    assert sites_of(vera) == {north, south}
    seen = {"If-Match": made.headers["ETag"]}
    kept = ada.patch(address(vera), {"sites": [north]}, format="json", headers=seen)
    assert kept.json()["sites"] == [north]
    late = ada.patch(address(vera), {"sites": []}, format="json", headers=seen)
    assert late.status_code == 412, "somebody else changed them meanwhile"
    for given, status in (({"sites": [987_654]}, 400), ({"role": "admin", "sites": [north]}, 409)):
        assert ada.patch(address(vera), given, format="json").status_code == status
    assert ada.get(address(vera)).json()["role"] == "operator", "all of a change or nothing"
    assert ada.patch(address(vera), {"sites": []}, format="json").json()["sites"] == []
    assert sites_of(User.objects.get(username="vera")) is None
