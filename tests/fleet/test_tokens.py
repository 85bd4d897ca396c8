"""API tokens: what they may, how long, who sees them, and that nobody reads them again."""

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from fleet import tokens
from fleet.people import ApiToken
from fleet.roles import Role
from tests.support.rows import make_token, make_user

pytestmark = pytest.mark.django_db


def by_token(key: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {key}")
    return client


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


SITE = {"name": "north", "time_zone": "UTC"}


@pytest.mark.parametrize("most", Role)
def test_a_token_may_no_more_than_its_role(most: Role) -> None:
    client = by_token(make_token(make_user("ada", Role.ADMIN), most))
    assert client.get("/api/v1/sites/").status_code == 200
    made = client.post("/api/v1/sites/", SITE, format="json").status_code
    assert made == (201 if most >= Role.CONFIGURER else 403)


def test_a_token_may_no_more_than_its_user_may_by_now() -> None:
    user = make_user("carla", Role.CONFIGURER)
    client = by_token(make_token(user, Role.CONFIGURER))
    user.groups.clear()
    assert client.get("/api/v1/sites/").status_code == 403
    with pytest.raises(tokens.Refused, match="nothing"):
        tokens.make(User.objects.get(), "x", Role.VIEWER, None, by="carla")


def test_a_superusers_token_is_limited_too() -> None:
    client = by_token(make_token(User.objects.create_superuser("root"), Role.VIEWER))
    assert client.post("/api/v1/sites/", SITE, format="json").status_code == 403


def test_a_token_ends_when_its_time_is_over() -> None:
    ends = timezone.now() + timedelta(days=1)
    client = by_token(make_token(make_user("vera", Role.VIEWER), expires_at=ends))
    assert client.get("/api/v1/sites/").status_code == 200
    with time_machine.travel(ends + timedelta(seconds=1)):
        answer = client.get("/api/v1/sites/")
    assert answer.status_code == 401
    assert answer.json() == {"detail": "This token opens nothing, or not any more."}


def test_the_last_use_is_kept_to_minutes_and_not_written_at_each_request(
    django_assert_num_queries: Any,
) -> None:
    client = by_token(make_token(make_user("vera", Role.VIEWER)))
    client.get("/api/v1/sites/")
    first = ApiToken.objects.get().used_at
    assert first is not None
    with django_assert_num_queries(3):  # token and user, role, count of none
        client.get("/api/v1/sites/")
    assert ApiToken.objects.get().used_at == first
    with time_machine.travel(first + tokens.USE + timedelta(seconds=1)):
        client.get("/api/v1/sites/")
    assert ApiToken.objects.get().used_at > first


def test_a_key_is_told_once_and_only_its_digest_is_kept() -> None:
    client = signed_in(make_user("otto", Role.OPERATOR))
    given = {"name": "Prometheus", "role": Role.VIEWER.value, "days": 30}
    page = client.post("/accounts/tokens/", given).content.decode()
    found = re.search(r'value="([\w-]{43})" aria-label="The new token"', page)
    assert found is not None
    key = found.group(1)
    assert by_token(key).get("/api/v1/sites/").status_code == 200
    token = ApiToken.objects.get()
    assert key not in str(list(ApiToken.objects.values()))
    assert key not in client.get("/accounts/tokens/").content.decode()
    assert token.expires_at is not None
    assert timedelta(days=29) < token.expires_at - timezone.now() < timedelta(days=31)


def test_nobody_makes_a_token_that_may_more_than_they(client: Client) -> None:
    client = signed_in(make_user("otto", Role.OPERATOR))
    given = {"name": "more", "role": Role.ADMIN.value, "days": 0}
    answer = client.post("/accounts/tokens/", given)
    assert answer.status_code == 400
    assert "at most Operator" in answer.content.decode()
    body = {"name": "more", "role": "configurer"}
    answer = client.post("/api/v1/tokens/", body, content_type="application/json")
    assert answer.status_code == 400
    assert "role" in answer.json()
    assert not ApiToken.objects.exists()


def test_a_token_makes_none_that_may_more_or_lasts_longer() -> None:
    ends = timezone.now() + timedelta(days=1)
    user = make_user("ada", Role.ADMIN)
    client = by_token(make_token(user, Role.OPERATOR, expires_at=ends))
    later = (ends + timedelta(days=1)).isoformat()
    for wanted, field in (
        ({"role": "viewer"}, "expires_at"),
        ({"role": "viewer", "expires_at": later}, "expires_at"),
        ({"role": "admin", "expires_at": ends.isoformat()}, "role"),
    ):
        answer = client.post("/api/v1/tokens/", {"name": "child"} | wanted, format="json")
        assert answer.status_code == 400
        assert list(answer.json()) == [field]
    fine = {"name": "child", "role": "viewer", "expires_at": ends.isoformat()}
    made = client.post("/api/v1/tokens/", fine, format="json")
    assert made.status_code == 201
    child = by_token(made.json()["key"])
    assert child.get("/api/v1/tokens/").json()["count"] == 2
    assert all("key" not in each for each in child.get("/api/v1/tokens/").json()["results"])


def test_ones_own_tokens_are_ones_own_and_an_admins_to_end() -> None:
    vera, otto = make_user("vera", Role.VIEWER), make_user("otto", Role.CONFIGURER)
    ada = signed_in(make_user("ada", Role.ADMIN))
    key = make_token(vera, name="hers")
    token = ApiToken.objects.get()
    other = signed_in(otto)
    assert "hers" not in other.get("/accounts/tokens/").content.decode()
    assert other.get("/api/v1/tokens/").json()["count"] == 0
    assert other.post(f"/accounts/tokens/{token.pk}/revoke/").status_code == 404
    assert other.delete(f"/api/v1/tokens/{token.pk}/").status_code == 404
    assert "hers" in ada.get("/accounts/tokens/").content.decode()
    assert ada.get("/api/v1/tokens/?user=vera").json()["count"] == 1
    assert ada.post(f"/accounts/tokens/{token.pk}/revoke/").status_code == 302
    assert by_token(key).get("/api/v1/sites/").status_code == 401


def test_a_token_ends_itself_and_none_that_may_more() -> None:
    user = make_user("ada", Role.ADMIN)
    lower = by_token(make_token(user, Role.VIEWER, name="lower"))
    equal = by_token(make_token(user, Role.VIEWER, name="equal"))
    higher = by_token(make_token(user, Role.ADMIN, name="higher"))
    path = {token.name: f"/api/v1/tokens/{token.pk}/" for token in ApiToken.objects.all()}
    assert lower.delete(path["higher"]).status_code == 403
    assert higher.get("/api/v1/sites/").status_code == 200
    assert lower.delete(path["equal"]).status_code == 204
    assert equal.get("/api/v1/sites/").status_code == 401
    assert lower.delete(path["lower"]).status_code == 204
    assert higher.delete(path["higher"]).status_code == 204


def test_the_command_makes_a_new_token_and_prints_its_key_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_user("otto", Role.OPERATOR)
    call_command("create_token", "otto")
    call_command("create_token", "otto", "--role", "viewer", "--days", "7", "--name", "Grafana")
    first, second = capsys.readouterr().out.splitlines()
    kept = {token.digest: token for token in ApiToken.objects.all()}
    assert kept[tokens.digest(first)].role == Role.OPERATOR
    short = kept[tokens.digest(second)]
    assert (short.name, short.role) == ("Grafana", Role.VIEWER)
    assert short.expires_at is not None
    for refused, why in (
        (("nobody",), "no active user"),
        (("otto", "--role", "admin"), "at most Operator"),
        (("otto", "--days", "0"), "from 1"),
    ):
        with pytest.raises(CommandError, match=why):
            call_command("create_token", *refused)
