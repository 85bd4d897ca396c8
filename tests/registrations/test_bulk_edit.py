"""Many handsets changed at once: previewed, done whole or not at all, one audit entry."""

import time
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet import bulk, inventory
from fleet.models import Handset, Line, ServerGroup
from fleet.roles import Role
from registrations import services
from registrations.models import Registration, State
from tests.support.databases import database, migrated_postgres  # noqa: F401 - fixtures
from tests.support.rows import make_group, make_registration, make_site, make_user

PAGE = "/handsets/edit/"


@pytest.fixture
def configurer(db: None) -> Client:
    client = Client()
    client.force_login(make_user("olga", Role.CONFIGURER))
    return client


@pytest.fixture
def ward(db: None) -> ServerGroup:
    ward = make_group()
    for _ in range(3):
        make_registration(ward, State.PRIMARY)
    return ward


def words(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def lines_of(client: Client, query: str) -> str:
    answer = client.get(f"{PAGE}?{query}")
    assert answer.status_code == 200
    return str(answer.context["lines"])


def previewed(client: Client, lines: str, **change: Any) -> dict[str, str]:
    """Preview a change; return what the form would send to have it done."""
    given = {"lines": lines} | {name: str(value) for name, value in change.items()}
    answer = client.post(PAGE, given)
    assert answer.status_code == 200, words(answer)
    return given | {"mark": answer.context["seen"].mark, "apply": "1"}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_who_may_not_configure_is_not_offered_it(ward: ServerGroup, role: Role) -> None:
    client = Client()
    client.force_login(make_user("vera", role))
    assert PAGE not in client.get("/handsets/").content.decode()
    assert client.get(PAGE).status_code == client.post(PAGE, {}).status_code == 403


def test_all_that_match_get_another_group_with_one_audit_entry(
    configurer: Client, ward: ServerGroup
) -> None:
    clinic = make_group("clinic")
    make_registration(clinic, State.PRIMARY)
    woken = dict(Registration.objects.values_list("pk", "wish_version"))
    lines = lines_of(configurer, f"match=group%3D{ward.pk}")
    answer = configurer.post(PAGE, {"lines": lines, "group": clinic.pk})
    told = words(answer)
    assert "3 of 3 handsets would change" in told
    assert "ward → clinic" in told
    assert Handset.objects.filter(group=ward).count() == 3, "a preview changes nothing"

    given = previewed(configurer, lines, group=clinic.pk)
    before = LogEntry.objects.count()
    answer = configurer.post(PAGE, given, follow=True)
    assert "Changed: 3 handsets." in words(answer)
    assert Handset.objects.filter(group=clinic).count() == 4
    assert Registration.objects.filter(group=clinic, state=State.PRIMARY).count() == 4
    moved = Registration.objects.filter(line__in=bulk.read(lines))
    assert all(row.wish_version > woken[row.pk] for row in moved)

    [entry] = LogEntry.objects.order_by("pk")[before:]
    assert entry.object_repr == "3 handsets"
    assert entry.changes == {"group": ["ward (3)", "clinic"]}
    assert entry.actor.username == "olga"
    macs = {row.line.handset.mac for row in moved}
    assert set(entry.additional_data["before"]["group"]["ward"]) == macs


def test_tags_site_and_supervision_are_changed_and_the_rest_stays(
    configurer: Client, ward: ServerGroup
) -> None:
    Handset.objects.update(tags=["icu", "old"])
    north, line = make_site("north"), Line.objects.first()
    lines = lines_of(configurer, f"registrations={line.registration.pk}")
    given = previewed(
        configurer, lines, site=north.pk, supervision="off", add_tags="night", remove_tags="old"
    )
    configurer.post(PAGE, given)
    handset = Handset.objects.get(pk=line.handset_id)
    assert (handset.tags, handset.site, handset.group) == (["icu", "night"], north, ward)
    line.refresh_from_db()
    assert line.supervision == "off"
    assert line.auth_password == "a very secret password"
    assert Registration.objects.get(line=line).state == State.DISABLED
    assert Registration.objects.filter(state=State.PRIMARY).count() == 2


def test_other_lines_of_the_handset_go_along_and_are_told(
    configurer: Client, ward: ServerGroup
) -> None:
    line = Line.objects.first()
    other = Line.objects.create(
        handset=line.handset, number=2, extension="77", domain="x.example", supervision="register"
    )
    inventory.announce_ids([other.pk])
    clinic = make_group("clinic")
    lines = lines_of(configurer, f"registrations={line.registration.pk}")
    answer = configurer.post(PAGE, {"lines": lines, "group": clinic.pk})
    assert "1 other line of these handsets goes along." in words(answer)
    configurer.post(PAGE, previewed(configurer, lines, group=clinic.pk))
    assert Registration.objects.get(line=other).group == clinic


def test_what_changed_since_the_preview_stops_all_of_it_and_is_said(
    configurer: Client, ward: ServerGroup
) -> None:
    clinic, third = make_group("clinic"), make_group("third")
    lines = lines_of(configurer, "match=")
    given = previewed(configurer, lines, group=clinic.pk)
    Handset.objects.filter(pk=Handset.objects.first().pk).update(group=third)
    answer = configurer.post(PAGE, given)
    assert answer.status_code == 422
    assert "somebody changed these handsets since" in words(answer)
    assert "third → clinic" in words(answer), "it shows what it would be now"
    assert not Handset.objects.filter(group=clinic).exists()


def test_a_form_that_was_changed_after_the_preview_is_previewed_again(
    configurer: Client, ward: ServerGroup
) -> None:
    clinic, third = make_group("clinic"), make_group("third")
    given = previewed(configurer, lines_of(configurer, "match="), group=clinic.pk)
    assert configurer.post(PAGE, given | {"group": third.pk}).status_code == 422
    assert Handset.objects.filter(group=ward).count() == 3


def test_it_stays_about_those_who_were_chosen_and_counts_who_is_gone(
    configurer: Client, ward: ServerGroup
) -> None:
    lines = lines_of(configurer, "match=&expected=2")
    make_registration(ward, State.PRIMARY)
    Handset.objects.first().delete()
    clinic = make_group("clinic")
    answer = configurer.post(PAGE, {"lines": lines, "group": clinic.pk})
    assert "1 of these lines has been deleted since you chose them." in words(answer)
    configurer.post(PAGE, previewed(configurer, lines, group=clinic.pk))
    assert Handset.objects.filter(group=clinic).count() == 2
    assert Handset.objects.filter(group=ward).count() == 1


def test_who_lets_many_register_types_how_many(configurer: Client, ward: ServerGroup) -> None:
    for _ in range(bulk.MUST_TYPE):
        make_registration(ward, State.DISABLED, supervision="observe")
    Line.objects.update(supervision="observe")
    lines = lines_of(configurer, "match=")
    given = previewed(configurer, lines, supervision="register")
    answer = configurer.post(PAGE, given)
    assert answer.status_code == 422
    assert "Type 13: so many lines would begin to register." in words(answer)
    assert not Line.objects.filter(supervision="register").exists()
    configurer.post(PAGE, given | {"typed": "13"})
    assert Line.objects.filter(supervision="register").count() == 13


@pytest.mark.parametrize(
    ("given", "status", "sentence"),
    [
        ({"lines": "1"}, 422, "Choose what to change."),
        ({"lines": "x", "supervision": "off"}, 400, "is no range of ids"),
        ({"lines": "1-99999999", "supervision": "off"}, 400, "At most 100000 lines"),
        ({"lines": "1", "group": "999"}, 422, "Select a valid choice."),
        ({"lines": "", "supervision": "off"}, 200, "Select handsets first."),
    ],
)
def test_what_makes_no_sense_is_refused(
    configurer: Client, given: dict[str, str], status: int, sentence: str
) -> None:
    answer = configurer.post(PAGE, given)
    assert answer.status_code == status
    assert sentence in words(answer)


def test_a_failure_on_the_way_leaves_everything_as_it_was(
    ward: ServerGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    clinic = make_group("clinic")
    ids = list(Line.objects.values_list("pk", flat=True))
    change = bulk.Change(group=clinic, supervision="off")
    mark = bulk.preview(ids, change).mark

    def broken(*_: Any) -> None:
        raise RuntimeError("the last step fails")

    monkeypatch.setattr(services.store, "ensure_proofs", broken)
    with pytest.raises(RuntimeError):
        bulk.apply(ids, change, mark)
    assert Handset.objects.filter(group=ward).count() == 3
    assert Line.objects.filter(supervision="off").count() == 0


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sets(st.integers(1, 200), max_size=60))
def test_ids_travel_as_ranges(ids: set[int]) -> None:
    assert set(bulk.read(bulk.written(ids))) == ids


HANDSETS = 2_000


def test_thousands_are_changed_within_seconds(database: str) -> None:  # noqa: F811
    ward, clinic, site = make_group(), make_group("clinic"), make_site()
    Handset.objects.bulk_create(
        Handset(mac=f"{0x00907B000000 + n:012x}", group=ward, site=site, tags=["a", str(n)])
        for n in range(HANDSETS)
    )
    Line.objects.bulk_create(
        Line(handset=handset, extension="1", domain="a.example", supervision="register")
        for handset in Handset.objects.all()
    )
    ids = list(Line.objects.values_list("pk", flat=True))
    inventory.announce_ids(ids)
    change = bulk.Change(group=clinic, add_tags=("b",))
    begun = time.monotonic()
    mark = bulk.preview(ids, change).mark
    done = bulk.apply(ids, change, mark)
    took = time.monotonic() - begun
    assert done.concerned == HANDSETS
    assert Registration.objects.filter(group=clinic).count() == HANDSETS
    assert Handset.objects.filter(tags__holds="b").count() == HANDSETS
    assert took < 60, "seconds on a quiet machine; it must not be minutes on a busy one"
