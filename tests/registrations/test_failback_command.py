"""`manage.py failback` and `manage.py fleet_status`, as typed."""

import json
import time
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from registrations.models import Job, JobResult, Registration, State
from tests.support.rows import make_group, make_registration, make_site

pytestmark = pytest.mark.django_db

Result = JobResult.Result


def answer(registration: Registration, result: str, reason: str = "") -> None:
    """What the store writes when an agent has answered a wish."""
    Registration.objects.filter(pk=registration.pk).update(wish="")
    JobResult.objects.filter(registration=registration, result=Result.PENDING).update(
        result=result, reason=reason, seconds=0.25, finished_at=timezone.now()
    )


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Let something happen each time the command goes to sleep."""

    def arrange(happen: Callable[[], None]) -> None:
        monkeypatch.setattr(time, "sleep", lambda _seconds: happen())

    return arrange


def run(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_an_order_without_waiting_names_the_job_and_who_is_asked() -> None:
    away = make_registration(make_group())
    text = run("failback", "--all")
    job = Job.objects.get()
    assert f"Failback {job.pk}: 1 handset asked home." in text
    assert f"{away.line.handset.mac} {away.line.extension}: Waiting." in text
    assert job.scope == {"all": True}
    assert job.asked_by.endswith("(command line)")


def test_macs_may_be_typed_as_they_are_printed_on_the_handset() -> None:
    group = make_group()
    first, second, other = (make_registration(group) for _ in range(3))
    mac = first.line.handset.mac
    typed = ":".join(mac[n : n + 2].upper() for n in range(0, 12, 2))
    run("failback", "--mac", typed, second.line.handset.mac)
    assert Job.objects.get().scope == {"registrations": [first.pk, second.pk]}
    other.refresh_from_db()
    assert other.wish == ""


def test_a_group_and_a_site_are_given_by_name() -> None:
    group, site = make_group("Ward 4"), make_site("north")
    make_registration(group, site=site)
    run("failback", "--group", "Ward 4")
    run("failback", "--site", "north")
    scopes = [job.scope for job in Job.objects.order_by("pk")]
    assert scopes == [{"group": group.pk}, {"site": site.pk}]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--mac", "00907affffff", "nonsense"], "There is no handset 00907affffff, nonsense."),
        (["--group", "nowhere"], "There is no group 'nowhere'."),
        (["--site", "nowhere"], "There is no site 'nowhere'."),
    ],
)
def test_what_does_not_exist_is_said_and_nothing_ordered(words: list[str], sentence: str) -> None:
    with pytest.raises(CommandError) as failed:
        run("failback", *words)
    assert str(failed.value) == sentence
    assert not Job.objects.exists()


def test_exactly_one_scope_is_wanted() -> None:
    for words in ([], ["--all", "--group", "ward"]):
        with pytest.raises(CommandError):
            run("failback", *words)


def test_waiting_ends_with_a_result_for_every_handset(
    meanwhile: Callable[[Callable[[], None]], None],
) -> None:
    group = make_group()
    rows = [make_registration(group) for _ in range(2)]
    meanwhile(lambda: answer(rows.pop(), Result.MOVED))
    text = run("failback", "--all", "--wait")
    assert rows == []
    assert text.count("Moved to primary in 0.2 s.") == 2
    assert "2 moved, 0 failed." in text


def test_a_handset_that_did_not_come_home_makes_the_command_fail(
    meanwhile: Callable[[Callable[[], None]], None],
) -> None:
    row = make_registration(make_group())
    meanwhile(lambda: answer(row, Result.REFUSED, "The server refused the password."))
    out = StringIO()
    with pytest.raises(CommandError, match="1 handset did not come home"):
        call_command("failback", "--all", "--wait", stdout=out)
    assert "Primary refused it in 0.2 s. The server refused the password." in out.getvalue()


def test_waiting_does_not_outlast_the_handset(
    meanwhile: Callable[[Callable[[], None]], None],
) -> None:
    row = make_registration(make_group())
    meanwhile(lambda: row.line.handset.delete() and None)
    assert "Left out. It was deleted meanwhile." in run("failback", "--all", "--wait")


def test_the_status_begins_with_the_headline_and_its_age() -> None:
    group = make_group("Ward 4")
    heard = timezone.now() - timedelta(minutes=3)
    make_registration(group, State.PRIMARY, heard_at=heard)
    make_registration(group, State.SECONDARY, heard_at=heard - timedelta(hours=1))
    lines = run("fleet_status").splitlines()
    assert lines[0].startswith("1 of 2 on primary; 1 on secondary since ")
    assert lines[1].startswith("As of ")
    assert lines[1].endswith("a server last answered a handset 3 min ago.")
    table = [line.split() for line in lines]
    assert ["On", "primary", "1"] in table
    assert ["Ward", "4", "127.0.0.2:5060", "primary", "1", "Not", "heard", "of"] in table


def test_the_status_of_nothing_says_so() -> None:
    text = run("fleet_status")
    assert text.startswith("No handsets yet.")
    assert "no server has answered any handset yet" in text


def test_the_status_for_programs_is_the_summary() -> None:
    make_registration(make_group(), State.PRIMARY, heard_at=timezone.now())
    status: dict[str, Any] = json.loads(run("fleet_status", "--json"))
    assert status["headline"] == "The one is on primary."
    assert status["states"]["primary"] == 1
    assert status["groups"][0]["servers"][0]["held"] == 1
    assert {"as_of", "heard_at"} <= set(status)
