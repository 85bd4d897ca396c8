"""Single sign-on, against a real provider: who comes in, as whom, with which role, and who not."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import time_machine
from auditlog.models import LogEntry
from django.contrib.auth.models import User
from django.core import signing
from django.test import Client
from django.utils import timezone

from fleet import users
from fleet.config.env import OpenId
from fleet.people import Account
from fleet.roles import Role, role_of
from tests.support.databases import database, migrated_postgres
from tests.support.log_ins import both_at_once
from tests.support.openid import CLIENT, SECRET, Provider, serving
from tests.support.rows import make_user

__all__ = ["database", "migrated_postgres"]

pytestmark = pytest.mark.django_db

LOGIN = "/accounts/login/"
BEGIN = "/accounts/oidc/"
VERA = {"sub": "4711", "preferred_username": "vera", "roles": ["staff", "rollcall-operators"]}


@pytest.fixture
def provider(settings: Any) -> Iterator[Provider]:
    with serving() as running:
        given = (("rollcall-operators", "operator"), ("rollcall-admins", "admin"))
        settings.OIDC = OpenId(running.issuer, CLIENT, SECRET, "openid profile", "roles", given)
        running.claims = dict(VERA)
        yield running


def at_the_provider(sent_to: str) -> str:
    """What the browser does there: return the address by which it comes back."""
    return str(requests.get(sent_to, allow_redirects=False, timeout=30).headers["Location"])


def sign_on(client: Client, then: str = "") -> Any:
    """All of the way; return the last answer."""
    begun = client.get(BEGIN, {"next": then} if then else {})
    assert begun.status_code == 302
    return client.get(at_the_provider(begun.headers["Location"]))


def refusal(client: Client, answer: Any) -> str:
    """The sentence somebody is shown who does not come in."""
    assert answer.status_code == 302 and answer.headers["Location"] == LOGIN
    page = client.get(LOGIN).content.decode()
    assert client.get("/").status_code == 302, "nobody is in"
    return page.split('role="alert"')[1].split("<span>")[1].split("</span>")[0]


def test_the_way_in_is_shown_only_where_it_is_set_up(provider: Provider, settings: Any) -> None:
    assert (
        f'href="{BEGIN}?next=%2Fhistory%2F"'
        in Client().get(f"{LOGIN}?next=/history/").content.decode()
    )
    settings.OIDC = OpenId()
    assert BEGIN not in Client().get(LOGIN).content.decode()
    assert Client().get(BEGIN).status_code == 404
    assert Client().get(f"{BEGIN}return/").status_code == 404


def test_who_comes_for_the_first_time_is_made_with_the_claims_role(
    provider: Provider, database: str
) -> None:
    client = Client()
    answer = sign_on(client, "/history/?cause=lost")
    assert answer.headers["Location"] == "/history/?cause=lost"
    assert client.get("/").status_code == 200
    vera = User.objects.get()
    assert (vera.username, role_of(vera)) == ("vera", Role.OPERATOR)
    assert not vera.has_usable_password()
    assert (vera.account.issuer, vera.account.subject) == (provider.issuer, "4711")
    entry = LogEntry.objects.get(changes__has_key="session")
    assert entry.changes_dict["session"] == ["", "logged in by single sign-on"]
    assert entry.additional_data["by"] == "vera" and entry.remote_addr == "127.0.0.1"


def test_two_first_log_ins_at_the_same_moment_are_one_user_and_both_in(
    provider: Provider, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def comes_in() -> int:
        client = Client()
        assert sign_on(client).headers["Location"] == "/"
        return int(client.get("/").status_code)

    assert both_at_once(comes_in, monkeypatch) == [200, 200]
    vera = User.objects.get()
    assert (role_of(vera), vera.account.subject) == (Role.OPERATOR, "4711")


def test_two_people_of_one_name_at_the_same_moment_are_not_one(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    subjects = iter(["4711", "4712"])

    def comes_in() -> str:
        try:
            return str(users.come_in("https://id.example", next(subjects), "vera", Role.VIEWER))
        except users.Refused as refused:
            return str(refused)

    told = sorted(both_at_once(comes_in, monkeypatch), key=len)
    assert told[0] == "vera" and "another user named vera" in told[1]
    assert User.objects.count() == Account.objects.count() == 1


def test_it_is_the_subject_that_tells_who_somebody_is(provider: Provider) -> None:
    sign_on(Client())
    provider.claims["preferred_username"] = "vera.married"
    sign_on(Client())
    assert User.objects.get().username == "vera"
    client = Client()
    provider.claims.update(sub="4712", preferred_username="vera")
    assert "another user named vera" in refusal(client, sign_on(client))
    assert User.objects.count() == 1


@pytest.mark.parametrize("name", ["admin", "Admin", "ＡＤＭＩＮ"])
def test_nobody_takes_over_an_account_of_this_house(provider: Provider, name: str) -> None:
    admin = make_user("admin", Role.ADMIN)
    provider.claims["preferred_username"] = name
    client = Client()
    assert "nobody takes over" in refusal(client, sign_on(client))
    assert not Account.objects.exists() and User.objects.get() == admin


def test_the_role_is_the_claims_at_each_log_in(provider: Provider) -> None:
    sign_on(Client())
    provider.claims["roles"] = ["rollcall-operators", "rollcall-admins"]
    sign_on(Client())
    assert role_of(User.objects.get()) == Role.ADMIN
    provider.claims["roles"] = "rollcall-operators"
    sign_on(Client())
    assert role_of(User.objects.get()) == Role.OPERATOR


@pytest.mark.parametrize("roles", [None, [], "staff", ["staff"], {"rollcall-admins": 1}, 7])
def test_without_a_role_nobody_comes_in_and_what_they_had_is_over(
    provider: Provider, roles: Any
) -> None:
    before, client = Client(), Client()
    sign_on(before)
    provider.claims["roles"] = roles
    assert "gives you no role" in refusal(client, sign_on(client))
    assert role_of(User.objects.get()) is None
    assert before.get("/").status_code == 302


def test_a_stranger_without_a_role_is_not_even_made(provider: Provider) -> None:
    provider.claims["roles"] = ["staff"]
    sign_on(Client())
    assert not User.objects.exists()


def test_who_is_deactivated_here_stays_out(provider: Provider) -> None:
    sign_on(Client())
    User.objects.update(is_active=False)
    client = Client()
    assert "deactivated" in refusal(client, sign_on(client))


LATE = int(time.time()) - 3600


@pytest.mark.parametrize(
    "wrong",
    [
        *({"nonce": "of another log-in"}, {"nonce": None}),
        *({"aud": "another client"}, {"aud": ["another client"]}, {"aud": None}),
        {"aud": [CLIENT, "another client"], "azp": "another client"},
        {"aud": "another client", "azp": CLIENT},
        *({"iss": "https://another.example"}, {"iss": None}),
        *({"exp": LATE}, {"exp": None}, {"nbf": LATE + 7200}, {"sub": None}, {"sub": 4711}),
    ],
    ids=str,
)
def test_a_token_that_is_not_for_this_log_in_is_refused(
    provider: Provider, wrong: dict[str, Any]
) -> None:
    provider.wrong = wrong
    client = Client()
    assert "does not hold" in refusal(client, sign_on(client))
    assert not User.objects.exists()
    provider.wrong = {}
    assert sign_on(client).headers["Location"] == "/"


@pytest.mark.parametrize("how", ["forged", "none", "client's secret"])
def test_a_token_the_provider_did_not_sign_is_refused(provider: Provider, how: str) -> None:
    match how:
        case "forged":
            provider.forges()
        case "none":
            provider.algorithm = "none"
        case "client's secret":
            provider.signs_with_the_clients_secret()
    client = Client()
    assert "does not hold" in refusal(client, sign_on(client))
    assert not User.objects.exists()


def test_new_keys_of_the_provider_are_fetched(provider: Provider) -> None:
    sign_on(Client())
    provider.takes_new_keys()
    assert sign_on(Client()).headers["Location"] == "/"


def test_a_way_back_that_was_not_begun_here_leads_nowhere(provider: Provider) -> None:
    """Another's code, slipped in, would have somebody work in another's name."""
    mine, anothers = Client(), Client()
    back = at_the_provider(anothers.get(BEGIN).headers["Location"])
    assert "not begun in this browser" in refusal(mine, mine.get(back))
    mine.get(BEGIN)
    assert "not begun in this browser" in refusal(mine, mine.get(back))
    assert "not begun in this browser" in refusal(mine, mine.get(f"{BEGIN}return/?state=é"))


def test_a_way_back_holds_ten_minutes_and_once(provider: Provider) -> None:
    client, late = Client(), Client()
    back = at_the_provider(client.get(BEGIN).headers["Location"])
    assert client.get(back).headers["Location"] == "/"
    client.post("/accounts/logout/")
    assert "not begun in this browser" in refusal(client, client.get(back))
    back = at_the_provider(late.get(BEGIN).headers["Location"])
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        assert "too long ago" in refusal(late, late.get(back))


def test_setting_out_stores_nothing_and_each_goes_by_numbers_of_its_own(provider: Provider) -> None:
    sent = [Client().get(BEGIN) for _ in range(2)]
    assert "sessionid" not in sent[0].cookies
    cookie = sent[0].cookies["oidc"]
    assert cookie["httponly"] and cookie["samesite"] == "Lax" and cookie["path"] == BEGIN
    asked = [parse_qs(urlsplit(each.headers["Location"]).query) for each in sent]
    for name in ("state", "nonce", "code_challenge"):
        assert len({each[name][0] for each in asked}) == 2, name


@pytest.mark.parametrize("then", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_a_way_back_to_another_host_is_not_followed(provider: Provider, then: str) -> None:
    assert sign_on(Client(), then).headers["Location"] == "/"


def test_a_refusal_of_the_providers_is_told(provider: Provider) -> None:
    provider.refuses = "access_denied"
    client = Client()
    assert "did not let you in" in refusal(client, sign_on(client))


def test_a_provider_that_is_away_or_another_one_is_told(provider: Provider, settings: Any) -> None:
    provider.calls_itself = "https://another.example"
    client = Client()
    assert "does not hold" in refusal(client, client.get(BEGIN))
    gone = OpenId("http://127.0.0.1:1", CLIENT, SECRET, "openid", "roles", settings.OIDC.roles)
    settings.OIDC = gone
    assert "does not answer" in refusal(client, client.get(BEGIN))


def test_a_wrong_client_secret_lets_nobody_in(provider: Provider, settings: Any) -> None:
    given = settings.OIDC.roles
    settings.OIDC = OpenId(provider.issuer, CLIENT, "guessed", "openid", "roles", given)
    client = Client()
    assert "does not hold" in refusal(client, sign_on(client))


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"preferred_username": None, "email": "vera@ward.example"}, "vera@ward.example"),
        (
            {"preferred_username": None, "email": "v@w.example", "email_verified": False},
            "tells no name",
        ),
        ({"preferred_username": "WARD\\vera"}, "cannot be a user name"),
        ({"preferred_username": "v" * 151}, "cannot be a user name"),
        ({"preferred_username": ["vera"]}, "tells no name"),
    ],
)
def test_a_name_is_the_preferred_one_or_the_verified_address(
    provider: Provider, claims: dict[str, Any], name: str
) -> None:
    provider.claims.update(claims)
    client = Client()
    answer = sign_on(client)
    if answer.headers["Location"] == "/":
        assert User.objects.get().username == name
    else:
        assert name in refusal(client, answer)


def test_a_session_of_it_ends_like_every_other(provider: Provider, settings: Any) -> None:
    settings.SESSION_IDLE_MINUTES = 60
    ada = Client()
    ada.force_login(make_user("ada", Role.ADMIN))
    client, idle = Client(), Client()
    sign_on(client)
    sign_on(idle)
    client.post("/accounts/logout/")
    assert client.get("/").status_code == 302
    with time_machine.travel(timezone.now() + timedelta(minutes=61)):
        assert idle.get("/").status_code == 302
    sign_on(client)
    ada.post(f"/users/{User.objects.get(username='vera').pk}/sessions/end/")
    assert client.get("/").status_code == 302


def test_role_and_password_are_kept_there(provider: Provider) -> None:
    client = Client()
    sign_on(client)
    assert "your password is kept there" in client.get("/accounts/password/").content.decode()
    vera = User.objects.get()
    ada = Client()
    ada.force_login(make_user("ada", Role.ADMIN))
    assert '<span class="tag">Single sign-on</span>' in ada.get("/users/").content.decode()
    for address, given in (("role", {"role": Role.ADMIN.value}), ("password", {})):
        page = ada.post(f"/users/{vera.pk}/{address}/", given, follow=True).content.decode()
        assert "vera logs in by single sign-on" in page
    assert role_of(User.objects.get(pk=vera.pk)) == Role.OPERATOR
    assert not User.objects.get(pk=vera.pk).has_usable_password()


def test_a_password_still_opens_what_it_opened(provider: Provider) -> None:
    User.objects.create_superuser("ada", password="night-shift-7")
    given = {"username": "ada", "password": "night-shift-7"}
    assert Client().post(LOGIN, given).headers["Location"] == "/"


def test_no_log_has_what_only_browser_and_provider_may_know(
    provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    client = Client()
    begun = client.get(BEGIN)
    verifier = signing.loads(begun.cookies["oidc"].value, salt="fleet.oidc")["code_verifier"]
    back = at_the_provider(begun.headers["Location"])
    [code] = parse_qs(urlsplit(back).query)["code"]
    assert client.get(back).headers["Location"] == "/"
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "/token" in said, "requests are told at this level"
    for secret in (verifier, SECRET, code):
        assert secret not in said
