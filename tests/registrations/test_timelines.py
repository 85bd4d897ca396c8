"""A server's health over time: spells that tile the span, gaps as gaps, and the lane in words."""

from datetime import UTC, datetime, timedelta

import pytest

from fleet.models import Server
from registrations.models import ServerHealth, ServerPace
from registrations.shown import timelines
from registrations.shown.timelines import Lane, Spell, tile
from tests.support.rows import make_group, make_server_change, make_site

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def ago(**given: float) -> datetime:
    return NOW - timedelta(**given)


@pytest.fixture
def server() -> Server:
    return make_group().servers.get(priority=1)


def healthy(server: Server, condition: str = "up", site: str = "main", **more: datetime) -> None:
    fields = {"since": ago(days=9), "due_at": NOW + timedelta(seconds=9)} | more
    ServerHealth.objects.create(server=server, site=make_site(site), condition=condition, **fields)


def lane_of(server: Server) -> Lane:
    [lane] = timelines.lanes([server], ago(days=1), NOW, "UTC")[server.pk]
    return lane


def states(lane: Lane) -> list[tuple[str, float]]:
    return [(spell.state, round(spell.seconds)) for spell in lane.spells]


def test_spells_tile_the_span_and_what_stays_the_same_is_one() -> None:
    start, end = ago(hours=3), NOW
    turns = [(ago(hours=4), "up"), (ago(hours=2), "up"), (ago(hours=1), "silent")]
    assert tile(turns, "unknown", start, end) == [
        Spell("up", start, ago(hours=1)),
        Spell("silent", ago(hours=1), end),
    ]
    assert tile([], "up", start, end) == [Spell("up", start, end)]


def test_a_server_that_never_changed_answered_all_the_time(server: Server) -> None:
    healthy(server)
    assert states(lane_of(server)) == [("up", 86400)]
    assert lane_of(server).told == "Never silent."


def test_a_silence_has_its_beginning_and_its_end(server: Server) -> None:
    healthy(server, since=ago(hours=1))
    make_server_change(server, "silent", at=ago(hours=3))
    make_server_change(server, "up", at=ago(hours=1), before="silent")
    assert states(lane_of(server)) == [("up", 75600), ("silent", 7200), ("up", 3600)]
    assert lane_of(server).told == "Silent for 2 h."


def test_what_was_known_before_the_first_change_fills_the_beginning(server: Server) -> None:
    healthy(server, "silent", since=ago(hours=6))
    make_server_change(server, "silent", at=ago(hours=6), before="unknown")
    assert states(lane_of(server)) == [("unknown", 64800), ("silent", 21600)]


def test_a_time_in_which_nobody_asked_is_no_health(server: Server) -> None:
    healthy(server, since=ago(days=9))
    make_server_change(server, "unknown", at=ago(hours=5))
    make_server_change(server, "up", at=ago(hours=4), before="unknown")
    assert states(lane_of(server)) == [("up", 68400), ("unknown", 3600), ("up", 14400)]
    assert lane_of(server).told == "Never silent and not asked for 1 h."


def test_a_worker_that_is_gone_now_leaves_the_end_unknown(server: Server) -> None:
    healthy(server, due_at=ago(minutes=30))
    assert states(lane_of(server)) == [("up", 84600), ("unknown", 1800)]


def test_what_was_never_asked_says_nothing(server: Server) -> None:
    assert timelines.lanes([server], ago(days=1), NOW, "UTC")[server.pk] == []
    assert timelines.together([]) is None


def test_sickness_and_pauses_lie_over_what_it_answered(server: Server) -> None:
    healthy(server)
    make_server_change(server, "well", at=ago(hours=20), before="sick")
    make_server_change(server, "sick", at=ago(hours=2), before="well")
    ServerPace.objects.create(server=server, sick_since=ago(hours=2))
    make_server_change(server, "paused", at=ago(hours=9), until=ago(hours=8))
    make_server_change(server, "paused", at=ago(hours=8.5), until=ago(hours=7), before="paused")
    server = Server.objects.select_related("pace").get(pk=server.pk)
    lane = lane_of(server)
    assert states(lane) == [("up", 86400)]
    assert [(spell.state, round(spell.seconds)) for spell in lane.troubles] == [
        ("sick", 4 * 3600),
        ("sick", 2 * 3600),
        ("paused", 2 * 3600),
    ]
    assert lane.told == (
        "Never silent, refusing for 6 h in 2 spells and left alone at its wish for 2 h."
    )


def test_all_sites_together_are_silent_where_one_hears_nothing(server: Server) -> None:
    healthy(server)
    healthy(server, site="north")
    north = {"site": make_site("north"), "site_name": "north"}
    make_server_change(server, "silent", at=ago(hours=3), **north)
    make_server_change(server, "up", at=ago(hours=2), before="silent", **north)
    make_server_change(server, "unknown", at=ago(hours=2.5))
    make_server_change(server, "up", at=ago(hours=1), before="unknown")
    lanes = timelines.lanes([server], ago(days=1), NOW, "UTC")[server.pk]
    assert [lane.site for lane in lanes] == ["main", "north"]
    both = timelines.together(lanes)
    assert both is not None
    assert states(both) == [("up", 75600), ("silent", 3600), ("unknown", 3600), ("up", 3600)]


def test_the_shortest_silence_is_seen_and_said(server: Server) -> None:
    healthy(server)
    make_server_change(server, "silent", at=ago(seconds=70))
    make_server_change(server, "up", at=ago(seconds=65), before="silent")
    [_, silent, _] = lane_of(server).pieces
    assert (silent.state, float(silent.width)) == ("silent", timelines.LEAST_WIDTH)
    assert silent.words.startswith("Silent: ") and silent.words.endswith("(5 s)")
