"""Imports as jobs: looked through, imported once, resumed by others, forgotten in time."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from fleet import import_orders, services
from fleet.import_orders import LeaseLost, make, order, say_go, state
from fleet.models import Handset, ImportJob, ImportPart, Site
from registrations import makers
from tests.support import trees

pytestmark = pytest.mark.django_db

FLEET = b"""\
sites: [{name: main}]
groups: [{name: Ward, mode: failover, servers: [{address: 192.0.2.10}]}]
"""
TABLE = b"""\
mac,extension,domain,auth_password,group,site,supervision
00907a000001,4101,a.example,hush-hush,Ward,main,off
00907a000002,41 02,a.example,hush-hush,Ward,main,off
"""
RIGHT = TABLE.replace(b"41 02", b"4102")


def ordered(*files: bytes) -> ImportJob:
    given = [("fleet.yaml", files[0]), *(("h.csv", data) for data in files[1:])]
    return order(given, by="ann")


def again(job: ImportJob) -> ImportJob:
    return ImportJob.objects.get(pk=job.pk)


def test_files_are_looked_through_and_nothing_changes_before_somebody_says_go() -> None:
    job = ordered(FLEET, RIGHT)
    assert state(job) == "waiting"
    assert make(job.pk)
    assert state(again(job)) == "ready"
    assert again(job).found["counts"]["handsets"]["created"] == 2
    assert [each["name"] for each in again(job).found["listed"] if each["kind"] == "handsets"] == [
        "00907a000001",
        "00907a000002",
    ]
    assert not Handset.objects.exists()
    assert not make(job.pk)
    assert say_go(job, by="ann", partial=False)
    assert state(again(job)) == "waiting"
    assert make(job.pk)
    assert state(again(job)) == "done"
    assert Handset.objects.count() == 2
    assert not ImportPart.objects.exists()


def test_nobody_says_go_before_it_was_looked_through_or_twice() -> None:
    job = ordered(FLEET, RIGHT)
    assert not say_go(job, by="ann", partial=False)
    make(job.pk)
    assert say_go(job, by="ann", partial=False)
    assert not say_go(job, by="bob", partial=True)


def test_all_faults_are_told_and_what_is_right_can_be_imported_without_them() -> None:
    job = ordered(FLEET, TABLE)
    make(job.pk)
    found = again(job).found
    assert [(f["file"], f["row"], f["field"]) for f in found["faults"]] == [
        ("h.csv", 3, "extension")
    ]
    assert found["counts"]["handsets"]["created"] == 1
    say_go(job, by="ann", partial=True)
    make(job.pk)
    assert state(again(job)) == "done"
    assert [h.mac for h in Handset.objects.all()] == ["00907a000001"]


def test_all_or_nothing_is_nothing_where_there_is_a_fault() -> None:
    job = ordered(FLEET, TABLE)
    make(job.pk)
    say_go(job, by="ann", partial=False)
    make(job.pk)
    assert state(again(job)) == "failed"
    assert again(job).found["fault_count"] == 1
    assert not Site.objects.exists()


def test_a_file_with_nothing_right_in_it_is_refused() -> None:
    job = ordered(b"nonsense")
    make(job.pk)
    assert state(again(job)) == "refused"
    assert not say_go(job, by="ann", partial=True)


def test_what_became_wrong_since_it_was_looked_through_is_told() -> None:
    job = ordered(FLEET, RIGHT.replace(b"Ward,main", b"Gone,main"))
    services.import_files([("g.yaml", FLEET.replace(b"Ward", b"Gone"))], by="bob")
    make(job.pk)
    say_go(job, by="ann", partial=False)
    services.ServerGroup.objects.filter(name="Gone").delete()
    make(job.pk)
    assert state(again(job)) == "failed"
    assert "what was right before" in again(job).failure


def test_who_works_on_it_holds_a_lease_that_another_takes_over_when_it_runs_out() -> None:
    job = ordered(FLEET, RIGHT)
    held = {"lease_token": "12345678-1234-5678-1234-567812345678"}
    ImportJob.objects.update(**held, leased_until=timezone.now() + timedelta(seconds=60))
    assert state(again(job)) == "running"
    assert not make(job.pk)
    ImportJob.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    assert make(job.pk)


def test_who_lost_the_lease_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    job = ordered(FLEET, RIGHT)
    make(job.pk)
    say_go(job, by="ann", partial=False)
    apply_import = services.apply_import

    def overtaken(*args: Any, **kwargs: Any) -> services.Imported:
        report = apply_import(*args, **kwargs)
        ImportJob.objects.update(lease_token=None)
        return report

    monkeypatch.setattr(services, "apply_import", overtaken)
    assert not make(job.pk)
    assert not Handset.objects.exists()


def test_progress_is_told_and_a_job_taken_back_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_orders, "TELL_S", 0)
    job = order(trees.ward(3), by="ann")
    token = "12345678-1234-5678-1234-567812345678"
    ImportJob.objects.update(lease_token=token)
    tell = import_orders._teller(job.pk, token)  # type: ignore[arg-type]
    tell(3, 10)
    assert (again(job).done, again(job).total) == (3, 10)
    job.delete()
    with pytest.raises(LeaseLost):
        tell(4, 10)


def test_what_breaks_is_told_and_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: Any, **__: Any) -> None:
        raise RuntimeError("a fault of ours")

    job = ordered(FLEET)
    monkeypatch.setattr(services, "read_files", breaks)
    with pytest.raises(RuntimeError):
        make(job.pk)
    assert state(again(job)) == "failed"
    assert not import_orders.waiting().exists()


def test_no_password_stands_in_the_database_in_the_clear() -> None:
    job = ordered(FLEET, TABLE)
    stored = b"".join(bytes(data) for data in ImportPart.objects.values_list("data", flat=True))
    assert b"hush" not in stored
    make(job.pk)
    assert "hush" not in str(again(job).found)
    assert import_orders._content(job)[1] == ("h.csv", TABLE)


def test_a_fault_in_what_no_database_holds_is_told_all_the_same() -> None:
    job = ordered(b'sites: [{name: main, "\\0\\ud800": 1}]')
    make(job.pk)
    [fault] = again(job).found["faults"]
    assert "\0" not in fault["field"]


def test_files_longer_than_a_part_come_back_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_orders, "PART", 100)
    files = [("a.csv", bytes(range(256)) * 3), ("empty.csv", b""), ("b.csv", b"x" * 101)]
    assert import_orders._content(order(files, by="ann")) == files


def test_small_files_are_done_at_once_and_archives_count_for_more() -> None:
    small = b"x" * (import_orders.AT_ONCE // 2)
    assert import_orders.is_small(order([("a.csv", small)], by="ann"))
    assert not import_orders.is_small(order([("a.csv", small * 3)], by="ann"))
    assert not import_orders.is_small(order([("a.zip", small)], by="ann"))


def test_a_job_is_forgotten_with_its_files_after_a_day() -> None:
    job = ordered(FLEET)
    import_orders.clean()
    assert ImportJob.objects.exists()
    ImportJob.objects.filter(pk=job.pk).update(
        created_at=timezone.now() - import_orders.KEPT - timedelta(seconds=1)
    )
    import_orders.clean()
    assert not ImportPart.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_worker_has_a_process_do_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []

    class Process:
        def __init__(self, command: list[str], **_: Any) -> None:
            started.append(command[2:])

        def poll(self) -> None:
            return None

    monkeypatch.setattr(makers.subprocess, "Popen", Process)
    monkeypatch.setattr(makers.IMPORTS, "process", None)
    makers.IMPORTS.tend()
    assert started == []
    job = ordered(FLEET, RIGHT)
    makers.IMPORTS.tend()
    makers.IMPORTS.tend()
    assert started == [["make_import", str(job.pk)]]
    monkeypatch.setattr("os.nice", lambda by: 0)
    call_command(*started[0])
    assert state(again(job)) == "ready"
