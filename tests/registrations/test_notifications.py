"""Handsets' own reports: who is heard, what a report sets in motion, and what it never does."""

import io
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlparse

import pytest
from auditlog.models import LogEntry
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.utils import timezone

from fleet.config import logs
from fleet.roles import Role
from registrations import notifications
from registrations.models import NotificationAddress, Registration, StandbyProof, State, Transition
from tests.support import rows

pytestmark = pytest.mark.django_db

LATER = timedelta(minutes=20)


@pytest.fixture(autouse=True)
def nobody_was_counted() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def watched(supervision: str = "observe") -> Registration:
    """A line on its primary whose next looks are twenty minutes off, and its handset's address."""
    line = rows.make_registration(rows.make_group(), State.PRIMARY, supervision=supervision)
    for priority in (1, 2):
        due = timezone.now() + LATER
        is_observed = supervision == "observe"
        rows.make_proof(line, priority, "proved", is_observed=is_observed, due_at=due)
    notifications.renew(line.line.handset, by=rows.make_user("olga", Role.OPERATOR))
    return line


def address() -> str:
    return f"/notify/{NotificationAddress.objects.get().key}/"


def event(mac: str, name: str = "LineRegistrationEvent") -> str:
    return (
        f"<{name}><MACAddress>{mac}</MACAddress><LineNumber>1</LineNumber>"
        f"<TimeStamp>2026-07-14T13:16:28-0600</TimeStamp></{name}>"
    )


def report(path: str, body: str, sender: str = "10.20.0.7", agent: str = "") -> Any:
    strict = Client(enforce_csrf_checks=True)
    said = {"user-agent": agent} if agent else {}
    return strict.post(path, body, content_type="text/xml", REMOTE_ADDR=sender, headers=said)


def due_now() -> int:
    return StandbyProof.objects.filter(due_at__lte=timezone.now()).count()


@pytest.mark.parametrize(
    "name",
    [
        "LineRegistrationEvent",
        "LineUnregistrationEvent",
        "NetworkUpEvent",
        "AppInitializationEvent",
    ],
)
def test_a_report_makes_each_server_be_asked_at_once_and_changes_nothing_itself(name: str) -> None:
    line = watched()
    before = Registration.objects.values().get(pk=line.pk)
    assert report(address(), event(line.line.handset.mac.upper(), name)).status_code == 200
    assert due_now() == 2
    assert Registration.objects.values().get(pk=line.pk) == before
    assert not Transition.objects.exists()


def test_whom_a_server_refused_is_not_asked_sooner_for_a_report() -> None:
    line = watched()
    StandbyProof.objects.filter(server__priority=2).update(proof="refused", refusals=1)
    report(address(), event(line.line.handset.mac))
    assert due_now() == 1


def test_of_an_agents_line_it_is_noted_and_told_as_two_that_hold_one_address() -> None:
    line = watched("register")
    report(address(), event(line.line.handset.mac))
    assert due_now() == 0
    client = Client()
    client.force_login(rows.make_user("vera", Role.VIEWER))
    page = client.get(f"/handsets/{line.line.handset_id}/").content.decode()
    assert "Line 1 registered; with which server it does not say." in page
    assert "two hold one address of record." in page
    assert NotificationAddress.objects.get().key not in page, "an operator's to see"


def test_what_a_handset_calls_itself_is_shown_to_who_may_see_it_whatever_it_says() -> None:
    line = watched()
    path = f"/handsets/{line.line.handset_id}/"
    client = Client()
    client.force_login(rows.make_user("vera", Role.VIEWER))
    report(address(), event(line.line.handset.mac))
    page = client.get(path).content.decode()
    assert "No registrar says what model or software is bound" in page
    said = "FileTransport SpectraLink-SL_8440-UA/4.6.1 <b>\x1b[0m" + "x" * 200
    report(address(), event(line.line.handset.mac), agent=said)
    report(address(), event(line.line.handset.mac))
    page = client.get(path).content.decode()
    assert "It calls itself" in page
    assert "FileTransport SpectraLink-SL_8440-UA/4.6.1 &lt;b&gt;[0mxxx" in page
    assert "x" * 100 not in page, "it is cut"


def test_only_the_latest_are_kept_the_last_one_first() -> None:
    mac = watched().line.handset.mac
    body = event(mac) * 9 + event(mac, "LineUnregistrationEvent")
    report(address(), body)
    found = NotificationAddress.objects.get()
    assert [each["kind"] for each in found.events] == ["unregistered"] + ["registered"] * 7
    assert found.events[0]["told_at"] == "2026-07-14T19:16:28+00:00"
    assert found.events[0]["sender"] == "10.20.0.7"


def test_what_is_not_xml_or_names_another_handset_is_refused() -> None:
    watched()
    for body in ("", event("00907affffff"), "<a", '<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>'):
        expected = 200 if not body else 400
        assert report(address(), body).status_code == expected, body
    assert report(address(), "<a/>" + " " * 20_000).status_code == 400
    assert NotificationAddress.objects.get().events == []
    assert Client().get(address()).status_code == 405


def test_a_key_that_is_made_anew_ends_the_one_before_and_is_audited() -> None:
    line = watched()
    old = address()
    client = Client()
    client.force_login(rows.make_user("otto", Role.OPERATOR))
    assert client.post(f"/handsets/{line.line.handset_id}/notifications/").status_code == 302
    assert report(old, event(line.line.handset.mac)).status_code == 404
    assert report(address(), event(line.line.handset.mac)).status_code == 200
    entry = LogEntry.objects.filter(changes__has_key="notification address").first()
    assert entry is not None and entry.actor is not None
    assert entry.actor.username == "otto"
    assert entry.changes == {"notification address": ["********", "made anew"]}


def test_who_guesses_is_not_looked_up_any_more_and_others_are() -> None:
    line = watched()
    mac = line.line.handset.mac
    for _ in range(notifications.MOST_MISSES):
        assert report("/notify/wrong/", event(mac)).status_code == 404
    answer = report(address(), event(mac))
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
    assert report(address(), event(mac), sender="10.20.0.8").status_code == 200


def test_a_handset_is_heard_so_often_and_no_more() -> None:
    mac = watched().line.handset.mac
    heard = [report(address(), event(mac)).status_code for _ in range(13)]
    assert heard == [200] * notifications.MOST_REPORTS + [429]


def test_reports_come_only_from_the_networks_that_are_named(settings: Any) -> None:
    settings.NOTIFICATION_NETWORKS = (ip_network("10.20.0.0/16"),)
    mac = watched().line.handset.mac
    assert report(address(), event(mac)).status_code == 200
    assert report(address(), event(mac), sender="::ffff:10.20.0.9").status_code == 200
    assert report(address(), event(mac), sender="10.21.0.7").status_code == 403
    assert report(address(), event(mac), sender="").status_code == 403


def test_the_key_stands_in_no_log_and_not_as_it_is_in_the_database(
    caplog: pytest.LogCaptureFixture,
) -> None:
    watched()
    key = NotificationAddress.objects.get().key
    said = logs.without_keys(None, "info", {"event": f'"POST /notify/{key}/ HTTP/1.1" 200'})
    assert key not in str(said) and "/notify/***" in said["event"]
    report(f"/notify/{key}/", "<a")
    assert not [record for record in caplog.records if key in logs_line(record)]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            assert key not in repr(cursor.fetchall())


def logs_line(record: Any) -> str:
    """As the handler writes it."""
    return str(logs.without_keys(None, "info", {"event": record.getMessage()}))


def test_a_groups_files_have_each_handsets_address(client: Client) -> None:
    group = rows.make_group()
    lines = [rows.make_line(group) for _ in range(3)]
    client.force_login(rows.make_user("olga", Role.OPERATOR))
    assert client.post(f"/groups/{group.pk}/notifications/make/").status_code == 302
    page = client.get(f"/groups/{group.pk}/notifications/").content.decode()
    assert "3 of 3 handsets have an address" in page
    assert "Make an address" not in page
    packed = client.get(f"/groups/{group.pk}/notifications.zip").content
    with zipfile.ZipFile(io.BytesIO(packed)) as found:
        assert sorted(found.namelist()) == [f"notify-{line.handset.mac}.cfg" for line in lines]
        text = found.read(f"notify-{lines[0].handset.mac}.cfg").decode()
    key = NotificationAddress.objects.get(handset=lines[0].handset).key
    assert f'"http://testserver/notify/{key}/"' in text
    [entry] = LogEntry.objects.filter(changes__has_key="notification address")
    assert entry.changes == {"notification address": ["none", "made for 3 handsets"]}


def test_the_api_makes_lists_and_renews_them(client: Client) -> None:
    line = watched()
    report(address(), event(line.line.handset.mac))
    other = rows.make_line(line.group)
    key = rows.make_token(rows.make_user("otto", Role.OPERATOR))
    client.defaults["HTTP_AUTHORIZATION"] = f"Token {key}"
    made = client.post("/api/v1/notification-addresses/", {"group": line.group_id})
    assert (made.status_code, made.json()) == (201, {"made": 1})
    assert client.post("/api/v1/notification-addresses/", {"group": 0}).status_code == 400
    found = client.get("/api/v1/notification-addresses/?heard=true").json()
    [row] = found["results"]
    assert (row["mac"], row["made_by"]) == (line.line.handset.mac, "olga")
    assert (row["events"][0]["kind"], row["agent"]) == ("registered", "")
    assert urlparse(row["url"]).path == f"/notify/{key_of(line)}/"
    renewed = client.post(f"/api/v1/notification-addresses/{row['id']}/renew/").json()
    assert renewed["url"] != row["url"]
    mine = f"/api/v1/notification-addresses/?handset={other.handset_id}"
    assert client.get(mine).json()["count"] == 1
    assert client.get("/api/v1/notification-addresses/?hand=1").status_code == 400


def key_of(line: Registration) -> str:
    return NotificationAddress.objects.get(handset=line.line.handset_id).key


def test_a_viewer_may_not_see_where_handsets_report(client: Client) -> None:
    line = watched()
    client.force_login(rows.make_user("vera", Role.VIEWER))
    for path in (
        f"/groups/{line.group_id}/notifications/",
        f"/groups/{line.group_id}/notifications.zip",
    ):
        assert client.get(path).status_code == 403
    assert client.post(f"/handsets/{line.line.handset_id}/notifications/").status_code == 403
