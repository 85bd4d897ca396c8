"""What is somebody's own stays so, whoever knows its address."""

import pytest
from django.contrib.auth.models import User
from django.http import QueryDict
from django.test import Client

from fleet.roles import Role
from registrations.exports import orders
from registrations.models import ExportJob, SavedView, WallboardToken
from tests.registrations import live_fleet
from tests.support.rows import make_token, make_user

pytestmark = pytest.mark.django_db


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_a_private_view_is_not_there_for_anybody_else_not_even_for_admins() -> None:
    vera = make_user("vera", Role.VIEWER)
    SavedView.objects.create(name="Mine", slug="mine", owner=vera, query="q=secret-ward")
    for other in (make_user("olga", Role.OPERATOR), make_user("ada", Role.ADMIN)):
        client = signed_in(other)
        assert "secret-ward" not in client.get("/handsets/?view=mine").content.decode()
        assert client.get("/api/v1/registrations/?view=mine").status_code == 400
        for method in (client.get, client.patch, client.delete):
            assert method("/api/v1/views/mine/").status_code == 404
        for act in ("", "replace/", "delete/"):
            assert client.post(f"/handsets/views/mine/{act}", {"name": "x"}).status_code == 404
        assert "mine" not in client.get("/api/v1/views/").content.decode()
    assert SavedView.objects.get().name == "Mine"


def test_an_export_is_deleted_by_who_ordered_it_or_by_the_role_admin() -> None:
    vera, olga = make_user("vera", Role.VIEWER), make_user("olga", Role.CONFIGURER)
    live_fleet.make(1)
    first, second = (orders.order("registrations", QueryDict("format=csv"), vera) for _ in range(2))
    signed_in(olga).post(f"/exports/{first.pk}/delete/")
    assert ExportJob.objects.count() == 2
    signed_in(vera).post(f"/exports/{first.pk}/delete/")
    assert list(ExportJob.objects.all()) == [second]
    signed_in(make_user("ada", Role.ADMIN)).post(f"/exports/{second.pk}/delete/")
    assert not ExportJob.objects.exists()


def test_who_has_no_role_reads_nothing_by_any_address_of_a_thing() -> None:
    fleet = live_fleet.make(2)
    nobody = signed_in(User.objects.create_user("nobody"))
    row = fleet.rows[0]
    for address in (
        *(f"/handsets/{row.line.handset_id}/", f"/groups/{fleet.group.pk}/", "/exports/"),
        *(f"/servers/{fleet.primary.pk}/", f"/api/v1/registrations/{row.pk}/", "/"),
        *(f"/api/v1/registrations/{row.pk}/trace/", f"/api/v1/lines/{row.line_id}/"),
    ):
        answer = nobody.get(address)
        assert answer.status_code == 403, address
        assert row.line.extension not in answer.content.decode()


def test_a_token_ends_with_its_users_account_and_a_session_with_the_password() -> None:
    vera = make_user("vera", Role.VIEWER)
    headers = {"authorization": f"Token {make_token(vera)}"}
    session = signed_in(vera)
    assert Client().get("/api/v1/sites/", headers=headers).status_code == 200
    assert session.get("/").status_code == 200
    vera.set_password("another")
    vera.save()
    assert session.get("/").status_code == 302
    vera.is_active = False
    vera.save()
    assert Client().get("/api/v1/sites/", headers=headers).status_code == 401


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.CONFIGURER])
def test_only_admins_make_or_revoke_what_opens_a_door(role: Role) -> None:
    token = WallboardToken.objects.create(name="lobby", digest="0" * 64, created_by="ada")
    client = signed_in(make_user("otto", role))
    assert client.get("/wallboards/").status_code == 403
    assert client.post("/wallboards/", {"name": "own"}).status_code == 403
    assert client.post(f"/wallboards/{token.pk}/revoke/").status_code == 403
    assert WallboardToken.objects.count() == 1
