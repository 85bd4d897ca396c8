"""Resume and override: who may, when, what becomes of it, and that it is audited."""

from datetime import timedelta
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from fleet.models import Line
from fleet.roles import Role
from registrations import wishes
from registrations.models import Registration, State
from tests.support.rows import make_group, make_registration, make_user

pytestmark = pytest.mark.django_db

REASON = "PBX lists another Contact for this address: sip:4101@10.0.0.9."


def held(**more: Any) -> Registration:
    return make_registration(make_group(), State.HELD, reason=REASON, **more)


def api(role: Role) -> APIClient:
    client = APIClient()
    client.force_authenticate(make_user(f"api-{role.word}", role))
    return client


def page(role: Role) -> Client:
    client = Client()
    client.force_login(make_user(f"page-{role.word}", role))
    return client


def now_due(row: Registration) -> bool:
    return row.due_at is not None and row.due_at <= timezone.now() + timedelta(seconds=1)


@pytest.mark.parametrize(
    "state", [State.REGISTERING, State.UNREGISTERED, State.REJECTED, State.HELD]
)
def test_a_line_without_a_server_is_resumed_at_once(state: State) -> None:
    row = make_registration(make_group(), state)
    before = row.wish_version
    answer = api(Role.OPERATOR).post(f"/api/v1/registrations/{row.pk}/resume/")
    assert (answer.status_code, answer.json()["id"]) == (200, row.pk)
    row.refresh_from_db()
    assert (row.wish, row.wish_by, row.wish_version) == ("resume", "api-Operator", before + 1)
    assert now_due(row)


@pytest.mark.parametrize("state", [State.PRIMARY, State.SECONDARY, State.FALLBACK])
def test_there_is_nothing_to_resume_on_a_server(state: State) -> None:
    row = make_registration(make_group(), state)
    answer = api(Role.OPERATOR).post(f"/api/v1/registrations/{row.pk}/resume/")
    assert answer.status_code == 409
    assert "there is nothing to resume" in answer.json()["detail"]
    row.refresh_from_db()
    assert row.wish == ""


def test_a_line_that_is_off_is_neither_resumed_nor_overridden() -> None:
    row = make_registration(make_group(), State.DISABLED, supervision=Line.Supervision.OFF)
    user = make_user("carla", Role.CONFIGURER)
    for wish in (
        lambda: wishes.resume(row.pk, user),
        lambda: wishes.override(row.pk, row.line.extension, user),
    ):
        with pytest.raises(wishes.WishRefused, match="supervision is off"):
            wish()


def test_resume_takes_nothing_from_a_failback_or_an_override() -> None:
    user = make_user("olga", Role.OPERATOR)
    row = make_registration(make_group(), State.UNREGISTERED, wish="failback", wish_by="otto")
    with pytest.raises(wishes.WishRefused, match="A job is moving it already"):
        wishes.resume(row.pk, user)
    Registration.objects.filter(pk=row.pk).update(wish="override")
    wishes.resume(row.pk, user)
    row.refresh_from_db()
    assert (row.wish, row.wish_by) == ("override", "otto")


def test_a_row_under_a_lease_is_due_again_as_soon_as_it_is_saved() -> None:
    leased = timezone.now() + timedelta(seconds=20)
    row = make_registration(make_group(), State.REJECTED, due_at=leased, lease_token="0" * 32)
    wishes.resume(row.pk, make_user("olga", Role.OPERATOR))
    before = row.wish_version
    row.refresh_from_db()
    assert row.due_at == leased and row.wish_version > before


def test_an_override_names_the_extension_and_stands_in_the_audit_log() -> None:
    row = held()
    answer = api(Role.CONFIGURER).post(
        f"/api/v1/registrations/{row.pk}/override/",
        {"extension": row.line.extension},
        format="json",
    )
    assert answer.status_code == 200, answer.json()
    row.refresh_from_db()
    assert (row.wish, row.wish_by) == ("override", "api-Configurer")
    assert now_due(row)
    entry = LogEntry.objects.get_for_object(row.line).latest("timestamp")
    assert entry.actor.get_username() == "api-Configurer"
    assert entry.changes_dict["override"][0] == REASON


@pytest.mark.parametrize("named", ["", "9999"])
def test_an_override_without_the_right_extension_changes_nothing(named: str) -> None:
    row = held()
    url = f"/api/v1/registrations/{row.pk}/override/"
    answer = api(Role.CONFIGURER).post(url, {"extension": named}, format="json")
    assert (answer.status_code, set(answer.json())) == (400, {"extension"})
    row.refresh_from_db()
    assert row.wish == ""
    assert not LogEntry.objects.filter(changes__has_key="override").exists()


def test_only_who_is_held_back_can_be_overridden() -> None:
    row = make_registration(make_group(), State.REJECTED)
    url = f"/api/v1/registrations/{row.pk}/override/"
    given = {"extension": row.line.extension}
    answer = api(Role.CONFIGURER).post(url, given, format="json")
    assert answer.status_code == 409
    assert "Nobody holds it back" in answer.json()["detail"]


def test_an_operator_may_resume_but_not_override() -> None:
    row = held()
    given = {"extension": row.line.extension}
    client = page(Role.OPERATOR)
    words = client.get(f"/handsets/{row.line.handset_id}/").content.decode()
    assert "Resume now" in words and "/override/" not in words
    assert client.post(f"/registrations/{row.pk}/override/", given).status_code == 403
    assert client.get(f"/registrations/{row.pk}/override/").status_code == 403
    assert client.post(f"/registrations/{row.pk}/resume/").status_code == 302
    row.refresh_from_db()
    assert (row.wish, row.wish_by) == ("resume", "page-Operator")


def test_a_viewer_sees_no_buttons_and_may_do_neither() -> None:
    row = held()
    client = page(Role.VIEWER)
    words = client.get(f"/handsets/{row.line.handset_id}/").content.decode()
    assert "Resume now" not in words and "/override/" not in words
    assert client.post(f"/registrations/{row.pk}/resume/").status_code == 403
    assert client.get(f"/registrations/{row.pk}/resume/").status_code in {403, 405}


def test_the_page_of_an_override_says_what_it_does_and_to_whom() -> None:
    row = held()
    client = page(Role.CONFIGURER)
    words = client.get(f"/registrations/{row.pk}/override/").content.decode()
    for part in (REASON, str(row.line), row.line.extension, "audit log"):
        assert part in words, part
    answer = client.post(
        f"/registrations/{row.pk}/override/", {"extension": row.line.extension}, follow=True
    )
    assert "registers now, whoever else is bound" in answer.content.decode()
    row.refresh_from_db()
    assert row.wish == "override"


def test_a_wrong_extension_on_the_page_is_told_and_changes_nothing() -> None:
    row = held()
    answer = page(Role.CONFIGURER).post(
        f"/registrations/{row.pk}/override/", {"extension": "1"}, follow=True
    )
    assert "Type the extension" in answer.content.decode()
    row.refresh_from_db()
    assert row.wish == ""


def test_the_page_says_who_asked_while_a_wish_waits() -> None:
    row = held(wish="override", wish_by="carla")
    words = page(Role.VIEWER).get(f"/handsets/{row.line.handset_id}/").content.decode()
    assert "Bind although somebody else is bound, by carla" in words
