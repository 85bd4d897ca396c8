"""One password goes every way there is; afterwards it is looked for everywhere."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from auditlog.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.urls import path
from django.utils import timezone

from fleet import exporting, import_orders
from fleet.config.urls import handler404, handler500, urlpatterns
from fleet.models import Line
from registrations import ring
from registrations.models import Registration, Transition
from registrations.runtime.engine import Name
from registrations.runtime.loop import LoopThread
from registrations.sip.message import Request
from tests.support import pages
from tests.support.claims import make_group
from tests.support.peer import Peer, accept, peer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

CANARY = "sing-Tweety-4711"
OTHER = "sing-Sylvester-0815"


def challenging(request: Request) -> bytes:
    if "authorization" in request.headers:
        return accept(request)
    asked = accept(request, "401 Unauthorized").removesuffix(b"Content-Length: 0\r\n\r\n")
    return asked + b'WWW-Authenticate: Digest realm="pbx", nonce="n", qop="auth"\r\n\r\n'


def breaks(request: Any) -> None:
    """A fault with the password in its hands, and in its words."""
    line = Line.objects.filter(handset__mac="00907a0000ff").first()
    assert line is not None
    password = line.auth_password
    assert password == CANARY
    raise KeyError(line)


class Broken:
    handler404, handler500 = handler404, handler500
    urlpatterns = [path("breaks/", breaks), path("api/v1/breaks/", breaks), *urlpatterns]


@pytest.fixture
def admin(client: Client, settings: Any) -> Client:
    settings.ROOT_URLCONF = Broken
    client.raise_request_exception = False
    client.force_login(User.objects.create_superuser("admin"))
    return client


@pytest.fixture
def registrar() -> Iterator[Peer]:
    with peer(answer=challenging) as one:
        yield one


def given(handset: int, password: str) -> dict[str, Any]:
    return {
        **{"handset": handset, "number": 1, "extension": "4101", "domain": "pbx.example"},
        **{"auth_password": password, "supervision": "register"},
    }


def entered(client: Client, registrar: Peer) -> Registration:
    """Type the password in by the API, wrongly at first, then change it there and in the admin."""
    group = make_group("aviary", addresses=(f"{registrar.address[0]}:{registrar.address[1]}",))

    def posted(kind: str, body: dict[str, Any]) -> Any:
        return client.post(f"/api/v1/{kind}/", body, content_type="application/json")

    site = posted("sites", {"name": "ward", "time_zone": "UTC"}).json()["id"]
    handset = {"mac": "00907a0000ff", "group": group.pk, "site": site}
    made = posted("handsets", handset).json()["id"]
    said = [posted("lines", given(made, f"{CANARY}\n") | {"number": 0})]
    said.append(posted("lines", given(made, OTHER)))
    address = f"/api/v1/lines/{said[1].json()['id']}/"
    change = {"auth_password": CANARY}
    said.append(client.patch(address, change, content_type="application/json"))
    assert [answer.status_code for answer in said] == [400, 201, 200]
    for answer in said:
        assert "sing" not in answer.content.decode()
    line = Line.objects.get()
    assert line.auth_password == CANARY
    Registration.objects.update(due_at=timezone.now())
    return Registration.objects.get()


def held_in_database() -> list[str]:
    """The tables in which one of the passwords stands as it is."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            rows = str([[bytes(c) if isinstance(c, memoryview) else c for c in r] for r in cursor])
            if CANARY in rows or OTHER in rows:
                found.append(table)
    return found


def held_in_redis(url: str) -> list[bytes]:
    with redis.Redis.from_url(url) as client:
        dumped = {key: client.dump(key) or b"" for key in client.scan_iter()}
    return [key for key, value in dumped.items() if CANARY.encode() in value]


def test_a_sip_password_is_nowhere_but_encrypted_in_its_row(
    live_redis: str,
    admin: Client,
    registrar: Peer,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Any,
) -> None:
    caplog.set_level(logging.DEBUG)
    row = entered(admin, registrar)
    worker = LoopThread(lambda site_id: None, Name("worker@test", ""))
    worker.start()
    try:
        worker.kick(row.site_id)
        wait_until(lambda: Registration.objects.get().state == "primary", 30, "registered")
        wait_until(lambda: ring.read(row.pk).tries, 30, "the trace is kept")
    finally:
        worker.stop()
    file = tmp_path / "handsets.csv"
    file.write_text(
        f"mac,line,auth_password,extension\n00907a0000ff,1,{CANARY},4 1\nbad,1,{CANARY},1\n"
    )
    with pytest.raises(CommandError):
        call_command("import_fleet", str(file))

    with file.open("rb") as upload:
        job = admin.post("/import/", {"files": upload}).headers["Location"]
    assert held_in_database() == [], "while its file waits"
    for waiting in import_orders.waiting():
        import_orders.make(waiting.pk)

    shown = []
    ids = pages.make_fleet()
    addresses = [address for _, address in pages.addresses(ids)]
    addresses += [f"/handsets/{row.line.handset_id}/", "/breaks/", "/api/v1/breaks/"]
    addresses += [f"/admin/fleet/line/{row.line_id}/change/", "/admin/auditlog/logentry/"]
    addresses += [f"/admin/auditlog/logentry/{e.pk}/change/" for e in LogEntry.objects.all()[:20]]
    addresses += [f"/api/v1/registrations/{row.pk}/{p}" for p in ("", "why/", "trace/")]
    addresses += [f"/api/v1/registrations/{row.pk}/trace/?format=text", "/api/v1/lines/"]
    addresses += [f"/import/fleet.{ending}" for ending in exporting.FORMATS]
    addresses += ["/audit.csv", "/api/v1/audit/?page_size=1000", "/users/", "/api/v1/tokens/"]
    addresses += [job, f"{job}faults.csv", f"/groups/{row.group_id}/site.cfg"]
    addresses += [
        f"/api/v1/{kind}/export/?format=jsonl" for kind in ("transitions", "registrations")
    ]
    for address in addresses:
        answer = admin.get(address)
        body = answer.getvalue() if answer.streaming else answer.content
        assert "breaks" in address or answer.status_code == 200, address
        if b"sing-" in body:
            shown.append(address)
    assert shown == []
    trace = admin.get(f"/api/v1/registrations/{row.pk}/trace/?format=text").content
    assert b"Authorization" in trace, "the trace has the request itself"
    assert Transition.objects.exists()
    assert "KeyError" in caplog.text, "the fault was written down"
    assert any(record.levelno == logging.DEBUG for record in caplog.records)
    assert "sing-" not in caplog.text
    assert "sing-" not in "".join(capsys.readouterr())
    assert held_in_database() == []
    assert held_in_redis(live_redis) == []
    assert b"sing-" not in b"".join(str(request).encode() for _, request in registrar.heard)
