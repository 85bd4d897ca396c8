"""Exports in the background: the same bytes, fenced, resumed after a death, forgotten in time."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.http import QueryDict
from django.test import Client
from django.utils import timezone

from fleet.roles import Role
from registrations import exports, makers
from registrations.exports import orders
from registrations.models import ExportJob, ExportPart
from tests.support.rows import make_transition, make_user
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("database")


def ordered(query: str = "", kind: str = "transitions") -> ExportJob:
    return orders.order(kind, QueryDict(query), User(username="olga"))


def told(job: ExportJob) -> dict[str, Any]:
    return orders.described(ExportJob.objects.get(pk=job.pk))


@pytest.mark.parametrize("wanted", ["csv", "jsonl", "xlsx"])
def test_the_file_is_what_the_export_at_once_would_be(
    wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "PART", 1000)
    for n in range(40):
        make_transition(extension=str(n))
    job = ordered(f"format={wanted}")
    assert (told(job)["state"], told(job)["rows"]) == ("waiting", 40)
    assert orders.make(job.pk)
    made = told(job)
    assert (made["state"], made["done"], made["rows"]) == ("ready", 40, 40)
    file = b"".join(orders.content(job))
    assert made["size"] == len(file)
    assert job.parts.count() > 1
    if wanted == "csv":
        assert file == b"".join(exports.prepare("transitions", QueryDict("")))
    assert made["filename"].endswith(wanted)


def test_what_is_wrong_is_said_when_it_is_ordered() -> None:
    with pytest.raises(exports.ExportRefused):
        ordered("state=asleep")
    with pytest.raises(exports.ExportRefused):
        ordered(kind="passwords")
    assert not ExportJob.objects.exists()


def test_who_holds_the_lease_makes_it_and_nobody_else() -> None:
    job = ordered()
    ExportJob.objects.update(leased_until=timezone.now() + timedelta(seconds=60))
    assert told(job)["state"] == "running"
    assert not orders.make(job.pk)
    ExportJob.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    ExportPart.objects.create(job=job, number=0, data=b"half of what a dead process made")
    assert orders.make(job.pk)
    assert b"".join(orders.content(job)).startswith(b"id,at,")


def test_a_job_deleted_meanwhile_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    make_transition()
    job = ordered()
    prepare = orders.prepare

    def deleted(*asked: Any) -> exports.Export:
        ExportJob.objects.all().delete()
        return prepare(*asked)

    monkeypatch.setattr(orders, "prepare", deleted)
    assert not orders.make(job.pk)
    assert not ExportPart.objects.exists()


def test_a_file_is_forgotten_after_a_day() -> None:
    job, fresh, undone = ordered(), ordered(), ordered()
    for each in (job, fresh):
        orders.make(each.pk)
    old = timezone.now() - orders.KEPT - timedelta(minutes=1)
    ExportJob.objects.filter(pk=job.pk).update(finished_at=old)
    ExportJob.objects.filter(pk=undone.pk).update(created_at=old)
    orders.clean()
    assert list(ExportJob.objects.values_list("pk", flat=True)) == [fresh.pk]
    assert set(ExportPart.objects.values_list("job", flat=True)) == {fresh.pk}


def test_pages_order_show_and_hand_out_an_export() -> None:
    make_transition(group_name="ward")
    make_transition(group_name="lab")
    client = Client()
    client.force_login(make_user(f"vera {uuid4()}", Role.VIEWER))
    asked = {"kind": "transitions", "format": "csv", "query": "group=ward"}
    assert client.post("/exports/new/", asked).status_code == 302
    job = ExportJob.objects.get()
    assert client.get(f"/exports/{job.pk}/file/").status_code == 404
    assert "Waits for a worker" in client.get("/exports/").content.decode()
    orders.make(job.pk)
    answer = client.get(f"/exports/{job.pk}/file/")
    assert len(answer.getvalue().splitlines()) == 2
    assert answer["X-Rollcall-Filter"] == "group=ward"
    assert "attachment" in answer["Content-Disposition"]
    other = Client()
    other.force_login(make_user(f"otto {uuid4()}", Role.VIEWER))
    other.post(f"/exports/{job.pk}/delete/")
    assert ExportJob.objects.exists(), "it is somebody else's"
    client.post(f"/exports/{job.pk}/delete/")
    assert not ExportJob.objects.exists()


def test_exports_are_not_for_everybody() -> None:
    client = Client()
    client.force_login(make_user(f"nobody {uuid4()}"))
    for page in ("/exports/", "/exports/1/file/"):
        assert client.get(page).status_code == 403
    for page in ("/exports/new/", "/exports/1/delete/"):
        assert client.post(page).status_code == 403


def test_a_worker_starts_one_maker_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    popen = subprocess.Popen

    def start(command: list[str], **more: Any) -> Any:
        started.append(command[2:])
        return popen(sleeper, **more)

    monkeypatch.setattr(makers.subprocess, "Popen", start)
    of_exports = makers.Maker("make_export", orders.waiting, orders.clean)
    first, _ = ordered(), ordered()
    of_exports.tend()
    of_exports.tend()
    assert started == [["make_export", str(first.pk)]]
    maker = of_exports.process
    assert maker is not None
    os.kill(maker.pid, signal.SIGKILL)
    wait_until(lambda: maker.poll() is not None, 30, "the maker is gone")
    of_exports.tend()
    assert len(started) == 2
    assert of_exports.process is not None
    of_exports.process.kill()
    of_exports.process.wait()
    assert (settings.BASE_DIR / "manage.py").exists()
