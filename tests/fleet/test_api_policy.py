"""A group's policy over the API: what it refuses and how it says so, and the guide's names."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from fleet.models import ServerGroup
from fleet.roles import Role
from tests.support.rows import make_group, make_token, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked() -> APIClient:
    client = APIClient()
    token = make_token(make_user("carla", Role.CONFIGURER))
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


@pytest.fixture
def group() -> ServerGroup:
    return make_group()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"expires": 9},
            "expires (expires) must be at least 10 seconds, not '9'.",
        ),
        ({"expires": -1}, "expires (expires) must be at least 10 seconds, not '-1'."),
        ({"retry_timeout": 1.5}, "retry_timeout must be 0 to 65535 ms."),
        (
            {"fail_back_mode": "sometimes"},
            "fail_back_mode (failOver.failBack.mode) must be new_requests, dns_ttl, registration "
            "or duration, not 'sometimes'.",
        ),
        (
            {"tcp_fast_failover": "maybe"},
            "tcp_fast_failover (tcpFastFailover) must be true or false, not 'maybe'.",
        ),
    ],
)
def test_a_refusal_of_a_parameter_names_it_and_what_is_permitted(
    asked: APIClient, group: ServerGroup, change: dict[str, Any], sentence: str
) -> None:
    answer = asked.patch(f"/api/v1/groups/{group.pk}/", change, format="json")
    assert answer.status_code == 400
    assert list(answer.json().values()) == [[sentence]]


def test_a_policy_may_be_written_in_the_guides_names_and_words(
    asked: APIClient, group: ServerGroup
) -> None:
    change = {"voIpProt.server.1.failOver.failBack.mode": "DNSTTL", "retryMaxCount": "5"}
    answer = asked.patch(f"/api/v1/groups/{group.pk}/", change, format="json")
    assert answer.status_code == 200, answer.json()
    group.refresh_from_db()
    assert (group.fail_back_mode, group.retry_max_count) == ("dns_ttl", 5)


def test_a_parameter_under_two_names_is_refused(asked: APIClient, group: ServerGroup) -> None:
    change = {"retry_max_count": 2, "retryMaxCount": 5}
    answer = asked.patch(f"/api/v1/groups/{group.pk}/", change, format="json")
    assert answer.status_code == 400
    assert "retry_max_count, which is set twice" in str(answer.json())
