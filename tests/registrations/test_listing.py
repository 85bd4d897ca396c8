"""Filters, orders and pages of registrations, the same on both databases."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from fleet.models import Handset, Server
from registrations import queries
from registrations.models import Registration, ServerHealth, State
from registrations.queries import paging
from registrations.queries.order import ORDERS, WORST_FIRST
from tests.support.databases import database, migrated_postgres  # noqa: F401 - fixtures
from tests.support.rows import make_group, make_registration, make_site


def found(query: str, order: str = "id") -> list[int]:
    filtered = queries.RegistrationFilter(QueryDict(query), queries.plain(timezone.now()))
    assert filtered.is_valid(), filtered.errors
    return [row.pk for row in queries.ordered(filtered.qs, order)]


def described(registration: Registration, **fields: Any) -> Registration:
    """Let its handset have these fields."""
    Handset.objects.filter(pk=registration.line.handset_id).update(**fields)
    return registration


@pytest.fixture
def three(database: str) -> list[Registration]:  # noqa: F811
    ward, clinic = make_group("ward"), make_group("clinic")
    Server.objects.filter(group=clinic, priority=1).update(name="PBX North", address="pbx.example")
    rows = [
        make_registration(ward, State.SECONDARY, name="Triage desk", extension="4101"),
        make_registration(clinic, State.PRIMARY, name="Porter", extension="nurse-2"),
        make_registration(ward, State.DISABLED, name="Spare", supervision="off", extension="4103"),
    ]
    described(rows[0], mac="00907aab0101", model="8440", tags=["icu", "night shift"])
    described(rows[1], mac="00907acd0202", model="8742", tags=["Café"])
    return rows


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("tag=icu", [0]),
        ("tag=icu&tag=Caf%C3%A9", [0, 1]),
        ("tag=night+shift", [0]),
        ("tag=night", []),
        ("tag=null", []),
        ("tag=%22]", []),
        ("model=8742", [1]),
        ("model=8742&model=8440&tag=icu", [0]),
        ("supervision=off", [2]),
        ("supervision=register&state=primary", [1]),
        ("q=TRIAGE", [0]),
        ("q=desk+tri", [0]),
        ("q=4103", [2]),
        ("q=nurse-2@PBX.example", [1]),
        ("q=00:90:7A:AB", [0]),
        ("q=00-90-7a-cd", [1]),
        ("q=0090.7acd.02", [1]),
        ("q=AB0101", [0]),
        ("q=127.0.0.3", [0]),
        ("q=pbx+north", [1]),
        ("q=north+porter", [1]),
        ("q=north+triage", []),
        ("q=night", [0]),
        ("q=caf%C3%A9", [1]),
        ("q=100%25", []),
        ("q=_", []),
    ],
)
def test_every_filter_finds_what_it_says(
    three: list[Registration], query: str, expected: list[int]
) -> None:
    assert found(query) == [three[n].pk for n in expected]


def test_a_value_that_no_choice_has_gets_a_sentence(three: list[Registration]) -> None:
    for query, sentence in (
        ("group=999", "There is none with the number 999."),
        ("group=x", "Give the number of one, not x."),
        (f"server={'9' * 30}", f"There is none with the number {'9' * 30}."),
        ("state=asleep", "There is no such thing as asleep."),
        ("supervision=maybe", "There is no such thing as maybe."),
    ):
        given = queries.RegistrationFilter(QueryDict(query), queries.plain(timezone.now()))
        assert not given.is_valid()
        [[said]] = given.errors.values()
        assert said == sentence
    nul = queries.RegistrationFilter(QueryDict("tag=%00"), queries.plain(timezone.now()))
    assert not nul.is_valid()


@pytest.mark.parametrize("order", [sign + name for name in ORDERS for sign in ("", "-")])
def test_every_order_lists_each_once_and_turns_round(three: list[Registration], order: str) -> None:
    ids = found("", order)
    assert sorted(ids) == sorted(row.pk for row in three)
    if order.removeprefix("-") not in ("server", "next", "expires", "heard"):
        turned = order.removeprefix("-") if order.startswith("-") else f"-{order}"
        assert found("", turned) == ids[::-1]


def test_the_worst_comes_first_as_it_is_shown(database: str) -> None:  # noqa: F811
    group, now = make_group(), timezone.now()
    rows = {s: make_registration(group, s) for s in State if s != State.UNKNOWN}
    late = make_registration(group, State.PRIMARY, due_at=now - timedelta(minutes=5))
    rows[State.UNKNOWN] = late
    assert found("", "state") == [rows[state].pk for state in WORST_FIRST]
    assert found("state=unknown") == [late.pk]
    assert found("state=primary") == [rows[State.PRIMARY].pk]


def test_silence_is_that_of_the_rows_own_site(database: str) -> None:  # noqa: F811
    group = make_group()
    here = make_registration(group, State.PRIMARY)
    there = make_registration(group, State.PRIMARY, make_site("north"))
    other = make_registration(group, State.SECONDARY)
    nowhere = make_registration(group, State.UNREGISTERED)
    assert found("silent=true") == []
    ServerHealth.objects.create(
        server=here.server,
        site=here.site,
        condition=ServerHealth.Condition.SILENT,
        since=timezone.now(),
        due_at=timezone.now() + timedelta(hours=1),
    )
    assert found("silent=true") == [here.pk]
    assert found("silent=false") == [there.pk, other.pk, nowhere.pk]


@pytest.mark.parametrize("few", [0, 10_000])
def test_pages_hold_each_row_once_whichever_way_they_are_reached(
    database: str,  # noqa: F811
    few: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paging, "FEW", few)
    group = make_group()
    for number in range(23):
        make_registration(group, State.SECONDARY, name=f"Nurse {number % 4}")
    whole = found("state=secondary", "name")
    make_registration(group, State.PRIMARY)
    away = queries.plain(timezone.now()).filter(state=State.SECONDARY)
    pager = queries.Pager(queries.ordered(away, "name"), 5)
    assert [row.pk for number in range(1, 6) for row in pager.page(number)] == whole
    assert [len(pager.page(number)) for number in (1, 5)] == [5, 3]
    assert queries.row(pager.page(2)[0])["state"] == State.SECONDARY


def test_a_page_is_three_queries_and_only_its_rows_are_joined(database: str) -> None:  # noqa: F811
    group = make_group()
    for _ in range(8):
        make_registration(group)
    pager = queries.Pager(queries.ordered(queries.plain(timezone.now()), "name"), 3)
    with CaptureQueriesContext(connection) as asked:
        list(pager.page(1))
    count, ids, rows = (query["sql"] for query in asked)
    assert "JOIN" not in count
    assert '"snapshot"' not in ids + rows
    assert "fleet_servergroup" in rows


def test_what_is_looked_through_follows_an_edit(database: str) -> None:  # noqa: F811
    row = make_registration(make_group(), name="Old name")
    handset = row.line.handset
    handset.name, handset.tags = "New name", ["loan"]
    handset.save()
    assert found("q=old") == []
    assert found("q=new+loan") == [row.pk]
    assert json.loads(Handset.objects.get().search_text.split(" ")[-1]) == ["loan"]
