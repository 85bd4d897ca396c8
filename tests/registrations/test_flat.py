"""Rows read without models are the rows that models give, whenever and wherever they are read."""

from datetime import UTC, datetime, timedelta

import pytest

from fleet import reach
from registrations import queries
from registrations.live.reading import Order, read
from registrations.models import Registration, ServerHealth, SiteNetwork, State
from registrations.queries import flat
from tests.support.databases import database, migrated_postgres
from tests.support.rows import make_group, make_registration, make_site

__all__ = ["database", "migrated_postgres"]

pytestmark = pytest.mark.usefixtures("database")

NOW = datetime.now(UTC)


def make_fleet() -> list[int]:
    """Registrations in every state, on servers with and without a name, at two sites."""
    suspected = make_site("annex", time_zone="America/Phoenix")
    SiteNetwork.objects.create(site=suspected, suspected_since=NOW - timedelta(minutes=3))
    ward, theatre = make_group("ward", servers=3), make_group("theatre", mode="fallback")
    first, second = theatre.servers.order_by("priority")
    second.name, second.port, second.lost_features = "Basement", 0, ["paging", "recall"]
    second.save()
    made = [
        make_registration(group, state=state, site=site)
        for state in State
        if state != State.UNKNOWN
        for group in (ward, theatre)
        for site in (make_site(), suspected)
    ]
    silent = ward.servers.get(priority=1)
    ServerHealth.objects.update_or_create(
        server=silent,
        site=make_site(),
        defaults={
            "condition": ServerHealth.Condition.SILENT,
            "since": NOW - timedelta(minutes=1),
            "due_at": NOW,
        },
    )
    assumed, stuck = made[0], made[1]
    Registration.objects.filter(pk=assumed.pk).update(assumed_on=first, reason='Wörter 병원 "x"')
    Registration.objects.filter(pk=stuck.pk).update(stuck_since=NOW - timedelta(days=400))
    tagged = made[2].line.handset
    tagged.tags, tagged.model = ["icu", "night"], "8440"
    tagged.save()
    return [row.pk for row in made]


def test_a_row_is_the_same_as_a_model_gives_it_at_any_time() -> None:
    ids = make_fleet()
    states = set()
    # Within the hour bindings end and work is overdue; the first is read twice, compiled once.
    for minutes in (0, 61, -30, 59, 0):
        now = NOW + timedelta(minutes=minutes)
        expected = [queries.row(r) for r in queries.registrations(now).order_by("pk")]
        assert queries.rows(ids, now) == expected
        states |= {row["state"] for row in expected}
    assert states == {state.value for state in State}
    assert queries.rows([], NOW) == []
    assert [row["id"] for row in queries.rows([ids[3], 2**40, ids[1]], NOW)] == [ids[1], ids[3]]


def test_who_is_limited_to_sites_gets_theirs_and_limits_nobody_who_asks_later() -> None:
    ids = make_fleet()
    here, annex = make_site().pk, make_site("annex").pk
    flat._asked.cache_clear()
    for site in (here, annex):
        with reach.limited_to(frozenset((site,))):
            assert {row["site"] for row in queries.rows(ids, NOW)} == {site}
    assert [row["id"] for row in queries.rows(ids, NOW)] == sorted(ids)


def test_a_review_reads_only_what_was_not_read_as_it_is() -> None:
    ids = frozenset(make_fleet())

    def order(rows: frozenset[int], review: frozenset[int]) -> Order:
        return Order(rows, review, stamps, frozenset(), frozenset())

    stamps = {}
    stamps = read(order(ids, frozenset())).stamps
    assert read(order(frozenset(), ids)).looked == set()
    changed, gone, *_ = sorted(ids)
    Registration.objects.filter(pk=changed).update(last_answer="486 Busy Here")
    Registration.objects.filter(pk=gone).delete()
    found = read(order(frozenset(), ids))
    assert found.looked == {changed, gone}
    assert set(found.rows) == {changed}
    stamps = stamps | found.stamps
    assert read(order(frozenset(), ids)).looked == set()
