"""What follows from a change of the fleet."""

import time

import pytest
from django.utils import timezone

from fleet.models import Line, Site
from fleet.signals import fleet_changed
from registrations import services, store
from registrations.models import Registration, ServerHealth, Transition
from registrations.queries import registrations
from tests.support.claims import finished, make_group, make_lines, moved

pytestmark = pytest.mark.django_db


def sync(lines: list[Line]) -> None:
    services.sync_registrations([line.pk for line in lines])


def supervise(lines: list[Line], supervision: str) -> None:
    Line.objects.filter(pk__in=[line.pk for line in lines]).update(supervision=supervision)
    sync(lines)


def test_new_lines_to_register_become_due_at_the_pace_of_the_cap() -> None:
    lines = make_lines(5, make_group(max_registrations_per_second=10))
    began = time.time()
    sync(lines)
    due = [r.due_at.timestamp() - began for r in Registration.objects.order_by("pk")]
    assert due == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4], abs=0.09)
    assert set(Registration.objects.values_list("state", flat=True)) == {"registering"}


@pytest.mark.parametrize(("supervision", "state"), [("observe", "unknown"), ("off", "disabled")])
def test_new_lines_not_to_register_are_never_due_and_unknown_or_off(
    supervision: str, state: str
) -> None:
    sync(make_lines(2, make_group(), supervision=supervision))
    rows = registrations(timezone.now()).values_list("shown_state", "due_at")
    assert set(rows) == {(state, None)}
    assert not Transition.objects.exists()
    assert ServerHealth.objects.exists() == (supervision == "observe"), "its servers are probed"


def test_a_second_sync_makes_nothing_twice() -> None:
    lines = make_lines(3, make_group())
    sync(lines)
    sync(lines)
    assert Registration.objects.count() == 3
    assert ServerHealth.objects.count() == 2
    assert not Transition.objects.exists()


def test_switching_off_takes_the_lease_away_and_goes_into_history() -> None:
    lines = make_lines(1, make_group())
    sync(lines)
    [claimed] = store.claim_due(None, 9, 30.0, now=time.time() + 1)
    store.save([finished(claimed, due_at=time.time() - 1)])
    [claimed] = store.claim_due(None, 9, 30.0)
    supervise(lines, Line.Supervision.OFF)
    assert store.save([finished(claimed)]) == []
    row = Registration.objects.get()
    assert (row.state, row.server, row.due_at, row.expires_at) == ("disabled", None, None, None)
    change = Transition.objects.get()
    assert (change.from_state, change.from_server, change.to_state) == (
        "primary",
        "127.0.0.61:5071",
        "disabled",
    )
    assert change.cause == "disabled"
    assert not ServerHealth.objects.exists()


def test_switching_on_again_is_due_now_and_goes_into_history() -> None:
    lines = make_lines(1, make_group(), supervision=Line.Supervision.OFF)
    sync(lines)
    supervise(lines, Line.Supervision.REGISTER)
    row = Registration.objects.get()
    assert (row.state, row.snapshot) == ("registering", {})
    assert row.due_at.timestamp() <= time.time() + 0.1
    assert list(Transition.objects.values_list("from_state", "to_state", "cause")) == [
        ("disabled", "registering", "enabled")
    ]


def test_a_changed_line_at_rest_is_due_and_its_agent_forgets_its_back_off() -> None:
    lines = make_lines(1, make_group())
    sync(lines)
    [claimed] = store.claim_due(None, 9, 30.0, now=time.time() + 1)
    store.save([finished(claimed, state="rejected", server_id=None, due_at=time.time() + 900)])
    sync(lines)
    row = Registration.objects.get()
    assert row.wish == "resume"
    assert row.due_at.timestamp() <= time.time() + 0.1


def test_a_change_does_not_overrule_an_operators_wish() -> None:
    lines = make_lines(1, make_group())
    sync(lines)
    Registration.objects.update(wish="failback", wish_by="ann")
    sync(lines)
    assert Registration.objects.get().wish == "failback"


def test_a_handset_that_moves_takes_its_registration_along() -> None:
    lines = make_lines(1, make_group())
    sync(lines)
    other, site = make_group("other", ("127.0.0.66",)), Site.objects.create(name="west")
    handset = lines[0].handset
    handset.group, handset.site = other, site
    handset.save()
    sync(lines)
    row = Registration.objects.get()
    assert (row.group, row.site) == (other, site)
    assert {h.server.address for h in ServerHealth.objects.all()} == {"127.0.0.66"}


def test_the_fleets_own_signal_is_heard() -> None:
    [line] = make_lines(1, make_group())
    fleet_changed.send(sender=None, line_ids=[line.pk])
    assert Registration.objects.filter(line=line).exists()


def test_the_number_of_queries_does_not_grow_with_the_fleet(
    django_assert_max_num_queries: object,
) -> None:
    lines = make_lines(400, make_group())
    with django_assert_max_num_queries(31):  # type: ignore[operator]
        sync(lines)


def test_the_history_of_a_removed_line_ends_with_its_removal_and_stays() -> None:
    [line] = make_lines(1, make_group())
    sync([line])
    [claimed] = store.claim_due(None, 9, 30.0, now=time.time() + 1)
    store.save([finished(claimed, transitions=(moved(claimed.server_id),))])
    line.handset.delete()
    first, last = Transition.objects.order_by("pk")
    assert (first.to_state, first.to_server) == (last.from_state, last.from_server)
    assert (last.to_state, last.to_server, last.cause) == ("disabled", "", "removed")
    assert first.registration_id == last.registration_id == claimed.registration_id
    assert (last.mac, last.extension) == (first.mac, first.extension)
