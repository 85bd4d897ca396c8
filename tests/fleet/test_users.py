"""Users and their sessions: who makes them, what ends them, and that somebody is left who can."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from auditlog.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from fleet import sessions
from fleet.people import SiteLimit
from fleet.roles import Role, role_of, sites_of
from fleet.signals import access_changed
from tests.support.databases import database, migrated_postgres
from tests.support.rows import make_site, make_token, make_user

__all__ = ["database", "migrated_postgres"]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quick_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ada() -> Client:
    return signed_in(make_user("ada", Role.ADMIN))


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def is_in(client: Client) -> bool:
    return client.get("/").status_code == 200


def log_in(name: str, password: str) -> Client:
    client = Client()
    given = {"username": name, "password": password}
    assert client.post("/accounts/login/", given).status_code == 302
    return client


def told(page: Any) -> str:
    found = re.search(r'value="([a-z0-9-]{17})" aria-label="The password', page.content.decode())
    assert found is not None
    return found.group(1)


def test_a_new_user_begins_with_a_password_they_have_to_change(ada: Client) -> None:
    page = ada.post("/users/", {"name": "vera", "role": Role.OPERATOR.value})
    password = told(page)
    assert password not in ada.get("/users/").content.decode()
    vera = log_in("vera", password)
    for address in ("/", "/handsets/", "/accounts/tokens/", "/api/v1/sites/"):
        answer = vera.get(address)
        assert answer.status_code in (302, 403), address
    assert vera.get("/").headers["Location"] == "/accounts/password/"
    assert "Choose a password" in vera.get("/accounts/password/").content.decode()
    chosen = "a night shift of seven"
    form = {"old_password": password, "new_password1": chosen, "new_password2": chosen}
    assert vera.post("/accounts/password/", form).status_code == 302
    assert is_in(vera)
    assert is_in(log_in("vera", chosen))
    assert role_of(User.objects.get(username="vera")) == Role.OPERATOR


def test_a_password_that_everybody_uses_is_refused(ada: Client) -> None:
    vera = log_in("vera", told(ada.post("/users/", {"name": "vera", "role": 1})))
    form = {"old_password": "x", "new_password1": "password", "new_password2": "password"}
    answer = vera.post("/accounts/password/", form)
    assert answer.status_code == 400
    assert "too common" in answer.content.decode()


@pytest.mark.parametrize("act", ["reset", "out", "password", "everywhere", "sessions", "role"])
def test_what_ends_a_users_sessions(ada: Client, act: str) -> None:
    vera = make_user("vera", Role.VIEWER)
    vera.set_password("what she has")
    vera.save()
    here, elsewhere = log_in("vera", "what she has"), log_in("vera", "what she has")
    assert is_in(here) and is_in(elsewhere)
    chosen = "what she takes now"
    form = {"old_password": "what she has", "new_password1": chosen, "new_password2": chosen}
    match act:
        case "reset":
            told(ada.post(f"/users/{vera.pk}/password/"))
        case "out":
            ada.post(f"/users/{vera.pk}/active/", {"active": "0"})
        case "password":
            here.post("/accounts/password/", form)
        case "everywhere":
            here.post("/accounts/sessions/end/")
        case "sessions":
            ada.post(f"/users/{vera.pk}/sessions/end/")
        case "role":
            ada.post(f"/users/{vera.pk}/role/", {"role": Role.OPERATOR.value})
    assert is_in(elsewhere) == (act == "role")
    assert is_in(here) == (act in ("role", "password"))
    assert is_in(ada)


def test_who_is_deactivated_gets_nowhere_and_can_be_let_in_again(ada: Client) -> None:
    vera = make_user("vera", Role.VIEWER)
    headers = {"authorization": f"Token {make_token(vera)}"}
    ada.post(f"/users/{vera.pk}/active/", {"active": "0"})
    assert Client().get("/api/v1/sites/", headers=headers).status_code == 401
    assert "Deactivated" in ada.get("/users/").content.decode()
    ada.post(f"/users/{vera.pk}/active/", {"active": "1"})
    assert Client().get("/api/v1/sites/", headers=headers).status_code == 200


def test_the_only_admin_stays_one(database: str, ada: Client) -> None:
    me = User.objects.get(username="ada")
    for address, given in (
        (f"/users/{me.pk}/role/", {"role": Role.VIEWER.value}),
        (f"/users/{me.pk}/active/", {"active": "0"}),
    ):
        page = ada.post(address, given, follow=True).content.decode()
        assert "the only admin" in page
        assert role_of(User.objects.get(username="ada")) == Role.ADMIN
    User.objects.create_superuser("root")
    ada.post(f"/users/{me.pk}/role/", {"role": Role.VIEWER.value})
    assert role_of(User.objects.get(username="ada")) == Role.VIEWER


def test_a_role_given_to_a_superuser_counts(ada: Client) -> None:
    root = User.objects.create_superuser("root")
    ada.post(f"/users/{root.pk}/role/", {"role": Role.VIEWER.value})
    assert role_of(User.objects.get(username="root")) == Role.VIEWER


def test_a_session_ends_when_it_was_long_unused_or_is_old(settings: Any) -> None:
    settings.SESSION_HOURS, settings.SESSION_IDLE_MINUTES = 12, 60
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        client = signed_in(make_user("vera", Role.VIEWER))
        for _ in range(14):
            clock.shift(timedelta(minutes=50))
            assert is_in(client), "it is used"
        clock.shift(timedelta(minutes=50))
        assert not is_in(client), "12 hours are over"
        client = signed_in(User.objects.get())
        clock.shift(timedelta(minutes=30))
        assert client.get("/moves/", headers={"HX-Request": "true"}).status_code == 200
        clock.shift(timedelta(minutes=31))
        assert not is_in(client), "a page that is left open does not use it"


@pytest.mark.parametrize("method", ["get", "head"])
def test_who_only_asks_with_a_session_that_is_over_keeps_the_cookie_that_came_meanwhile(
    method: str,
) -> None:
    user = make_user("vera", Role.VIEWER)
    user.set_password("a night shift of seven")
    user.save()
    vera, late = signed_in(user), Client()
    late.cookies["sessionid"] = vera.cookies["sessionid"].value
    chosen = "a day shift of eleven"
    form = {"old_password": "a night shift of seven"}
    form |= {"new_password1": chosen, "new_password2": chosen}
    assert vera.post("/accounts/password/", form).status_code == 302
    answer = getattr(late, method)("/")
    assert answer.status_code == 302
    assert "sessionid" not in answer.cookies
    assert is_in(vera)


def test_a_log_out_deletes_the_cookie() -> None:
    vera = signed_in(make_user("vera", Role.VIEWER))
    assert vera.post("/accounts/logout/").cookies["sessionid"].value == ""


def test_using_a_session_writes_once_a_minute(django_assert_num_queries: Any) -> None:
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        client = signed_in(make_user("vera", Role.VIEWER))
        clock.shift(timedelta(seconds=sessions.USE_SECONDS + 1))
        client.get("/accounts/password/")
        with django_assert_num_queries(3):  # session, user with account, role
            client.get("/accounts/password/")


def test_the_audit_log_has_all_of_it_without_a_password(ada: Client) -> None:
    password = told(ada.post("/users/", {"name": "vera", "role": Role.OPERATOR.value}))
    vera = User.objects.get(username="vera")
    LogEntry.objects.all()._raw_delete("default")  # as only a test can
    again = told(ada.post(f"/users/{vera.pk}/password/"))
    ada.post(f"/users/{vera.pk}/role/", {"role": Role.VIEWER.value})
    ada.post(f"/users/{vera.pk}/sessions/end/")
    ada.post(f"/users/{vera.pk}/active/", {"active": "0"})
    entries = list(LogEntry.objects.all())
    assert {entry.actor.username for entry in entries if entry.actor} == {"ada"}
    kept = str([entry.changes for entry in entries])
    for word in ("password", "groups", "sessions_ended_at", "is_active"):
        assert word in kept, word
    assert password not in kept and again not in kept


def limits(name: str) -> list[str]:
    user = User.objects.get(username=name)
    return list(user.site_limits.values_list("site__name", flat=True))


def test_an_admin_limits_a_user_to_sites_and_takes_that_back(database: str, ada: Client) -> None:
    north, south = make_site("north"), make_site("south")
    vera = make_user("vera", Role.VIEWER)
    address = f"/users/{vera.pk}/sites/"
    page = ada.post(address, {"sites": [north.pk, south.pk]}, follow=True).content.decode()
    assert "vera sees north, south only now." in page
    ada.post(address, {"sites": [south.pk]})
    assert limits("vera") == ["south"]
    assert "checked" in ada.get(address).content.decode()
    assert sites_of(User.objects.get(username="vera")) == {south.pk}
    ada.post(address)
    assert limits("vera") == []
    assert sites_of(User.objects.get(username="vera")) is None
    kept = LogEntry.objects.filter(content_type__model="sitelimit").order_by("pk")
    assert [(each.action, each.additional_data["by"]) for each in kept] == [
        (action, "ada") for action in (0, 0, 2, 2)
    ]
    assert str(kept[0]).endswith("vera to north")


def test_limits_of_one_are_not_anothers(database: str) -> None:
    north, south = make_site("north"), make_site("south")
    vera, otto, root = (
        make_user(name, role)
        for name, role in (("vera", Role.VIEWER), ("otto", Role.OPERATOR), ("root", Role.ADMIN))
    )
    for user, site in ((vera, north), (vera, south), (root, north)):
        SiteLimit.objects.create(user=user, site=site)
    found = {user.username: user for user in User.objects.all()}
    assert sites_of(found["vera"]) == {north.pk, south.pk}
    assert sites_of(found["otto"]) is None
    assert sites_of(found["root"]) is None, "an admin sees all sites"


def test_somebody_new_can_be_limited_from_the_start(ada: Client) -> None:
    north = make_site("north")
    make_site("south")
    given = {"name": "vera", "role": Role.VIEWER.value, "sites": [north.pk]}
    told(ada.post("/users/", given))
    assert limits("vera") == ["north"]
    answer = ada.post("/users/", given | {"name": "root", "role": Role.ADMIN.value})
    assert answer.status_code == 400
    assert "Admins see all sites" in answer.content.decode()
    assert not User.objects.filter(username="root").exists()


def test_an_admin_is_limited_to_nothing(ada: Client) -> None:
    me, north = User.objects.get(username="ada"), make_site("north")
    page = ada.post(f"/users/{me.pk}/sites/", {"sites": [north.pk]}, follow=True)
    assert "admins see all sites" in page.content.decode()
    assert limits("ada") == []


def test_a_site_somebody_is_limited_to_stays(ada: Client) -> None:
    """Without its last one they would see everything."""
    north, vera = make_site("north"), make_user("vera", Role.VIEWER)
    ada.post(f"/users/{vera.pk}/sites/", {"sites": [north.pk]})
    page = ada.post(f"/delete/site/{north.pk}/", {"named": "north"}, follow=True).content.decode()
    assert "vera is limited to it" in page
    assert limits("vera") == ["north"]


def test_who_is_limited_to_sites_meanwhile_is_looked_at_again_at_once(ada: Client) -> None:
    north, vera = make_site("north"), make_user("vera", Role.VIEWER)
    told_of: list[int] = []

    def hear(user_id: int, **_: Any) -> None:
        told_of.append(user_id)

    access_changed.connect(hear)
    try:
        ada.post(f"/users/{vera.pk}/sites/", {"sites": [north.pk]})
    finally:
        access_changed.disconnect(hear)
    assert told_of == [vera.pk]
