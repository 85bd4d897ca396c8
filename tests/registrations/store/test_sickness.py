"""A server that refuses handsets it accepted before is sick, until it accepts them again."""

import time
from itertools import pairwise

import pytest

from fleet.models import Server
from registrations import store
from registrations.models import Registration, ServerChange, ServerHealth, ServerPace
from registrations.store import Noticed, Probed
from tests.support.claims import at, make_due, make_group, make_lines

pytestmark = pytest.mark.usefixtures("database")


def a_fleet(n: int, **policy: object) -> list[Registration]:
    rows = make_due(make_lines(n, make_group(**policy)), time.time() + 900)
    store.ensure_health()
    say(rows, "bound")
    Registration.objects.update(state="primary", server=primary(), due_at=at(time.time() + 900))
    return rows


def primary() -> int:
    return ServerHealth.objects.get(server__priority=1).server_id


def say(
    rows: list[Registration], verdict: str, before: str = "", after: float = 0.0, **more: object
) -> list[tuple[int, int]]:
    code = 200 if verdict == "bound" else 403
    return store.hear(
        Noticed(
            *(primary(), row.site_id, True, time.time() + after, ""),
            code=code,
            verdict=verdict,
            before=before,
            registration_id=row.pk,
            **more,  # type: ignore[arg-type]
        )
        for row in rows
    )


def is_sick() -> bool:
    return ServerPace.objects.filter(server_id=primary(), sick_since__isnull=False).exists()


def refuse(rows: list[Registration], after: float = 0.0) -> list[tuple[int, int]]:
    Registration.objects.filter(pk__in=[row.pk for row in rows]).update(
        state="rejected", server=None
    )
    return say(rows, "refused", "bound", after)


def test_nine_refused_handsets_are_nine_handsets_and_ten_are_the_server() -> None:
    rows = a_fleet(20)
    assert refuse(rows[:9]) == []
    assert not is_sick()
    assert refuse(rows[9:10])
    assert is_sick()
    assert ServerPace.objects.get(server_id=primary()).refused == 10


def test_falling_sick_and_getting_well_are_told_in_the_servers_history() -> None:
    rows = a_fleet(20)
    refuse(rows[:10])
    say(rows[:10], "bound", "refused", after=120)
    told = ServerChange.objects.filter(site=None).order_by("at")
    assert [(t.before, t.what) for t in told] == [("well", "sick"), ("sick", "well")]
    assert told[0].reason == "It refused 10 handsets within a minute."


def test_ten_of_more_than_five_hundred_are_not_yet_two_percent() -> None:
    rows = a_fleet(501)
    refuse(rows[:10])
    assert not is_sick()
    refuse(rows[10:11])
    assert is_sick()


def test_handsets_it_never_accepted_do_not_count() -> None:
    rows = a_fleet(20)
    never = make_due(make_lines(15, rows[0].group, first=50), time.time() + 900)
    say(never, "refused")
    refuse(rows[:9])
    assert not is_sick()


def test_one_handset_refused_again_and_again_is_still_one() -> None:
    rows = a_fleet(20)
    refuse(rows[:1])
    for i in range(20):
        say(rows[:1], "refused", "error", after=i)
    assert not is_sick()


def test_refusals_more_than_a_minute_apart_do_not_add_up() -> None:
    rows = a_fleet(20)
    refuse(rows[:5])
    refuse(rows[5:10], after=61)
    assert not is_sick()
    refuse(rows[10:15], after=62)
    assert is_sick()


def test_agents_are_told_that_it_is_sick() -> None:
    rows = a_fleet(20)
    refuse(rows[:10])
    Registration.objects.update(due_at=at(time.time() - 1))
    [claimed] = store.claim_due(None, 1, 30.0)
    assert claimed.news.sick == {primary()}


def test_it_is_sick_no_longer_when_it_accepts_one_it_refused_and_the_rest_may_ask_anew() -> None:
    rows = a_fleet(20, max_registrations_per_second=0)
    refuse(rows[:12])
    say(rows[15:], "bound", "bound", after=70)
    assert is_sick(), "a renewal that went as ever proves nothing"
    assert say(rows[:1], "bound", "refused", after=71)
    assert not is_sick()
    waiting = Registration.objects.filter(wish="resume")
    assert set(waiting.values_list("pk", flat=True)) >= {row.pk for row in rows[1:12]}
    assert all(row.due_at.timestamp() < time.time() + 1 for row in waiting)


def test_at_its_recovery_those_it_refused_are_woken_wherever_they_are_now() -> None:
    rows = a_fleet(20, max_registrations_per_second=10)
    refuse(rows[:12])
    secondary = Server.objects.get(group=rows[0].group, priority=2)
    for state, some in (("secondary", rows[1:5]), ("fallback", rows[5:9])):
        Registration.objects.filter(pk__in=[row.pk for row in some]).update(
            state=state, server=secondary, due_at=at(time.time() + 3000)
        )
    say(rows[:1], "bound", "refused", after=71)
    woken = Registration.objects.filter(pk__in=[row.pk for row in rows[1:12]])
    assert set(woken.values_list("wish", flat=True)) == {"resume"}
    times = sorted(row.due_at.timestamp() for row in woken)
    assert times[-1] < time.time() + 3
    assert all(b - a == pytest.approx(0.1, abs=0.02) for a, b in pairwise(times)), "paced"


def test_one_acceptance_amid_the_refusals_does_not_end_it() -> None:
    rows = a_fleet(30)
    refuse(rows[:12])
    say(rows[:1], "bound", "refused", after=5)
    assert is_sick()


def test_a_sick_server_is_asked_by_fetches_of_those_it_refused() -> None:
    rows = a_fleet(20)
    refuse(rows[:10])
    for after in (5, 75):
        ServerHealth.objects.update(due_at=at(time.time() - 1), lease_token=None)
        claimed = store.claim_probes(None, 9, 10.0)
        [fetch] = [each for each in claimed if each.target.server_id == primary()]
        assert fetch.registration_id in {row.pk for row in rows[:10]}
        answer = Probed(fetch, True, time.time() + after, "200 OK", 200, "bound")
        store.save_probes([answer])
        assert is_sick() == (after == 5)


@pytest.mark.parametrize(("policy", "wakes"), [("stay", False), ("failover", True)])
def test_those_it_refused_may_go_elsewhere_only_where_the_group_says_so(
    policy: str, wakes: bool
) -> None:
    rows = a_fleet(20, on_mass_rejection=policy)
    refuse(rows[:10])
    woken = Registration.objects.filter(wish="resume", due_at__lt=at(time.time() + 5))
    assert woken.count() == (10 if wakes else 0)
