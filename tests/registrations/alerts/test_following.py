"""What a webhook follows beside incidents: every change and every job's end, none left out."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from registrations.alerts.following import JOBS, TRANSITIONS, tell_followers
from registrations.models import Channel, Delivery, Job, Transition
from registrations.queries import events
from tests.support.rows import make_transition

pytestmark = pytest.mark.django_db

START = timezone.now()


def make(*follows: str) -> Channel:
    settings: dict[str, Any] = {"url": "http://127.0.0.1:1/", "follows": follows}
    return Channel.objects.create(name="it", kind="webhook", settings=settings, secret="")


def look(after_s: float = 0.0) -> None:
    with transaction.atomic():
        tell_followers(START + timedelta(seconds=after_s))


def told() -> list[int]:
    messages = Delivery.objects.filter(what="changes").order_by("pk")
    return [each["id"] for one in messages for each in one.message["data"]["transitions"]]


def test_changes_are_told_in_order_from_when_it_began_to_follow() -> None:
    make_transition()
    make(TRANSITIONS)
    look()
    assert told() == []
    ids = [make_transition().pk for _ in range(3)]
    look(2)
    look(4)
    assert told() == ids
    assert Delivery.objects.count() == 1, "one message for all that came since the last look"


def test_a_change_that_was_written_late_is_told_by_whichever_process_looks_next() -> None:
    make(TRANSITIONS)
    look()
    late, known = make_transition(), make_transition()
    Transition.objects.filter(pk=late.pk).delete()
    look(2)
    assert told() == [known.pk]
    late.save(force_insert=True)
    look(4)
    look(6)
    assert told() == [known.pk, late.pk]


def test_a_storm_is_told_in_a_few_large_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "AT_ONCE", 4)
    make(TRANSITIONS)
    look()
    ids = [make_transition().pk for _ in range(10)]
    look(2)
    assert told() == ids
    assert Delivery.objects.count() == 3


def test_a_channel_that_was_off_is_not_told_what_happened_meanwhile() -> None:
    channel = make(TRANSITIONS)
    look()
    Channel.objects.update(is_on=False)
    make_transition()
    look(2)
    Channel.objects.update(is_on=True)
    look(4)
    new = make_transition().pk
    look(6)
    assert told() == [new]
    channel.refresh_from_db()
    assert channel.told[TRANSITIONS]["last"] == new


def test_the_end_of_a_job_is_told_once_even_if_it_was_written_late() -> None:
    make(JOBS)
    look()
    job = Job.objects.create(scope={}, asked_by="eve")
    look(10)
    Job.objects.filter(pk=job.pk).update(finished_at=START + timedelta(seconds=8))
    for seconds in (20, 22, 90, 400):
        look(seconds)
    sent = Delivery.objects.get()
    assert sent.what == "job" and sent.message["data"]["job"]["id"] == job.pk
