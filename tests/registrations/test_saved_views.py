"""Saved views and columns: who sees and keeps them, and that page and API read them alike."""

import re
from typing import Any

import pytest
from django.test import Client
from django.utils.http import urlencode
from rest_framework.test import APIClient

from fleet.models import Preference, ServerGroup
from fleet.roles import Role
from registrations.models import Registration, SavedView, State
from tests.registrations.test_views import listed, signed_in, text
from tests.support.rows import make_group, make_registration, make_token, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def ward() -> ServerGroup:
    return make_group("ward")


@pytest.fixture
def three(ward: ServerGroup) -> list[Registration]:
    return [
        make_registration(ward, State.SECONDARY, name="Porter", extension="4102"),
        make_registration(ward, State.SECONDARY, name="Admission", extension="4103"),
        make_registration(ward, State.PRIMARY, name="Triage", extension="4101"),
    ]


def save(client: Client, name: str, query: str, **more: Any) -> Any:
    return client.post("/handsets/views/", {"name": name, "query": query, **more})


def columns_of(response: Any) -> list[str]:
    heads = re.findall(r"<th .*?</th>", response.content.decode(), re.S)
    words = [re.sub(r"<[^>]+>", "", head).strip() for head in heads]
    return [word for word in words if word in ("Extension", "Next step", "Model")]


def test_a_list_is_saved_by_a_name_and_found_again_by_its_slug(three: list[Registration]) -> None:
    client = signed_in()
    saved = save(client, "Away, by number", "state=secondary&sort=-extension&page=3&size=100")
    assert (saved.status_code, saved.url) == (302, "/handsets/?view=away-by-number")
    view = SavedView.objects.get()
    assert (view.query, view.is_shared) == ("state=secondary&sort=-extension", False)
    again = client.get(saved.url)
    assert listed(again) == [three[1].pk, three[0].pk]
    assert 'aria-current="page"' in again.content.decode().split("Away, by number")[0][-200:]


def test_page_and_api_read_a_view_alike(three: list[Registration]) -> None:
    user = make_user("olga", Role.CONFIGURER)
    client, api = Client(), APIClient()
    client.force_login(user)
    api.credentials(HTTP_AUTHORIZATION=f"Token {make_token(user)}")
    save(client, "Away", "state=secondary&sort=-extension", shared="on")
    for query in ("view=away", "view=away&q=porter", "view=away&state=primary"):
        rows = api.get(f"/api/v1/registrations/?{query}").json()["results"]
        assert [row["id"] for row in rows] == listed(client.get(f"/handsets/?{query}")) != []
    by_name = api.get("/api/v1/registrations/?view=away&ordering=name").json()["results"]
    assert [row["name"] for row in by_name] == ["Admission", "Porter"]
    gone = api.get("/api/v1/registrations/?view=gone")
    assert (gone.status_code, "There is no view" in str(gone.json())) == (400, True)


def test_a_private_view_is_its_owners_alone(three: list[Registration]) -> None:
    mine, other = signed_in(Role.OPERATOR), signed_in(Role.ADMIN)
    save(mine, "Mine", "state=secondary")
    assert "Mine" not in text(other.get("/handsets/"))
    seen = other.get("/handsets/?view=mine")
    assert listed(seen) == []
    assert "There is no view 'mine', or it is somebody else's own." in text(seen).replace(
        "&#x27;", "'"
    )
    for action in ("", "replace/", "delete/"):
        assert other.post(f"/handsets/views/mine/{action}").status_code == 404


def test_sharing_needs_a_configurer_and_so_does_changing_what_is_shared(
    three: list[Registration],
) -> None:
    viewer, configurer = signed_in(Role.VIEWER), signed_in(Role.CONFIGURER)
    assert "needs the role Configurer" in text(
        viewer.get(save(viewer, "Ours", "", shared="on").url)
    )
    assert not SavedView.objects.exists()
    save(configurer, "Ours", "state=secondary", shared="on")
    assert listed(viewer.get("/handsets/?view=ours")) == [three[1].pk, three[0].pk]
    for action in ("", "replace/", "delete/"):
        viewer.post(f"/handsets/views/ours/{action}", {"name": "Stolen"})
    view = SavedView.objects.get()
    assert (view.name, view.query) == ("Ours", "state=secondary")
    configurer.post("/handsets/views/ours/", {"name": "Away", "shared": "on"})
    view.refresh_from_db()
    assert (view.slug, view.name, view.is_shared) == ("ours", "Away", True)
    configurer.post("/handsets/views/ours/delete/")
    assert not SavedView.objects.exists()


def test_a_changed_view_says_so_and_is_saved_or_left(three: list[Registration]) -> None:
    client = signed_in()
    save(client, "Away", "state=secondary&q=porter")
    page = client.get("/handsets/?view=away").content.decode()
    assert '<a class="filter-chip" href="?state=secondary&amp;from=away"' in page
    changed = client.get("/handsets/?state=secondary&from=away")
    assert listed(changed) == [three[1].pk, three[0].pk]
    assert "Save changes to Away" in text(changed)
    client.post("/handsets/views/away/replace/", {"query": "state=secondary&from=away"})
    assert SavedView.objects.get().query == "state=secondary"


def test_two_views_of_one_name_have_slugs_of_their_own(ward: ServerGroup) -> None:
    client = signed_in()
    assert [save(client, "ICU", "").url, save(client, "ICU", "").url] == [
        "/handsets/?view=icu",
        "/handsets/?view=icu-2",
    ]
    assert save(client, "集中治療", "").url == "/handsets/?view=view"
    assert "Give the view a name" in text(client.get(save(client, " ", "").url))


def test_columns_are_the_users_own_until_a_view_brings_its_own(three: list[Registration]) -> None:
    client, other = signed_in(Role.CONFIGURER), signed_in(Role.VIEWER)
    sent = client.post("/handsets/columns/", {"columns": ["model"], "query": "state=primary"})
    assert sent.url == "/handsets/?state=primary"
    assert columns_of(client.get("/handsets/")) == ["Model"]
    assert columns_of(other.get("/handsets/")) == ["Extension", "Next step"]
    save(client, "Models", "state=primary", shared="on")
    assert columns_of(other.get("/handsets/?view=models")) == ["Model"]
    wider = client.post(
        "/handsets/columns/", {"columns": ["model", "extension"], "query": "view=models"}
    )
    assert wider.url == "/handsets/?" + urlencode(
        {"state": "primary", "from": "models", "columns": "name,extension,state,model"}
    )
    assert columns_of(client.get(wider.url)) == ["Extension", "Model"]
    assert columns_of(client.get("/handsets/?view=models")) == ["Model"]
    assert Preference.objects.get().handset_columns == ["name", "state", "model"]


def test_a_column_that_is_none_is_left_out(ward: ServerGroup) -> None:
    make_registration(ward)
    assert columns_of(signed_in().get("/handsets/?columns=shoe_size")) == [
        "Extension",
        "Next step",
    ]


def test_a_view_outlives_its_owner_where_it_is_shared(three: list[Registration]) -> None:
    client = signed_in(Role.CONFIGURER)
    save(client, "Ours", "state=primary", shared="on")
    save(client, "Mine", "state=primary")
    SavedView.objects.get(slug="ours").owner.delete()  # type: ignore[union-attr]
    other = signed_in(Role.VIEWER)
    assert listed(other.get("/handsets/?view=ours")) == [three[2].pk]
    assert "No such view" in text(other.get("/handsets/?view=mine"))


def test_the_api_keeps_views_by_the_same_rules(three: list[Registration]) -> None:
    user = make_user("vera", Role.VIEWER)
    api = APIClient()
    api.force_authenticate(user)
    made = api.post(
        "/api/v1/views/",
        {"name": "Away", "query": "state=secondary&page=2", "columns": ["model"]},
        format="json",
    )
    assert made.status_code == 201
    assert made.json() == {
        "slug": "away",
        "version": made.headers["ETag"].strip('"'),
        "name": "Away",
        "is_shared": False,
        "is_mine": True,
        "query": "state=secondary",
        "columns": ["name", "state", "model"],
    }
    changed = api.patch("/api/v1/views/away/", {"query": "sort=-name"}, format="json").json()
    assert (changed["slug"], changed["query"], changed["name"]) == ("away", "sort=-name", "Away")
    refused = api.patch("/api/v1/views/away/", {"is_shared": True, "query": ""}, format="json")
    assert (refused.status_code, SavedView.objects.get().query) == (403, "sort=-name")
    wrong = api.post("/api/v1/views/", {"name": "X", "columns": ["shoe_size"]}, format="json")
    assert wrong.status_code == 400
    other = APIClient()
    other.force_authenticate(make_user("olga", Role.ADMIN))
    assert other.get("/api/v1/views/away/").status_code == 404
    assert other.get("/api/v1/views/").json()["results"] == []
    assert api.delete("/api/v1/views/away/").status_code == 204
