"""`manage.py drain`, as typed."""

import time
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from registrations.models import Drain, Job, JobResult, Registration, State
from tests.support.rows import make_group, make_registration

pytestmark = pytest.mark.django_db


def run(*words: str) -> str:
    out = StringIO()
    call_command("drain", *words, stdout=out)
    return out.getvalue()


def test_a_server_is_drained_by_its_place_and_ended_by_it() -> None:
    row = make_registration(make_group(), State.PRIMARY)
    said = run("127.0.0.2:5060", "--minutes", "30")
    drain = Drain.objects.get()
    assert f"Drain {drain.pk} of 127.0.0.2:5060: emptying" in said
    assert drain.asked_by.endswith("(command line)")
    assert round((drain.ends_at - drain.begins_at).total_seconds()) == 1800
    row.refresh_from_db()
    assert row.wish == "drain"
    run("127.0.0.2", "--end")
    drain.refresh_from_db()
    assert drain.ends_at <= timezone.now()


def test_waiting_ends_when_the_server_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    group = make_group()
    row = make_registration(group, State.PRIMARY)
    there = {"state": State.SECONDARY, "server": group.servers.get(priority=2)}

    def meanwhile(_seconds: float) -> None:
        Registration.objects.filter(pk=row.pk).update(wish="", **there)
        JobResult.objects.update(result=JobResult.Result.MOVED)

    monkeypatch.setattr(time, "sleep", meanwhile)
    said = run("127.0.0.2", "--minutes", "30", "--wait")
    assert "empty" in said
    assert "1 moved, 0 failed." in said


def test_waiting_fails_where_somebody_could_not_be_asked_to_leave() -> None:
    make_registration(make_group(servers=1), State.PRIMARY)
    with pytest.raises(CommandError, match="is not empty: 1 still on it"):
        run("127.0.0.2", "--minutes", "30", "--wait")


def test_who_could_not_be_moved_makes_the_command_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    row = make_registration(make_group(), State.PRIMARY)

    def meanwhile(_seconds: float) -> None:
        Registration.objects.filter(pk=row.pk).update(wish="")
        JobResult.objects.update(result=JobResult.Result.REFUSED)

    monkeypatch.setattr(time, "sleep", meanwhile)
    with pytest.raises(CommandError, match="canary of group ward failed"):
        run("127.0.0.2", "--minutes", "30", "--wait")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("192.0.2.9", "--minutes", "5"), "There is no server"),
        (("127.0.0.2", "--until", "soon"), "no time with an offset"),
        (("127.0.0.2", "--until", "2026-11-27T22:00"), "no time with an offset"),
        (("127.0.0.2", "--until", "2020-01-01T00:00Z"), "must end after it begins"),
        (("127.0.0.2", "--end"), "is not being drained"),
    ],
)
def test_what_makes_no_sense_is_said_and_nothing_ordered(
    words: tuple[str, ...], sentence: str
) -> None:
    make_registration(make_group(), State.PRIMARY)
    with pytest.raises(CommandError, match=sentence):
        run(*words)
    assert not Drain.objects.exists()
    assert not Job.objects.exists()
