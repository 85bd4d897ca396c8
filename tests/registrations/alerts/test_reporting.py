"""The report by mail: when it leaves, what it says, and that nobody gets it twice."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from registrations.alerts import channel_checks, courier, reporting
from registrations.models import Channel, Delivery, Incident, Registration, State
from tests.support import smtp
from tests.support.rows import make_group, make_proof, make_registration, make_transition

pytestmark = pytest.mark.usefixtures("database")

MONDAY_7 = datetime(2026, 11, 30, 14, 0, tzinfo=UTC)
"""07:00 in Denver."""


def make(**settings: Any) -> Channel:
    given = {"to": ["it@x.example"], "reports": ["daily"], "time_zone": "America/Denver"}
    return Channel.objects.create(name="it", kind="email", settings={**given, **settings})


def test_it_leaves_at_its_hour_once_whoever_asks() -> None:
    make()
    assert reporting.send_reports(MONDAY_7 - timedelta(minutes=1)) == 0
    assert reporting.send_reports(MONDAY_7) == 1
    assert reporting.send_reports(MONDAY_7 + timedelta(minutes=1)) == 0
    assert reporting.send_reports(MONDAY_7 + timedelta(days=1)) == 1


def test_an_hour_that_was_missed_by_far_is_left_out_and_a_weekly_one_comes_on_mondays() -> None:
    make(reports=["daily", "weekly"])
    assert reporting.send_reports(MONDAY_7 + timedelta(hours=7)) == 0
    assert reporting.send_reports(MONDAY_7 + timedelta(hours=5)) == 2
    assert reporting.send_reports(MONDAY_7 + timedelta(days=1)) == 1
    subjects = [each.message["subject"] for each in Delivery.objects.order_by("pk")]
    assert subjects == [
        "[Rollcall] Daily report: 29 November",
        "[Rollcall] Weekly report: 23 November to 29 November",
        "[Rollcall] Daily report: 30 November",
    ]


def test_it_tells_time_on_primary_incidents_who_is_stuck_and_readiness(sink: smtp.Sink) -> None:
    noon = MONDAY_7 - timedelta(hours=19)
    with time_machine.travel(noon - timedelta(days=4)):
        group = make_group("ward <3>")
        row = make_registration(group, State.SECONDARY)
    Registration.objects.update(since=noon, heard_at=MONDAY_7, due_at=None, expires_at=None)
    line = {"mac": row.line.handset.mac, "extension": row.line.extension, "group_name": group.name}
    began = {"from_state": "registering", "to_state": "primary", "cause": "first"}
    make_transition(row, at=noon - timedelta(days=3), **line, **began)
    make_transition(row, at=noon, **line)
    with time_machine.travel(MONDAY_7):
        make_proof(row, 2, "proved")
    Incident.objects.create(
        kind="server_silent",
        severity="critical",
        cause="server_silent:1",
        title="A of ward silent",
        happened="A does not answer.",
        opened_at=noon,
        detected_at=noon,
        resolved_at=noon + timedelta(minutes=95),
        most_handsets=1,
    )
    channel = make()
    reporting.send_reports(MONDAY_7)
    with time_machine.travel(MONDAY_7, tick=False):
        courier.carry_once(channel.pk)
    (mail,) = sink.mails
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None and html is not None
    text = plain.get_content()
    assert "Daily report: 29 November (America/Denver)" in text
    assert "Time on primary: 50.00 %. On secondary 50.00 %" in text
    assert "- ward <3>: primary 50.00 %, nowhere 0.00 %, 1 failover" in text
    assert "for more than an hour at the end: 1." in text
    assert re.search(r"- A of ward silent: .*12:00 MST.*, for 1 h 35 min, 1 handset at most", text)
    assert ": 1 of 1" in text
    assert "ward &lt;3&gt;" in html.get_content() and "50.00 %" in html.get_content()


def test_a_channel_without_reports_gets_none() -> None:
    make(reports=[])
    Channel.objects.create(name="off", kind="email", is_on=False, settings={"reports": ["daily"]})
    assert reporting.send_reports(MONDAY_7) == 0


def test_what_is_no_hour_no_zone_and_no_report_is_refused() -> None:
    wrong = {"to": ["a@x.example"], "reports": ["hourly"], "report_at": "7", "time_zone": "Here"}
    assert channel_checks.faults("email", wrong, "").keys() == {"reports", "report_at", "time_zone"}
    right = {"to": ["a@x.example"], "reports": ["weekly"], "report_at": "06:30"}
    assert channel_checks.faults("email", right, "") == {}
