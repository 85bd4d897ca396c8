"""A look for incidents over real rows, on both databases: one cause, one incident, one message."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from fleet.models import Server, ServerGroup, Site
from registrations.alerts import courier, looking
from registrations.models import (
    AlertRule,
    Channel,
    Delivery,
    Drain,
    Incident,
    IncidentEntry,
    IncidentLook,
    MaintenanceWindow,
    Registration,
    ServerHealth,
    ServerPace,
    SiteNetwork,
    State,
    Transition,
)
from tests.support import claims, smtp
from tests.support.rows import (
    make_group,
    make_proof,
    make_registration,
    make_site,
)
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db


class Watch:
    """Looks every two seconds of a clock of its own."""

    def __init__(self) -> None:
        self.now = timezone.now()

    def look(self, seconds: float = 2) -> None:
        """Let so many seconds pass, look by look."""
        end = self.now + timedelta(seconds=seconds)
        while self.now < end:
            self.now += timedelta(seconds=2)
            looking.look(self.now)

    def skip(self, seconds: float) -> None:
        """Let them pass with nobody looking but at the end."""
        self.now += timedelta(seconds=seconds)
        looking.look(self.now)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def ward(db: None) -> ServerGroup:
    group = make_group()
    for server in group.servers.all():
        hear(server, "up")
    return group


def hear(
    server: Server, condition: str, site: Site | None = None, since: datetime | None = None
) -> None:
    now = timezone.now()
    facts = {"condition": condition, "since": since or now, "due_at": now + timedelta(hours=1)}
    ServerHealth.objects.update_or_create(server=server, site=site or make_site(), defaults=facts)


def primary(group: ServerGroup) -> Server:
    return group.servers.get(priority=1)


def make_rule(**more: Any) -> AlertRule:
    to = {"to": ["night@hospital.example"]}
    channel, _ = Channel.objects.get_or_create(name="night", kind="email", settings=to)
    rule = AlertRule.objects.create(**({"name": "all"} | more))
    rule.channels.add(channel)
    return rule


def told() -> list[tuple[str, str]]:
    rows = Delivery.objects.order_by("pk").values_list("what", "incident__kind")
    return [(what, kind) for what, kind in rows]


def test_a_silent_server_is_one_incident_with_its_handsets_counted(
    ward: ServerGroup, watch: Watch
) -> None:
    for _ in range(3):
        make_registration(ward, State.PRIMARY)
    make_registration(ward, State.SECONDARY)
    make_rule()
    hear(primary(ward), "silent")
    watch.look(10)
    (incident,) = Incident.objects.all()
    assert (incident.kind, incident.severity, incident.handsets) == ("server_silent", "critical", 3)
    assert (incident.of_handsets, incident.groups, incident.sites) == (4, ["ward"], ["main"])
    assert incident.happened == (
        "127.0.0.2:5060 does not answer: 3 handsets are still registered there and may miss calls."
    )
    assert told() == [("opened", "server_silent")]


def test_ten_thousand_handsets_that_lose_a_server_are_one_incident_and_a_message_per_rule(
    database: str, sink: smtp.Sink
) -> None:
    site, group = make_site(), make_group("big")
    for server in group.servers.all():
        hear(server, "up", site)
    claims.make_due(claims.make_lines(10_000, group, site))
    hour = timezone.now() + timedelta(hours=1)
    at_primary = {"state": State.PRIMARY, "server": primary(group), "expires_at": hour}
    Registration.objects.update(due_at=hour, **at_primary)
    make_rule()
    make_rule(name="critical alone", severity="critical", repeat_s=3600)
    watch = Watch()
    watch.look(2)
    assert not Incident.objects.exists()
    hear(primary(group), "silent", site, since=watch.now)
    silent_at = watch.now
    watch.look(14)
    incident = Incident.objects.get()
    assert incident.most_handsets == 10_000
    assert (Delivery.objects.earliest("created_at").created_at - silent_at).total_seconds() <= 15
    # They go to the secondary, or find nobody for a while, and come back at last.
    mine = Registration.objects.filter(group=group)
    half = list(mine.order_by("pk").values_list("pk", flat=True)[:5000])
    mine.filter(pk__in=half).update(state=State.UNREGISTERED, server=None, since=watch.now)
    for _ in range(6):
        watch.skip(60)
    mine.update(state=State.SECONDARY, server=group.servers.get(priority=2), since=watch.now)
    watch.skip(60)
    hear(primary(group), "up", site)
    watch.skip(2)
    watch.skip(60)
    assert Incident.objects.get().state == "resolved"
    per_rule = Delivery.objects.filter(incident=incident).values_list("rule__name", "what")
    assert sorted(per_rule) == [
        ("all", "opened"),
        ("all", "resolved"),
        ("critical alone", "opened"),
        ("critical alone", "resolved"),
    ]
    # Those of the end were queued by the clock of this test, which is ahead.
    Delivery.objects.filter(state="waiting").update(next_try_at=timezone.now())
    courier.rouse()
    wait_until(lambda: len(sink.mails) == 4, 60, "four mails")
    assert sink.mails[0]["Subject"] == "[Rollcall] Critical: 127.0.0.2:5060 of big silent"
    assert sink.mails[-1]["Subject"] == "[Rollcall] Over after 7 min: 127.0.0.2:5060 of big silent"


def test_a_look_costs_the_same_few_queries_for_any_number_of_handsets(
    ward: ServerGroup, watch: Watch, django_assert_max_num_queries: Any
) -> None:
    for _ in range(3):
        make_registration(ward, State.PRIMARY)
    # Within the same half minute, so that the second look is none that costs more.
    watch.now = watch.now.replace(second=2)
    watch.look(2)
    watch.now += timedelta(seconds=2)
    with django_assert_max_num_queries(14):
        looking.look(watch.now)


def test_however_many_ask_one_looks(ward: ServerGroup) -> None:
    now = timezone.now()
    assert looking.look(now)
    assert not looking.look(now)
    assert not looking.look_if_overdue(now + timedelta(seconds=9))
    assert looking.look_if_overdue(now + timedelta(seconds=11))
    assert looking.look(now - timedelta(hours=1)), "a clock that was set back stops nothing"


def test_a_site_whose_servers_all_fell_silent_is_one_incident(
    ward: ServerGroup, watch: Watch
) -> None:
    make_registration(ward, State.PRIMARY)
    for server in ward.servers.all():
        hear(server, "silent")
    SiteNetwork.objects.create(site=make_site(), suspected_since=timezone.now())
    watch.look(20)
    (incident,) = Incident.objects.all()
    assert (incident.kind, incident.handsets) == ("site_network", 1)


def test_a_server_told_before_its_site_was_suspected_is_folded_under_the_site(
    ward: ServerGroup, watch: Watch
) -> None:
    make_rule()
    hear(primary(ward), "silent")
    watch.look(10)
    hear(ward.servers.get(priority=2), "silent")
    SiteNetwork.objects.create(site=make_site(), suspected_since=watch.now)
    watch.look(10)
    server, site = Incident.objects.order_by("pk")
    assert (server.kind, site.kind, server.folded_into) == ("server_silent", "site_network", site)
    assert told() == [("opened", "server_silent"), ("opened", "site_network")]


def test_a_sick_server_is_one_incident_and_holds_the_refused_handsets(
    ward: ServerGroup, watch: Watch
) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    for _ in range(20):
        make_registration(ward, State.REJECTED, since=long_ago)
    ServerPace.objects.create(server=primary(ward), sick_since=timezone.now(), refused=12)
    watch.look(4)
    (incident,) = Incident.objects.all()
    assert (incident.kind, incident.handsets, incident.of_handsets) == ("server_sick", 20, 20)


def test_refused_handsets_without_a_sick_server_are_a_batch(
    ward: ServerGroup, watch: Watch
) -> None:
    for _ in range(8):
        make_registration(ward, State.REJECTED, since=watch.now)
    watch.look(58)
    assert not Incident.objects.exists(), "not before it has lasted a minute"
    watch.look(6)
    (incident,) = Incident.objects.all()
    assert (incident.kind, incident.handsets, incident.of_handsets) == ("credentials", 8, 8)
    Registration.objects.update(state=State.PRIMARY)
    watch.look(70)
    assert Incident.objects.get().state == "resolved"


def test_it_keeps_the_title_it_was_told_as_and_is_over_in_the_past_tense(
    ward: ServerGroup, watch: Watch
) -> None:
    make_rule()
    for _ in range(8):
        make_registration(ward, State.REJECTED, since=watch.now)
    watch.look(64)
    (incident,) = Incident.objects.all()
    for _ in range(12):
        make_registration(ward, State.REJECTED, since=watch.now)
    watch.look(60)
    incident.refresh_from_db()
    assert incident.title == "Handsets of ward at main refused"
    assert incident.happened.startswith("20 of 20 handsets in ward at main are refused")
    Registration.objects.update(state=State.PRIMARY)
    watch.look(70)
    incident.refresh_from_db()
    over = "Up to 20 handsets of ward at main were refused by every server for 2 min."
    assert (incident.title, incident.happened) == ("Handsets of ward at main refused", over)
    entries = incident.entries.values_list("what", "said")
    assert [what for what, _ in entries] == ["opened", "grew", "better", "resolved"]
    assert entries[1][1].startswith("20 of 20 handsets") and entries[3] == ("resolved", over)
    message = Delivery.objects.latest("pk").message
    assert message["subject"] == f"[Rollcall] Over after 2 min: {incident.title}"
    assert f"What happened: {over}" in message["text"] and "after 2 min" in message["text"]


def test_a_single_handset_is_named_after_five_minutes(ward: ServerGroup, watch: Watch) -> None:
    row = make_registration(ward, State.UNREGISTERED, since=watch.now, name="Nurse 7")
    watch.skip(299)
    assert not Incident.objects.exists()
    watch.skip(3)
    (incident,) = Incident.objects.all()
    assert incident.registration == row and incident.title.startswith("Nurse 7")


def test_a_standby_that_would_refuse_those_it_took_is_an_incident(
    ward: ServerGroup, watch: Watch
) -> None:
    for _ in range(12):
        row = make_registration(ward, State.PRIMARY)
        make_proof(row, 2, "refused", proved_at=timezone.now() - timedelta(days=1))
    watch.look(34)
    (incident,) = Incident.objects.all()
    assert (incident.kind, incident.severity, incident.handsets) == ("proof_lost", "warning", 12)


def test_a_hundred_handsets_that_flap_for_an_hour_make_no_more_than_the_rule_allows(
    ward: ServerGroup, watch: Watch
) -> None:
    make_rule(repeat_s=1200)
    rows = claims.make_due(claims.make_lines(100, ward, make_site()))
    for minute in range(0, 60, 2):
        cause, state = ("failover", "secondary") if minute % 4 else ("failback", "primary")
        names = {"mac": "0", "extension": "0", "group_name": "ward", "site_name": "main"}
        Transition.objects.bulk_create(
            Transition(registration=row, at=watch.now, cause=cause, to_state=state, **names)
            for row in rows
        )
        watch.skip(120)
    for _ in range(20):
        watch.skip(120)
    (incident,) = Incident.objects.all()
    assert (incident.kind, incident.most_handsets) == ("flapping", 100)
    assert incident.state == "resolved"
    whats = [what for what, _ in told()]
    assert whats[0] == "opened" and whats[-1] == "resolved" and len(whats) <= 2 + 4
    assert set(whats[1:-1]) == {"again"}


def test_it_is_told_again_until_acknowledged_and_not_after(ward: ServerGroup, watch: Watch) -> None:
    make_rule(repeat_s=60)
    hear(primary(ward), "silent")
    watch.look(130)
    assert [what for what, _ in told()] == ["opened", "again", "again"]
    Incident.objects.update(acknowledged_at=watch.now, acknowledged_by="olga")
    watch.look(130)
    assert len(told()) == 3


def test_a_server_that_comes_and_goes_stays_one_incident(ward: ServerGroup, watch: Watch) -> None:
    make_rule()
    for _ in range(5):
        hear(primary(ward), "silent", since=watch.now)
        watch.look(20)
        hear(primary(ward), "up")
        watch.look(20)
    incident = Incident.objects.get()
    assert incident.relapses == 4 and incident.state == "open"
    assert told() == [("opened", "server_silent")]
    watch.look(120)
    assert Incident.objects.get().state == "open", "what flaps must be calm for longer"
    watch.skip(600)
    assert Incident.objects.get().state == "resolved"
    whats = list(IncidentEntry.objects.values_list("what", flat=True))
    assert whats[0] == "opened" and whats[-1] == "resolved" and whats.count("relapsed") == 4


def test_a_maintenance_mutes_its_server_and_nothing_else(ward: ServerGroup, watch: Watch) -> None:
    make_rule()
    begins = watch.now - timedelta(minutes=5)
    window = MaintenanceWindow.objects.create(
        name="patches", starts_at=begins, stops_at=watch.now + timedelta(minutes=2)
    )
    window.servers.add(primary(ward))
    icu = make_group("icu")
    icu.servers.filter(priority=1).update(address="127.0.0.9")
    hear(primary(ward), "silent")
    hear(primary(icu), "silent")
    watch.look(20)
    expected = dict(Incident.objects.values_list("groups__0", "expected"))
    assert expected == {"ward": "patches", "icu": ""}
    assert told() == [("opened", "server_silent")]
    watch.look(120)
    assert len(told()) == 2, "it lasted longer than was planned"


def test_a_drain_is_a_maintenance_of_its_server(ward: ServerGroup, watch: Watch) -> None:
    make_rule()
    ends = watch.now + timedelta(minutes=2)
    Drain.objects.create(server=primary(ward), begins_at=watch.now, ends_at=ends, asked_by="olga")
    hear(primary(ward), "silent")
    watch.look(20)
    assert Incident.objects.get().expected == "Drain of 127.0.0.2:5060"
    assert told() == []


def test_a_rule_that_came_later_tells_of_what_is_on_and_not_of_what_was(
    ward: ServerGroup, watch: Watch
) -> None:
    hear(primary(ward), "silent")
    watch.look(10)
    hear(primary(ward), "up")
    watch.look(70)
    assert Incident.objects.get().state == "resolved"
    hear(ward.servers.get(priority=2), "silent")
    watch.look(10)
    make_rule()
    watch.look(10)
    assert told() == [("opened", "server_silent")]


def test_nothing_is_said_of_workers_while_redis_cannot_be_asked(watch: Watch, db: None) -> None:
    Incident.objects.create(
        kind="worker_silent",
        severity="critical",
        cause="worker_silent:",
        opened_at=watch.now,
        detected_at=watch.now,
        good_since=watch.now - timedelta(hours=1),
    )
    watch.look(20)
    assert Incident.objects.get().state == "open"


def test_whoever_stands_in_opens_no_connection_for_each_look(db: None) -> None:
    IncidentLook.objects.create(pk=1, at=timezone.now())
    looking.stand_in()
    assert not connection.closed_in_transaction


def test_a_look_at_a_fleet_that_is_well_asks_little(
    watch: Watch, django_assert_max_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Which processes these tests' Redis has heard of is another matter.
    monkeypatch.setattr(looking, "silent_parts", lambda now: ([], frozenset()))
    make_registration(make_group(), state=State.PRIMARY)
    watch.look()
    # Amid one half minute, and long enough after the last: neither is left out or thorough.
    watch.now += timedelta(seconds=35 - watch.now.timestamp() % 30)
    assert looking.look(watch.now)
    with django_assert_max_num_queries(3):
        watch.look()
