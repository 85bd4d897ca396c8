"""When a rule tells: after how long, how often again, in what hours, and not in a maintenance."""

from dataclasses import replace
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from registrations.incidents.telling import (
    Case,
    Rule,
    Told,
    Window,
    expected_by,
    next_telling,
    replay,
)
from registrations.windows import Weekly

DENVER = ZoneInfo("America/Denver")
MONDAY = datetime(2026, 11, 23, tzinfo=DENVER).timestamp()
HOUR = 3600.0
FOREVER = MONDAY + 30 * 24 * HOUR

CASE = Case(
    "server_silent",
    "critical",
    MONDAY + 3 * HOUR,
    handsets=812,
    of=1000,
    place="a:5060",
    groups=frozenset({"ward"}),
    sites=frozenset({"main"}),
)
ALL = Rule("warning")


def said(rule: Rule, case: Case = CASE, *windows: Window) -> list[tuple[str, float]]:
    """What is told, and how many hours after the incident was detected."""
    tellings = replay(rule, case, FOREVER, windows)
    return [(what, (at - case.detected_at) / HOUR) for what, at in tellings]


def test_it_is_told_once_and_once_when_it_is_over() -> None:
    over = replace(CASE, resolved_at=CASE.detected_at + 2 * HOUR)
    assert said(ALL, over) == [("opened", 0), ("resolved", 2)]
    assert said(replace(ALL, tells_end=False), over) == [("opened", 0)]


def test_it_is_told_again_until_somebody_acknowledges() -> None:
    nagging = replace(ALL, repeat_s=HOUR)
    case = replace(
        CASE,
        acknowledged_at=CASE.detected_at + 2.5 * HOUR,
        resolved_at=CASE.detected_at + 9 * HOUR,
    )
    assert said(nagging, case) == [("opened", 0), ("again", 1), ("again", 2), ("resolved", 9)]


def test_what_is_over_or_acknowledged_before_its_time_is_never_told() -> None:
    patient = replace(ALL, after_s=600)
    assert said(patient, replace(CASE, resolved_at=CASE.detected_at + 599)) == []
    assert said(patient, replace(CASE, acknowledged_at=CASE.detected_at + 10)) == []
    assert said(patient) == [("opened", 600 / HOUR)]


@pytest.mark.parametrize(
    ("rule", "is_told"),
    [
        ({"kinds": frozenset({"server_silent"})}, True),
        ({"kinds": frozenset({"beat_silent"})}, False),
        ({"severity": "critical"}, True),
        ({"groups": frozenset({"ward"})}, True),
        ({"groups": frozenset({"icu"})}, False),
        ({"sites": frozenset({"main", "north"})}, True),
        ({"sites": frozenset({"north"})}, False),
        ({"at_least": 812}, True),
        ({"at_least": 813}, False),
        ({"percent": 81}, True),
        ({"percent": 82}, False),
    ],
)
def test_a_rule_concerns_what_it_names(rule: dict[str, Any], is_told: bool) -> None:
    assert bool(said(replace(ALL, **rule))) is is_told


def test_a_warning_is_not_told_by_a_rule_for_what_is_critical() -> None:
    assert said(Rule("critical"), replace(CASE, severity="warning")) == []


def test_what_follows_from_another_is_told_only_where_its_kind_is_asked_for() -> None:
    lapse = replace(CASE, kind="horizon", is_folded=True)
    assert said(ALL, lapse) == []
    assert said(replace(ALL, kinds=frozenset({"horizon"})), lapse) == [("opened", 0)]


def test_outside_its_hours_a_rule_waits_for_them() -> None:
    office = (Weekly(frozenset({1, 2, 3, 4, 5}), time(8), time(17)), DENVER)
    assert said(replace(ALL, hours=office)) == [("opened", 5)]
    at_night = replace(CASE, resolved_at=CASE.detected_at + HOUR)
    assert said(replace(ALL, hours=office), at_night) == []
    evening = replace(CASE, detected_at=MONDAY + 16 * HOUR, resolved_at=MONDAY + 20 * HOUR)
    assert said(replace(ALL, hours=office), evening) == [("opened", 0), ("resolved", 16)]


def test_a_maintenance_mutes_what_it_covers_until_it_ends() -> None:
    weekly = (Weekly(frozenset({1}), time(2), time(4)), DENVER)
    planned = Window("patches", servers=frozenset({"a:5060"}), weekly=weekly)
    assert said(ALL, CASE, planned) == [("opened", 1)]
    assert said(ALL, replace(CASE, resolved_at=CASE.detected_at + 60), planned) == []
    assert said(ALL, replace(CASE, place="b:5060"), planned) == [("opened", 0)]
    found = expected_by(CASE, [planned], CASE.detected_at)
    assert found is not None and found.name == "patches"
    assert expected_by(CASE, [planned], CASE.detected_at + HOUR) is None


@pytest.mark.parametrize(
    ("window", "is_covered"),
    [
        (Window("w", groups=frozenset({"ward", "icu"})), True),
        (Window("w", groups=frozenset({"icu"})), False),
        (Window("w", sites=frozenset({"main"})), True),
        (Window("w", sites=frozenset({"north"})), False),
        (Window("w", servers=frozenset({"b:5060"})), False),
    ],
)
def test_a_maintenance_covers_nothing_else(window: Window, is_covered: bool) -> None:
    assert window.covers(CASE) is is_covered
    two_sites = replace(CASE, place="", groups=frozenset(), sites=frozenset({"main", "b"}))
    assert not window.covers(two_sites), "trouble elsewhere was not expected"
    assert not window.covers(Case("beat_silent", "critical", MONDAY)), "nor is trouble everywhere"


def test_a_hundred_flapping_handsets_for_an_hour_make_no_more_than_the_rule_allows() -> None:
    flapping = replace(
        CASE, kind="flapping", detected_at=MONDAY, resolved_at=MONDAY + HOUR + 900, handsets=100
    )
    assert len(said(ALL, flapping)) == 2
    every_20_minutes = said(replace(ALL, repeat_s=1200), flapping)
    assert [what for what, _ in every_20_minutes] == [
        "opened",
        "again",
        "again",
        "again",
        "resolved",
    ]


def test_nothing_more_is_told_after_the_end() -> None:
    over = replace(CASE, resolved_at=CASE.detected_at + 60)
    assert next_telling(ALL, over, Told(2, over.detected_at + 60, has_ended=True)) is None


def test_a_rule_whose_hours_never_come_tells_nothing() -> None:
    never = replace(ALL, hours=(Weekly(frozenset(), time(8), time(17)), DENVER))
    assert said(never) == []
