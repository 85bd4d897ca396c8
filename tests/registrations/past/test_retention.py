"""Forgetting: what is too old goes, where each line was at the beginning of what is kept stays."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from registrations import retention, store
from registrations.models import (
    Delivery,
    Incident,
    IncidentEntry,
    Registration,
    RenewalHour,
    State,
    Transition,
)
from tests.support.rows import make_group, make_registration, make_transition

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(autouse=True)
def ten_days_are_kept(settings: Any) -> None:
    settings.HISTORY_DAYS = 10


def days_ago(days: float, registration: Registration | None, **more: Any) -> int:
    return make_transition(registration, at=timezone.now() - timedelta(days=days), **more).pk


def left() -> set[int]:
    return set(Transition.objects.values_list("pk", flat=True))


def test_the_last_change_before_what_is_kept_stays_and_all_before_it_goes() -> None:
    line = make_registration(make_group())
    days_ago(30, line)
    days_ago(20, line)
    kept = {days_ago(12, line), days_ago(9, line), days_ago(1, line)}
    assert retention.forget() == 2
    assert left() == kept
    assert retention.forget() == 0


def test_a_line_that_never_moved_since_keeps_its_one_change() -> None:
    kept = days_ago(300, make_registration(make_group()))
    assert retention.forget() == 0
    assert left() == {kept}


def test_of_two_changes_in_the_same_instant_the_later_one_stays() -> None:
    line = make_registration(make_group())
    at = timezone.now() - timedelta(days=20)
    make_transition(line, at=at)
    kept = make_transition(line, at=at)
    retention.forget()
    assert left() == {kept.pk}


def test_a_line_that_was_removed_is_forgotten_whole() -> None:
    line = make_registration(make_group())
    days_ago(30, line)
    days_ago(20, line, cause="removed", to_state=State.DISABLED)
    retention.forget()
    assert left() == set()


def test_more_than_one_batch_goes_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BATCH", 3)
    line = make_registration(make_group())
    other = make_registration(make_group("lab"))
    kept = {days_ago(50, other)}
    for day in range(40, 20, -1):
        last = days_ago(day, line)
    assert retention.forget() == 19
    assert left() == kept | {last}


def test_counts_of_renewals_go_with_the_history() -> None:
    for days in (9, 11):
        RenewalHour.objects.create(
            hour=timezone.now() - timedelta(days=days), group_name="ward", server="a", renewals=1
        )
    retention.forget()
    assert RenewalHour.objects.count() == 1


def test_incidents_that_are_over_and_their_messages_go_and_what_is_on_stays() -> None:
    long_ago, now = timezone.now() - timedelta(days=20), timezone.now()
    facts = {"kind": "server_silent", "severity": "critical", "opened_at": long_ago}
    for name, over in (("over", long_ago), ("on", None), ("lately", now)):
        made = Incident.objects.create(cause=name, detected_at=long_ago, resolved_at=over, **facts)
        made.entries.create(at=long_ago, what="opened")
        for done in (long_ago, None):
            Delivery.objects.create(
                what="opened",
                incident=made,
                channel_name=name,
                message={},
                created_at=long_ago,
                finished_at=done,
                turn=0 if done else 1,
            )
    retention.forget()
    assert set(Incident.objects.values_list("cause", flat=True)) == {"on", "lately"}
    assert IncidentEntry.objects.count() == 2
    assert not Delivery.objects.filter(finished_at__isnull=False).exists()
    assert Delivery.objects.count() == 3, "what waits is not forgotten"
