"""Where a tick hints: at once where somebody needs it, and at renewals when there are a few."""

import time
from typing import Any

import pytest
from django.db import connection

from fleet.models import Server
from registrations import store
from registrations.models import Registration, ServerHealth, State
from registrations.store.due import COMPANY_S, ENOUGH, IN_HAND_S
from tests.support.claims import at, make_due, make_group, make_lines

pytestmark = pytest.mark.usefixtures("database")


def renewing(n: int, late_s: float = 0.5) -> float:
    """So many renewals that were due a moment before the time returned, as `save` leaves them."""
    now = time.time()
    rows = make_due(make_lines(n, make_group()), now - late_s)
    Registration.objects.filter(pk__in=[row.pk for row in rows]).update(
        state=State.PRIMARY, next_attempt_at=at(now - late_s), expires_at=at(now + 2 * IN_HAND_S)
    )
    return now


def is_worth_a_claim(now: float) -> bool:
    return bool(store.sites_with_work(now, with_proofs=True))


def test_a_renewal_that_has_time_waits_for_company_but_not_for_long() -> None:
    now = renewing(3)
    assert not is_worth_a_claim(now)
    assert is_worth_a_claim(now + COMPANY_S)


def test_enough_of_them_wait_no_longer() -> None:
    assert is_worth_a_claim(renewing(ENOUGH))


@pytest.mark.parametrize(
    "what",
    [
        {"state": State.UNREGISTERED},
        {"wish": "failback"},
        {"attempt": 1},
        {"next_attempt_at": at(time.time() + 3600)},
        {"next_attempt_at": None},
        {"expires_at": at(time.time() + IN_HAND_S / 2)},
        {"expires_at": None},
    ],
    ids=lambda what: " ".join(f"{name} {value}" for name, value in what.items()).split(".")[0],
)
def test_whatever_is_no_renewal_in_its_own_time_is_claimed_at_once(what: dict[str, Any]) -> None:
    now = renewing(3)
    assert not is_worth_a_claim(now)
    Registration.objects.filter(pk=Registration.objects.order_by("pk")[1].pk).update(**what)
    assert is_worth_a_claim(now)


def test_whom_news_of_a_server_brought_forward_waits_for_nobody() -> None:
    now = renewing(3)
    Registration.objects.update(due_at=at(now + 600), next_attempt_at=at(now + 600))
    assert not is_worth_a_claim(now)
    store.spread(list(Registration.objects.values_list("pk", flat=True)), 0, now)
    assert is_worth_a_claim(now)


def test_a_renewal_whose_worker_died_is_claimed_as_soon_as_its_lease_is_over() -> None:
    now = renewing(3)
    assert len(store.claim_due(None, 3, 30.0, now=now)) == 3
    assert not is_worth_a_claim(now + 29)
    assert is_worth_a_claim(now + 30.1)


def test_while_a_server_does_not_answer_no_renewal_waits() -> None:
    now = renewing(3)
    site = Registration.objects.values_list("site", flat=True)[0]
    health = ServerHealth.objects.create(
        server=Server.objects.order_by("pk")[0],
        site_id=site,
        condition=ServerHealth.Condition.SILENT,
        since=at(now),
        due_at=at(now + 60),
    )
    assert is_worth_a_claim(now)
    health.condition = ServerHealth.Condition.UP
    health.save()
    assert not is_worth_a_claim(now)


def test_a_tick_asks_that_in_one_statement(django_assert_num_queries: Any) -> None:
    now = renewing(ENOUGH)
    with django_assert_num_queries(1, connection=connection):
        assert is_worth_a_claim(now)
