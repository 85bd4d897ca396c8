"""The page of handsets: columns, empty states, what it would look like now, resuming many."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from fleet.models import Handset, Line, Server, ServerGroup
from fleet.roles import Role
from registrations import jobs, look_again
from registrations.models import Registration, State
from registrations.queries import ORDERS
from registrations.templatetags.handset_table import COLUMNS
from tests.registrations.test_views import listed, signed_in, text
from tests.support.rows import make_group, make_registration, make_transition

pytestmark = pytest.mark.django_db

THEN = "/handsets/?at=2026-01-15T12:00:00Z&{}"


@pytest.fixture
def ward() -> ServerGroup:
    return make_group("ward", re_register_on=False, shares_registrations=True)


def test_every_column_can_be_shown_and_every_order_has_one(ward: ServerGroup) -> None:
    row = make_registration(ward, State.PRIMARY, last_answer="200 OK", heard_at=timezone.now())
    Handset.objects.filter(pk=row.line.handset_id).update(model="8440", tags=["icu", "loan"])
    page = signed_in().get(f"/handsets/?columns={','.join(COLUMNS)}")
    assert listed(page) == [row.pk]
    words = text(page)
    for part in ("8440", "icu loan", f"{row.line.extension}@pbx.example", "200 OK", "Register"):
        assert part in words, part
    assert {column.order for column in COLUMNS.values()} - {""} == {*ORDERS} - {"id"}


def test_the_list_says_on_which_server_calls_are_only_assumed(ward: ServerGroup) -> None:
    second = Server.objects.get(group=ward, priority=2)
    make_registration(ward, State.PRIMARY, assumed_on=second)
    words = text(signed_in().get("/handsets/"))
    assert "Assumed on secondary 127.0.0.3:5060 (shared registration, not confirmed)" in words


def test_a_sorted_column_says_so_to_who_does_not_see_the_arrow(ward: ServerGroup) -> None:
    make_registration(ward)
    page = signed_in().get("/handsets/?sort=-since").content.decode()
    assert re.findall(r'aria-sort="(\w+)"><a[^>]*>([\w ]+)', page) == [("descending", "Since")]


def test_an_empty_list_says_what_to_do(ward: ServerGroup) -> None:
    client = signed_in(Role.CONFIGURER)
    assert "No handsets yet" in text(client.get("/handsets/"))
    assert "Add handsets" in text(client.get("/handsets/"))
    make_registration(ward)
    assert "Remove a filter above" in text(client.get("/handsets/?q=nobody"))
    said = text(client.get("/handsets/?group=999"))
    assert "Group: There is none with the number 999." in said


@pytest.mark.parametrize("page", ["/handsets/?{}", "/history/?{}", "/reports/?{}", THEN])
def test_a_filter_that_is_not_there_shows_a_sentence_and_nothing_else(
    ward: ServerGroup, page: str
) -> None:
    name = make_transition(make_registration(ward, name="Nurse 7")).handset_name
    client = signed_in()
    right, wrong = (text(client.get(page.format(query))) for query in ("size=50", "foo=bad"))
    assert "There is no filter" not in right
    assert "nothing is listed: There is no filter foo; there are" in wrong
    assert name not in wrong


@pytest.mark.parametrize("field", ["group", "site"])
def test_the_history_says_that_nobody_knows_a_name(ward: ServerGroup, field: str) -> None:
    make_registration(ward)
    make_transition(group_name="closed", site_name="closed")
    client = signed_in()
    for known in (ward.name if field == "group" else "main", "closed"):
        assert "of that name is known" not in text(client.get(f"/history/?{field}={known}"))
    said = f"nothing is listed: No {field} of that name is known."
    assert said in text(client.get(f"/history/?{field}=2"))


def test_tags_and_models_are_offered_with_how_many_have_them(ward: ServerGroup) -> None:
    for tags, model in ((["icu"], "8440"), (["icu", "loan"], "8440"), ([], "")):
        row = make_registration(ward)
        Handset.objects.filter(pk=row.line.handset_id).update(tags=tags, model=model)
    words = text(signed_in().get("/handsets/choices/?tag=loan"))
    assert " icu 2 " in words and " loan 1 " in words and " 8440 2 " in words
    page = signed_in(Role.OPERATOR).get("/handsets/choices/?tag=loan").content.decode()
    assert re.findall(r'value="(\w+)" checked', page) == ["loan"]


def test_places_are_those_the_page_would_have_now(ward: ServerGroup) -> None:
    rows = [make_registration(ward, name=f"Nurse {n:02}") for n in range(60)]
    client = signed_in()
    query = "state=secondary&page=2"
    assert client.get(f"/handsets/places/?{query}").json() == {
        "ids": [row.pk for row in rows[50:]],
        "total": 60,
    }
    Registration.objects.filter(pk=rows[0].pk).update(state=State.PRIMARY)
    assert client.get(f"/handsets/places/?{query}").json()["ids"][0] == rows[51].pk
    Registration.objects.update(state=State.PRIMARY)
    for odd in (query, "state=secondary&page=9999999999999", "view=gone", "group=x", "page=-1"):
        assert client.get(f"/handsets/places/?{odd}").status_code == 200, odd
    assert client.get(f"/handsets/places/?{query}").json() == {"ids": [], "total": 0}


def test_a_list_that_only_an_edit_changes_is_asked_for_seldom(ward: ServerGroup) -> None:
    client = signed_in()
    for query, moves in (
        ("", "no"),
        ("tag=icu&sort=-model", "no"),
        ("state=primary", "yes"),
        ("sort=since", "yes"),
        ("q=triage", "yes"),
    ):
        page = client.get(f"/handsets/?{query}").content.decode()
        assert f'data-moves="{moves}"' in page, query


# ---- Resuming many ----------------------------------------------------------------------------


@pytest.fixture
def waiting(ward: ServerGroup) -> dict[str, Registration]:
    rows = {
        "rejected": make_registration(ward, State.REJECTED, name="Rejected"),
        "lost": make_registration(ward, State.UNREGISTERED, name="Lost"),
        "home": make_registration(ward, State.PRIMARY, name="At home"),
        "off": make_registration(ward, State.DISABLED, supervision=Line.Supervision.OFF),
        "asked": make_registration(ward, State.UNREGISTERED, name="Asked home"),
    }
    Registration.objects.filter(pk=rows["asked"].pk).update(wish=jobs.WISHES[0])
    return rows


def test_the_dialog_names_who_looks_again_and_who_is_left_out_and_why(
    waiting: dict[str, Registration],
) -> None:
    words = text(signed_in(Role.OPERATOR).get("/handsets/resume/?match=&expected=4"))
    assert "Let 2 lines look again?" in words
    assert "ward Rejected 1" in words and "ward Unregistered 1" in words
    assert "Left out: it is on a server: nothing to resume 1" in words
    assert "Left out: its supervision is off 1" in words
    assert "Left out: a job moves it, which tries too 1" in words
    assert "Lost (" in words and "At home (" not in words
    assert "4 matched when you chose; 5 match now." in words


def test_the_dialog_of_bringing_home_says_where_the_count_moved(
    waiting: dict[str, Registration],
) -> None:
    client = signed_in(Role.OPERATOR)
    words = text(client.get("/jobs/new/?match=state%3Dprimary&expected=3"))
    assert "3 matched when you chose; 1 match now." in words
    assert "matched when" not in text(client.get("/jobs/new/?match=state%3Dprimary&expected=1"))


def test_those_look_again_and_nobody_else(waiting: dict[str, Registration]) -> None:
    later = timezone.now() + timedelta(hours=1)
    Registration.objects.exclude(state=State.DISABLED).update(due_at=later)
    client = signed_in(Role.OPERATOR)
    sent = client.post("/handsets/resume/", {"match": ""}, follow=True)
    assert "2 lines look again now." in text(sent)
    wished = Registration.objects.filter(wish="resume")
    assert set(wished) == {waiting["rejected"], waiting["lost"]}
    assert all(row.due_at < later and row.wish_version == 1 for row in wished)
    assert Registration.objects.get(pk=waiting["home"].pk).due_at == later


def test_only_the_selected_are_meant_where_some_are_selected(
    waiting: dict[str, Registration],
) -> None:
    client = signed_in(Role.OPERATOR)
    client.post("/handsets/resume/", {"registrations": [waiting["lost"].pk, "x", "9" * 40]})
    assert [row.pk for row in Registration.objects.filter(wish="resume")] == [waiting["lost"].pk]


def test_a_wrong_filter_means_nobody(waiting: dict[str, Registration]) -> None:
    signed_in(Role.OPERATOR).post("/handsets/resume/", {"match": "group=999"})
    assert not Registration.objects.filter(wish="resume").exists()


def test_above_a_size_who_orders_types_how_many(
    waiting: dict[str, Registration], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look_again, "MUST_TYPE", 1)
    client = signed_in(Role.OPERATOR)
    for typed in ({}, {"typed": "3"}):
        refused: Any = client.post("/handsets/resume/", {"match": "", **typed})
        assert refused.status_code == 422
        assert "Type 2: so many are meant now." in refused.content.decode()
    assert not Registration.objects.filter(wish="resume").exists()
    assert client.post("/handsets/resume/", {"match": "", "typed": " 2 "}).status_code == 302
    assert Registration.objects.filter(wish="resume").count() == 2


def test_a_viewer_lets_nobody_look_again(waiting: dict[str, Registration]) -> None:
    client = signed_in(Role.VIEWER)
    assert client.get("/handsets/resume/?match=").status_code == 403
    assert client.post("/handsets/resume/", {"match": ""}).status_code == 403
