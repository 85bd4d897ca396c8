"""What is shown: one derivation of unknown and silent for rows, filters and sums alike."""

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext

from fleet.models import ServerGroup, Site
from registrations import queries
from registrations.models import (
    Drain,
    QuietHours,
    Registration,
    ServerHealth,
    ServerPace,
    SiteNetwork,
    State,
)
from tests.registrations import live_fleet
from tests.support.rows import make_group, make_registration, make_transition

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def one(**changes: Any) -> dict[str, Any]:
    """The row of one registration stored with these changes, as shown at NOW."""
    registration = live_fleet.add(live_fleet.make(0), 1, **changes)
    return queries.rows([registration.pk], NOW)[0]


def matching(query: str) -> list[int]:
    found = queries.RegistrationFilter(QueryDict(query), queries.plain(NOW))
    assert found.is_valid(), found.errors
    return [r.pk for r in found.qs.order_by("pk")]


@pytest.mark.parametrize("state", [s for s in State if s not in (State.UNKNOWN, State.DISABLED)])
def test_work_overdue_by_more_than_ten_seconds_is_unknown_since_it_was_due(state: State) -> None:
    row = one(state=state, due_at=ago(10.1))
    assert (row["state"], row["since"]) == ("unknown", queries.moment(ago(10.1)))


@pytest.mark.parametrize("state", [s for s in State if s != State.UNKNOWN])
def test_work_due_less_than_ten_seconds_ago_is_believed(state: State) -> None:
    assert one(state=state, due_at=ago(9.9))["state"] == state


def test_a_switched_off_line_is_never_unknown() -> None:
    assert one(state=State.DISABLED, due_at=ago(500), expires_at=ago(500))["state"] == "disabled"


@pytest.mark.parametrize("state", queries.BOUND)
def test_a_binding_past_its_end_is_unknown_since_that_end(state: State) -> None:
    row = one(state=state, due_at=ago(-60), expires_at=ago(1))
    assert (row["state"], row["since"]) == ("unknown", queries.moment(ago(1)))


def test_an_old_end_says_nothing_of_a_handset_that_holds_no_binding() -> None:
    assert one(state=State.UNREGISTERED, expires_at=ago(60))["state"] == "unregistered"


def test_overdue_and_expired_is_unknown_since_the_earlier_of_both() -> None:
    assert one(due_at=ago(100), expires_at=ago(50))["since"] == queries.moment(ago(100))


def test_a_binding_on_a_silent_server_is_never_plain() -> None:
    fleet = live_fleet.make(1)
    live_fleet.silence(fleet.primary, fleet.site, datetime.now(UTC))
    row = queries.rows([fleet.rows[0].pk], NOW)[0]
    since, ends = (
        queries.clock(datetime.fromisoformat(row[key]), "UTC")
        for key in ("server_silent_since", "expires_at")
    )
    assert row["silent"] and row["state"] == "primary"
    assert row["state_word"] == f"On primary, server silent since {since}, binding ends {ends}"
    states = queries.summary(NOW)["states"]
    assert (states["primary"], states["primary_silent"]) == (0, 1)


def test_a_server_silent_from_another_site_leaves_this_site_plain() -> None:
    fleet = live_fleet.make(1)
    live_fleet.silence(fleet.primary, Site.objects.create(name="far"))
    assert not queries.rows([fleet.rows[0].pk], NOW)[0]["silent"]
    states = queries.summary(NOW)["states"]
    assert (states["primary"], states["primary_silent"]) == (1, 0)


def test_times_in_words_are_those_of_the_site() -> None:
    fleet = live_fleet.make(0)
    Site.objects.update(time_zone="Asia/Tokyo")
    fleet.site.refresh_from_db()
    at = datetime(2026, 3, 1, 12, 2, tzinfo=UTC)
    assert queries.clock(at, "Asia/Tokyo", at) == "21:02 JST"
    assert queries.clock(at, "Asia/Tokyo", at + timedelta(days=2)) == "1 Mar 21:02 JST"
    assert queries.clock(at, "No/Where", at) == "12:02 UTC"


def test_filters_rows_and_sums_agree_for_every_state() -> None:
    fleet = live_fleet.make(0)
    live_fleet.silence(fleet.secondary, fleet.site)
    cases: list[dict[str, Any]] = [
        {"state": state, "server": server, "due_at": due, "expires_at": ends}
        for state in State
        if state != State.UNKNOWN
        for server in (fleet.primary, fleet.secondary)
        for due in (None, ago(500), ago(-500))
        for ends in (None, ago(500), ago(-500))
    ]
    ids = [live_fleet.add(fleet, n, **case).pk for n, case in enumerate(cases, 1)]
    rows = queries.rows(ids, NOW)
    states = queries.summary(NOW)["states"]
    for state in State:
        shown = [r["id"] for r in rows if r["state"] == state]
        assert matching(f"state={state}") == shown
        plain = [r for r in rows if r["state"] == state and not r["silent"]]
        assert states[state] == len(plain)
        assert states.get(f"{state}_silent", 0) == len(shown) - len(plain)
    assert matching("silent=true") == [r["id"] for r in rows if r["silent"]]
    assert sum(states.values()) == len(cases)


def test_every_filter_takes_what_it_says() -> None:
    ward = live_fleet.make(2)
    icu = live_fleet.make(2, "icu", first=11)
    first, second = (r.pk for r in ward.rows)
    third, fourth = (r.pk for r in icu.rows)
    assert matching(f"group={ward.group.pk}") == [first, second]
    assert matching(f"group={ward.group.pk}&group={icu.group.pk}") == [first, second, third, fourth]
    assert matching(f"server={icu.primary.pk}&state=primary") == [third, fourth]
    assert matching(f"site={ward.site.pk}&q=4012") == [fourth]
    assert matching("q=00:90:7A:00:00:01") == [first]
    assert matching("q=nurse 4002") == [second]
    assert matching("q=127.0.0.3") == []
    wrong = queries.RegistrationFilter(QueryDict("state=nonsense"), queries.plain(NOW))
    assert not wrong.is_valid()


def test_an_old_health_is_not_called_up() -> None:
    fleet = live_fleet.make(1)
    ServerHealth.objects.create(
        server=fleet.primary, site=fleet.site, condition="up", since=ago(900), due_at=ago(11)
    )
    server = queries.summary(NOW)["groups"][0]["servers"][0]
    assert server["condition"] == "unknown"
    ServerHealth.objects.update(due_at=ago(9))
    assert queries.summary(NOW)["groups"][0]["servers"][0]["condition"] == "up"


def test_the_summary_counts_by_group_and_by_server() -> None:
    fleet = live_fleet.make(3)
    live_fleet.make(1, "icu", mode=ServerGroup.Mode.FALLBACK, first=11)
    live_fleet.move(fleet.rows[0], fleet.secondary)
    summary = queries.summary(NOW)
    ward = next(g for g in summary["groups"] if g["name"] == "ward")
    assert [(s["role"], s["held"]) for s in ward["servers"]] == [("primary", 2), ("secondary", 1)]
    assert (ward["total"], summary["total"]) == (3, 4)
    icu = next(g for g in summary["groups"] if g["name"] == "icu")
    assert [s["role"] for s in icu["servers"]] == ["primary", "fallback"]
    since = queries.clock(datetime.fromisoformat(summary["since"]["secondary"]), "UTC", NOW)
    assert summary["headline"] == f"3 of 4 on primary; 1 on secondary since {since}."


def test_the_headline_never_calls_a_silent_primary_well() -> None:
    fleet = live_fleet.make(2)
    assert queries.summary(NOW)["headline"] == "All 2 on primary."
    live_fleet.silence(fleet.primary, fleet.site, ago(600))
    since = queries.clock(ago(600), "UTC", NOW)
    assert queries.summary(NOW)["headline"] == (
        f"0 of 2 on primary; 2 on a primary that is silent since {since}."
    )


def test_the_headline_says_since_when_the_first_of_each_came_there() -> None:
    fleet = live_fleet.make(1)
    for n, seconds in enumerate((60, 7200, 300), 2):
        live_fleet.add(fleet, n, state=State.SECONDARY, server=fleet.secondary, since=ago(seconds))
    live_fleet.add(fleet, 9, state=State.PRIMARY, due_at=ago(900))
    Site.objects.update(time_zone="America/Denver")
    summary = queries.summary(NOW)
    first, unknown = (queries.clock(ago(s), "America/Denver", NOW) for s in (7200, 900))
    assert summary["headline"] == (
        f"1 of 5 on primary; 3 on secondary since {first.rpartition(' ')[0]}; "
        f"1 unknown since {unknown}."
    )
    assert summary["since"]["secondary"] == queries.moment(ago(7200))
    assert "rejected" not in summary["since"]


def test_the_headline_is_in_the_zone_of_the_sites_it_tells_of_and_of_several_in_utc() -> None:
    fleet = live_fleet.make(1)
    live_fleet.add(fleet, 2, state=State.UNREGISTERED, server=None, since=ago(60))
    Site.objects.update(time_zone="America/Denver")
    fleet.site = Site.objects.create(name="far", time_zone="Asia/Tokyo")
    live_fleet.add(fleet, 3)
    since = queries.clock(ago(60), "America/Denver", NOW)
    assert queries.summary(NOW)["headline"].endswith(f" unregistered since {since}.")
    live_fleet.add(fleet, 4, state=State.UNREGISTERED, server=None, since=ago(60))
    assert queries.summary(NOW)["headline"].endswith(" UTC.")


def test_thousands_are_set_apart_in_the_headline() -> None:
    states = {**queries.no_counts(), "primary": 4981, "secondary": 1012}
    counted = {"total": 5993, "states": states, "since": {"secondary": queries.moment(NOW)}}
    assert queries.headline(counted, "UTC", NOW).startswith("4,981 of 5,993 on primary; 1,012 on ")


def test_who_moved_is_summed_by_group_and_direction() -> None:
    ward, icu = live_fleet.make(4), live_fleet.make(2, "icu", first=11)
    for row in ward.rows[:3]:
        live_fleet.move(row, ward.secondary)
    live_fleet.move(icu.rows[0], icu.secondary)
    make_transition(at=NOW, to_state=State.UNREGISTERED, to_server="", cause="lost")
    make_transition(at=NOW, from_state="registering", from_server="", cause="first")
    make_transition(at=NOW, from_server="127.0.0.3:5060", cause="changed")
    make_transition(at=ago(7200))
    found = [(m["group"], m["from"], m["to"], m["n"]) for m in queries.moves(ago(3600))]
    a, b = str(ward.primary), str(ward.secondary)
    assert found == [("ward", a, b, 3), ("icu", a, b, 1), ("ward", a, "", 1)]
    [moved, *_] = queries.moves(ago(3600))
    assert moved["first"] <= moved["last"]


def all_day(**place: Any) -> None:
    """Hours that are on for ever: from midnight to midnight by the clock of each site."""
    whole_day = {"days": "1234567", "begins": time(0), "ends": time(0)}
    QuietHours.objects.create(made_by="olga", **place, **whole_day)


def holds() -> dict[str, str]:
    return {group["name"]: group["hold"] for group in queries.summary(NOON)["groups"]}


def test_a_group_says_which_hours_and_which_drain_hold_its_handsets_away() -> None:
    ward, icu = live_fleet.make(2), live_fleet.make(1, "icu", first=11)
    assert holds() == {"ward": "", "icu": ""}
    all_day(group=ward.group)
    until = "No-failback hours until 29 Nov 00:00 UTC."
    assert holds() == {"ward": until, "icu": ""}
    ends = NOON + timedelta(hours=1)
    began = NOON - timedelta(hours=1)
    Drain.objects.create(server=icu.primary, begins_at=began, ends_at=ends, asked_by="olga")
    Drain.objects.create(server=icu.secondary, begins_at=ends, ends_at=ends, asked_by="olga")
    drained = f"{ward.primary} is being drained until 13:00 UTC."
    assert holds() == {"ward": f"{drained} {until}", "icu": drained}


def test_hours_that_hold_some_sites_of_a_group_name_them() -> None:
    ward = live_fleet.make(1, first=50)
    make_registration(ward.group, site=Site.objects.create(name="far", time_zone="Asia/Tokyo"))
    Site.objects.create(name="elsewhere")
    all_day(site=ward.site)
    assert holds() == {"ward": "No-failback hours at main until 29 Nov 00:00 UTC."}
    all_day(group=ward.group)
    assert "No-failback hours at far until 29 Nov 00:00 JST." in holds()["ward"]


def test_who_went_to_and_fro_is_one_handset_each_way() -> None:
    make_transition(at=ago(900))
    make_transition(at=ago(600), from_server="127.0.0.2:5060", to_server="127.0.0.1:5060")
    make_transition(at=ago(300))
    make_transition(at=ago(300), mac="00907a0000aa")
    assert sorted(move["n"] for move in queries.moves(ago(3600))) == [1, 2]


def test_a_line_that_settles_in_its_first_minute_has_not_moved() -> None:
    new, older = live_fleet.make(2).rows
    for row, began in ((new, 300), (older, 400)):
        make_transition(registration=row, at=ago(began), from_server="", cause="first")
        make_transition(registration=row, at=ago(290), mac=row.line.handset.mac)
    assert [move["n"] for move in queries.moves(ago(3600))] == [1]


def test_an_empty_fleet_has_a_headline_too() -> None:
    assert queries.summary(NOW)["headline"] == "No handsets yet."


@pytest.mark.parametrize(
    "look",
    [
        lambda: queries.rows(Registration.objects.values_list("pk", flat=True), NOW),
        lambda: queries.summary(NOW),
        lambda: queries.moves(ago(3600)),
        lambda: [queries.transition_row(t) for t in queries.transitions()],
    ],
)
def test_the_number_of_queries_does_not_grow_with_the_fleet(look: Callable[[], Any]) -> None:
    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            look()
        return len(captured)

    def grow(name: str, first: int) -> None:
        fleet = live_fleet.make(3, name, first=first)
        live_fleet.silence(fleet.primary, fleet.site)
        live_fleet.move(fleet.rows[0], fleet.secondary)

    grow("one", 1)
    few = count()
    for n in range(2, 6):
        grow(f"group {n}", n * 10)
    assert count() == few


def test_the_password_is_not_read_for_a_row() -> None:
    live_fleet.make(1)
    with CaptureQueriesContext(connection) as captured:
        list(queries.registrations(NOW))
    assert "auth_password" not in captured[0]["sql"]


def test_history_filters_take_names_times_and_causes() -> None:
    fleet = live_fleet.make(2)
    moved = [live_fleet.move(r, fleet.secondary) for r in fleet.rows]

    def found(query: str) -> list[int]:
        given = queries.TransitionFilter(QueryDict(query), queries.transitions())
        assert given.is_valid(), given.errors
        return sorted(t.pk for t in given.qs)

    everything = [t.pk for t in moved]
    later = moved[1].at.isoformat().replace("+", "%2B")
    assert found(f"since={later}") == [moved[1].pk]
    assert found(f"until={later}") == [moved[0].pk]
    assert found("group=ward&site=main&state=secondary&cause=failover") == everything
    make_group("icu")
    assert found("group=icu") == found("cause=failback") == []
    assert found("mac=00-90-7A-00-00-02") == [moved[1].pk]
    assert found("q=4001") == [moved[0].pk]
    row = queries.transition_row(queries.transitions()[0])
    assert row["from"] == {"state": "primary", "server": str(fleet.primary)}
    assert row["to"] == {"state": "secondary", "server": str(fleet.secondary)}


def test_a_sick_server_and_a_pause_are_said_in_words_beside_its_condition() -> None:
    group = make_group()
    server = group.servers.get(priority=1)
    ServerPace.objects.create(
        server=server,
        sick_since=NOW - timedelta(minutes=5),
        refused=12,
    )
    until = (NOW + timedelta(minutes=5)).timestamp()
    server.pauses.create(address=server.address, port=server.port, until=until)
    [sick, well] = queries.summary(NOW)["groups"][0]["servers"]
    assert "Refuses handsets it accepted before, since" in sick["word"]
    assert "(12 within a minute)" in sick["word"]
    assert "Asked to be left alone until" in sick["word"]
    assert (well["trouble"], well["sick_since"], well["paused_until"]) == ("", None, None)


def test_a_suspected_network_is_told_in_the_headline() -> None:
    row = make_registration(make_group(), State.PRIMARY)
    SiteNetwork.objects.create(site=row.site, suspected_since=NOW)
    summary = queries.summary(NOW)
    assert summary["headline"].endswith("The network of main is suspected.")
    assert summary["states"]["unknown"] == 1
    assert "Nothing is moved there" in summary["suspected_sites"][0]["sentence"]
    assert summary["suspected_words"] == [summary["suspected_sites"][0]["sentence"]]


def test_sites_that_fell_silent_at_once_are_told_of_in_one_sentence() -> None:
    for name, since in (("south", 40), ("east", 60), ("north", 50), ("west", 600)):
        site = Site.objects.create(name=name, time_zone="America/Denver")
        SiteNetwork.objects.create(site=site, suspected_since=ago(since))
    summary = queries.summary(NOW)
    alone, together = summary["suspected_words"]
    assert "for west at" in alone and "its own network is suspected" in alone
    assert together == (
        "All servers fell silent at once for 3 sites (east, north, south) at "
        f"{queries.clock(ago(60), 'America/Denver', NOW)}: the network of Rollcall's own worker, "
        "or of these sites, is suspected. Nothing is moved there until one answers."
    )
    assert len(summary["suspected_sites"]) == 4
    Site.objects.filter(name="south").update(time_zone="Asia/Tokyo")
    assert " UTC: the network of" in queries.summary(NOW)["suspected_words"][1]
