"""Log-in by an LDAP directory, against a real slapd: who comes in, as what, and who never does."""

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from ldap3.utils.dn import escape_rdn

from fleet import directory
from fleet.roles import Role, role_of
from tests.support.databases import database, migrated_postgres
from tests.support.directory import BASE, GROUPS, PASSWORD, PEOPLE, Slapd, slapd
from tests.support.log_ins import both_at_once
from tests.support.rows import make_user

__all__ = ["database", "migrated_postgres"]

pytestmark = pytest.mark.django_db

LOGIN = "/accounts/login/"


@pytest.fixture(scope="module")
def running() -> Iterator[Slapd]:
    with slapd() as made:
        yield made


@pytest.fixture
def there(running: Slapd, settings: Any) -> Iterator[Slapd]:
    """With vera, who watches; whoever a test puts in is taken out after it."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.LDAP = running.settings()
    backends = list(settings.AUTHENTICATION_BACKENDS)
    settings.AUTHENTICATION_BACKENDS = [*backends, "fleet.directory_login.DirectoryBackend"]
    running.person("vera", "watchers")
    yield running
    running.empty()


@pytest.fixture(params=["service", "themselves"])
def asked_by(request: pytest.FixtureRequest, there: Slapd, settings: Any) -> str:
    """Both ways to ask: as a service account, and as who logs in."""
    if request.param == "themselves":
        own = f"cn={{user}},{PEOPLE}"
        settings.LDAP = there.settings(bind_dn="", bind_password="", user_dn=own)
    return str(request.param)


def log_in(name: str, password: str = PASSWORD) -> tuple[Client, Any]:
    client = Client()
    return client, client.post(LOGIN, {"username": name, "password": password})


def comes_in(name: str, password: str = PASSWORD) -> bool:
    client, answer = log_in(name, password)
    return answer.status_code == 302 and client.get("/").status_code == 200


def role_here(name: str) -> Role | None:
    return role_of(User.objects.get(username=name))


def test_the_right_password_makes_a_user_with_the_role_of_their_group(asked_by: str) -> None:
    assert comes_in("vera")
    vera = User.objects.get(username="vera")
    assert role_of(vera) == Role.VIEWER
    assert vera.account.issuer == "ldap" and re.fullmatch(r"[0-9a-f-]{36}", vera.account.subject)
    assert not vera.has_usable_password(), "nothing of it is kept here"
    told = LogEntry.objects.get_for_object(vera).filter(changes__has_key="session").get()
    assert told.changes["session"] == ["", "logged in by the directory"]
    assert told.actor == vera and told.additional_data["by"] == "vera"
    assert comes_in("vera") and User.objects.count() == 1


def test_two_first_log_ins_at_the_same_moment_are_one_user_and_both_in(
    there: Slapd, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert both_at_once(lambda: comes_in("vera"), monkeypatch) == [True, True]
    assert role_here("vera") == Role.VIEWER


@pytest.mark.parametrize("password", ["guess", "", " ", PASSWORD.upper(), "\0", "\u00ad", "\u200b"])
def test_a_wrong_password_or_none_opens_nothing(asked_by: str, password: str) -> None:
    """The last two are nothing to whoever prepares strings as RFC 4013 has it."""
    assert log_in("vera", password)[1].status_code == 200
    assert directory.find("vera", password) is None
    assert not User.objects.exists()


def test_an_empty_password_is_not_even_tried(there: Slapd) -> None:
    """slapd takes it for a bind as nobody, which succeeds."""
    before = there.heard().count("BIND dn")
    assert directory.find("vera", "") is None
    assert there.heard().count("BIND dn") == before


@pytest.mark.parametrize(
    "name", ["*", "ver*", "vera)(uid=*", "vera)(|(uid=*", "*)(uid=vera", "(", "\\"]
)
def test_nothing_in_a_name_has_a_meaning_of_its_own(asked_by: str, there: Slapd, name: str) -> None:
    assert directory.find(name, PASSWORD) is None, "taken as the name it is"
    before = there.heard().count(" SRCH ")
    assert not comes_in(name)
    assert there.heard().count(" SRCH ") == before, "and no such name is asked for"


def test_a_name_of_special_characters_is_found_as_that_name(there: Slapd, settings: Any) -> None:
    odd = "o'neil, (jo*)+x"
    there.person(odd, "watchers", entry=escape_rdn(odd))
    own = there.settings(bind_dn="", bind_password="", user_dn=f"cn={{user}},{PEOPLE}")
    for settings.LDAP in (there.settings(), own, there.settings(group_base=GROUPS)):
        found = directory.find(odd, PASSWORD)
        assert found is not None and (found.name, found.role) == (odd, Role.VIEWER)


@pytest.mark.parametrize("name", ["VERA", "Vera", "v\u200bera"])
def test_one_name_cannot_be_typed_in_many_ways(asked_by: str, there: Slapd, name: str) -> None:
    """Each of them would have guesses of its own before it is locked."""
    before = there.heard().count("BIND dn")
    assert not comes_in(name)
    assert there.heard().count("BIND dn") == before


def test_the_highest_role_of_all_their_groups_counts(there: Slapd, settings: Any) -> None:
    there.person("karl", "watchers", "keepers")
    for settings.LDAP in (there.settings(), there.settings(group_base=GROUPS)):
        assert comes_in("karl")
        assert role_here("karl") == Role.CONFIGURER
    there.leave("karl", "keepers")
    assert comes_in("karl")
    assert role_here("karl") == Role.VIEWER, "taken anew at each log-in"


def test_who_has_no_role_there_does_not_come_in(there: Slapd) -> None:
    there.person("nina")
    _, answer = log_in("nina")
    assert answer.status_code == 200
    page = answer.content.decode()
    assert "gives you no role in Rollcall" in page and "do not fit together" not in page
    assert not User.objects.exists()


def test_who_loses_the_role_there_loses_it_here_with_every_session(there: Slapd) -> None:
    client, _ = log_in("vera")
    assert client.get("/").status_code == 200
    there.leave("vera", "watchers")
    assert not comes_in("vera")
    assert role_here("vera") is None
    assert client.get("/").status_code == 302


@pytest.mark.parametrize("name", ["vera", "Vera"])
def test_a_local_user_of_that_name_is_never_taken_over(there: Slapd, name: str) -> None:
    local = make_user(name, Role.ADMIN)
    local.set_password("night-shift-7")
    local.save()
    # It may still be writing down how those before hung up.
    asked = there.heard().count("ACCEPT from")
    assert not comes_in("vera") and not comes_in(name)
    told = there.heard().count("ACCEPT from")
    assert told == asked, "nor is the password of a local user told to the directory"
    assert comes_in(name, "night-shift-7")
    assert User.objects.get() == local and role_of(local) == Role.ADMIN


def test_who_is_somebody_else_by_the_same_name_is_not_taken_for_them(there: Slapd) -> None:
    assert comes_in("vera")
    there.empty()
    there.person("vera", "keepers")
    _, answer = log_in("vera")
    assert "There is another user named vera here" in answer.content.decode()
    assert role_here("vera") == Role.VIEWER


def test_who_is_deactivated_here_does_not_come_in(there: Slapd) -> None:
    assert comes_in("vera")
    User.objects.update(is_active=False)
    assert not comes_in("vera")


def test_guesses_are_counted_as_with_any_password(there: Slapd) -> None:
    codes = [log_in("vera", "guess")[1].status_code for _ in range(8)]
    assert codes == [200] * 7 + [429]
    before = there.heard().count("BIND dn")
    assert log_in("vera")[1].status_code == 429, "nor with the right one"
    assert there.heard().count("BIND dn") == before


def _stopped(there: Slapd) -> Callable[[], None]:
    there.stop()
    return there.start


def _frozen(there: Slapd) -> Callable[[], None]:
    there.freeze()
    return there.thaw


@pytest.mark.parametrize("way", ["plain", "tls"])
@pytest.mark.parametrize("fail", [_stopped, _frozen])
def test_while_it_is_away_local_users_come_in_and_the_log_says_so(
    there: Slapd,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fail: Callable[[Slapd], Callable[[], None]],
    way: str,
) -> None:
    settings.LDAP = there.settings(url=getattr(there, way))
    monkeypatch.setattr(directory, "SECONDS", 1)
    local = make_user("otto", Role.OPERATOR)
    local.set_password("night-shift-7")
    local.save()
    assert comes_in("vera")
    back = fail(there)
    with caplog.at_level(logging.WARNING):
        assert comes_in("otto", "night-shift-7")
        assert "the directory cannot be asked" not in caplog.text
        assert not comes_in("vera")
    back()
    assert "the directory cannot be asked" in caplog.text and PASSWORD not in caplog.text
    assert comes_in("vera")


@pytest.mark.parametrize("way", ["plain", "tls"])
def test_nobody_is_told_a_password_whose_certificate_is_not_trusted(
    there: Slapd, settings: Any, way: str
) -> None:
    url = getattr(there, way)
    for wrong in ({"ca_file": ""}, {"url": url.replace("localhost", "127.0.0.1")}):
        settings.LDAP = there.settings(**{"url": url, **wrong})
        before = there.heard().count("BIND dn")
        with pytest.raises(directory.Away, match="certificate"):
            directory.find("vera", PASSWORD)
        assert there.heard().count("BIND dn") == before
    settings.LDAP = there.settings(url=url)
    assert directory.find("vera", PASSWORD) is not None
    assert "TLS established" in there.heard()


def test_only_who_says_so_sends_passwords_in_the_clear(there: Slapd, settings: Any) -> None:
    before = there.heard().count("TLS established")
    settings.LDAP = there.settings(starttls=False, ca_file="")
    assert directory.find("vera", PASSWORD) is not None
    assert there.heard().count("TLS established") == before


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"bind_password": "old"}, "refuses LDAP_BIND_DN"),
        ({"user_base": f"ou=nowhere,{BASE}"}, "noSuchObject"),
    ],
)
def test_what_is_set_wrongly_is_said_and_not_taken_for_a_wrong_password(
    there: Slapd, settings: Any, wrong: dict[str, str], why: str
) -> None:
    settings.LDAP = there.settings(**wrong)
    with pytest.raises(directory.Away, match=why):
        directory.find("vera", PASSWORD)


def test_role_and_password_of_theirs_are_not_changed_here(there: Slapd) -> None:
    assert comes_in("vera")
    ada = Client()
    ada.force_login(make_user("ada", Role.ADMIN))
    pk = User.objects.get(username="vera").pk
    for path, given in (("role", {"role": Role.ADMIN.value}), ("password", {})):
        page = ada.post(f"/users/{pk}/{path}/", given, follow=True).content.decode()
        assert "vera logs in by the directory" in page
    assert role_here("vera") == Role.VIEWER
    assert '<span class="tag">The directory</span>' in ada.get("/users/").content.decode()
