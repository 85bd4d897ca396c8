"""Who may enter: roles, the log-in, Django's admin, and what every answer carries."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from fleet.audit import MASK
from fleet.models import Line
from fleet.roles import Role, require_role, role_of
from tests.support.databases import database, migrated_postgres
from tests.support.rows import make_group, make_line, make_user

__all__ = ["database", "migrated_postgres"]

pytestmark = pytest.mark.django_db


def test_each_role_may_what_the_lower_ones_may_and_no_more() -> None:
    for held in Role:
        user = make_user(held.name.lower(), held)
        assert role_of(user) == held
        for least in Role:
            asked = RequestFactory().get("/")
            asked.user = user
            view = require_role(least)(lambda request: HttpResponse("in"))
            if held >= least:
                assert view(asked).content == b"in"
            else:
                with pytest.raises(PermissionDenied):
                    view(asked)


def test_who_has_no_role_sees_nothing() -> None:
    nobody = User.objects.create_user("nobody")
    assert role_of(nobody) is None
    assert role_of(AnonymousUser()) is None
    assert role_of(None) is None
    retired = make_user("retired", Role.ADMIN)
    retired.is_active = False
    assert role_of(retired) is None
    assert role_of(User(username="root", is_superuser=True)) == Role.ADMIN


def test_an_anonymous_visitor_is_sent_to_the_log_in_and_comes_back() -> None:
    @require_role(Role.VIEWER)
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    asked = RequestFactory().get("/handsets/?q=icu")
    asked.user = AnonymousUser()
    answer = view(asked)
    assert (answer.status_code, answer["Location"]) == (
        302,
        "/accounts/login/?next=/handsets/%3Fq%3Dicu",
    )


def test_every_answer_forbids_what_comes_from_elsewhere(client: Client) -> None:
    answer = client.get("/accounts/login/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_guessing_a_password_is_slowed_down_for_that_user_from_that_place(client: Client) -> None:
    make_user("vera", Role.VIEWER)
    user = User.objects.get(username="vera")
    user.set_password("the right one")
    user.save()
    given = {"username": "vera", "password": "wrong"}
    answers = [client.post("/accounts/login/", given).status_code for _ in range(9)]
    assert answers[0] == 200
    assert answers[-1] == 429
    right = given | {"password": "the right one"}
    assert client.post("/accounts/login/", right).status_code == 429
    elsewhere = client.post("/accounts/login/", right, REMOTE_ADDR="192.0.2.7")
    assert elsewhere.status_code == 302


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.CONFIGURER])
def test_djangos_admin_is_closed_to_lower_roles_and_to_mere_staff(
    client: Client, role: Role
) -> None:
    user = make_user("staff", role)
    user.is_staff = True
    user.save()
    client.force_login(user)
    assert client.get("/admin/").status_code == 302
    assert client.get("/admin/fleet/line/").status_code == 302
    assert not user.has_perm("fleet.change_line")


def test_the_role_admin_needs_no_other_flag_for_djangos_admin(client: Client) -> None:
    client.force_login(make_user("ada", Role.ADMIN))
    for page in (
        *("", "auth/user/", "auth/group/", "auditlog/logentry/"),
        *("fleet/site/", "fleet/servergroup/", "fleet/server/add/", "fleet/handset/"),
    ):
        assert client.get(f"/admin/{page}").status_code == 200, page


def test_djangos_admin_shows_no_sip_password_and_keeps_it_when_none_is_typed(
    client: Client,
) -> None:
    line = make_line(make_group(), auth_password="sesame-open")
    client.force_login(make_user("ada", Role.ADMIN))
    url = f"/admin/fleet/line/{line.pk}/change/"
    page = client.get(url).content.decode()
    assert "new_password" in page
    assert "sesame-open" not in page
    given = {
        "handset": line.handset_id,
        "number": 1,
        "extension": "4999",
        "domain": "pbx.example",
        "auth_user": "4999",
        "supervision": "register",
        "new_password": "",
    }
    assert client.post(url, given).status_code == 302
    line.refresh_from_db()
    assert (line.extension, line.auth_password) == ("4999", "sesame-open")
    assert client.post(url, given | {"new_password": "sesame-shut"}).status_code == 302
    line.refresh_from_db()
    assert line.auth_password == "sesame-shut"
    history = client.get("/admin/auditlog/logentry/?q=").content.decode()
    history += str([e.changes for e in line_history(line)])
    assert MASK in history
    assert not re.search("sesame|-open|-shut", history)


def line_history(line: Line) -> list[object]:
    from auditlog.models import LogEntry

    return list(LogEntry.objects.get_for_object(line))


def test_djangos_admin_refuses_what_an_import_refuses(client: Client) -> None:
    group = make_group()
    client.force_login(make_user("ada", Role.ADMIN))
    given = {"group": group.pk, "address": "-pbx-", "port": 5060, "transport": "udp"}
    answer = client.post("/admin/fleet/server/add/", given | {"lost_features": "[]"})
    assert "is neither an IP address nor a host name" in answer.content.decode()
    given["address"] = "127.0.0.9"
    answer = client.post("/admin/fleet/server/add/", given | {"lost_features": "[]"})
    assert answer.status_code == 302
    assert list(group.servers.values_list("priority", flat=True)) == [1, 2, 3]


def test_a_server_that_stands_in_its_group_already_is_refused_by_name(client: Client) -> None:
    client.force_login(make_user("ada", Role.ADMIN))
    group = make_group(servers=2)
    first, second = group.servers.order_by("priority")
    given = {"group": group.pk, "address": first.address, "port": first.port, "transport": "udp"}
    given |= {"lost_features": "[]", "register": "on"}
    for url in ("/admin/fleet/server/add/", f"/admin/fleet/server/{second.pk}/change/"):
        answer = client.post(url, given)
        assert "stands in this group already" in answer.content.decode()
    assert [server.address for server in group.servers.order_by("priority")] == [
        first.address,
        second.address,
    ]


def test_djangos_admin_shows_users_and_changes_none_so_that_an_admin_is_left(
    client: Client,
) -> None:
    root = User.objects.create_superuser("root", password="the only one")
    client.force_login(root)
    group = Group.objects.get(name=Role.VIEWER.group_name)
    for kind, thing in (("user", root), ("group", group)):
        page = client.get(f"/admin/auth/{kind}/{thing.pk}/change/")
        assert (page.status_code, str(thing) in page.content.decode()) == (200, True)
        assert 'href="/users/"' in page.content.decode()
        assert not re.search(
            'name="_save"|<input type="checkbox"|md5|pbkdf2', page.content.decode()
        )
        ticked = {"action": "delete_selected", "_selected_action": thing.pk, "post": "yes"}
        client.post(f"/admin/auth/{kind}/", ticked)
        given = {"username": "root", "name": "renamed", "is_active": "on"}
        for act in ("add/", f"{thing.pk}/change/", f"{thing.pk}/delete/", f"{root.pk}/password/"):
            if kind == "user" or "password" not in act:
                answer = client.post(f"/admin/auth/{kind}/{act}", given | {"post": "yes"})
                assert answer.status_code == 403, f"{kind} {act}"
    root.refresh_from_db()
    assert root.is_superuser and root.check_password("the only one")
    assert Group.objects.filter(name=group.name).exists()


def sent(page: Any) -> dict[str, Any]:
    """What a browser sends back of a page of Django's admin where nothing was typed."""
    form = page.context["adminform"].form
    forms = [form]
    for inline in page.context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    told = {field.html_name: field.value() for each in forms for field in each}
    return {name: value for name, value in told.items() if value is not None and value is not False}


@pytest.mark.parametrize("kind", ["site", "servergroup", "server", "handset", "line"])
def test_djangos_admin_refuses_to_overwrite_what_was_not_seen(
    database: str, client: Client, kind: str
) -> None:
    group = make_group()
    line = make_line(group)
    things = {
        "site": (line.handset.site, "name"),
        "servergroup": (group, "name"),
        "server": (group.servers.first(), "name"),
        "handset": (line.handset, "name"),
        "line": (line, "extension"),
    }
    thing, field = things[kind]
    client.force_login(make_user("ada", Role.ADMIN))
    url = f"/admin/fleet/{kind}/{thing.pk}/change/"
    assert client.post(f"/admin/fleet/{kind}/{thing.pk}/history/").status_code == 200
    assert '<input type="hidden" name="seen" value="' in client.get(url).content.decode()
    here, there = sent(client.get(url)), sent(client.get(url))
    assert client.post(url, here | {field: "4001"}).status_code == 302
    refused = client.post(url, there)
    assert "Somebody changed this since you opened it." in refused.content.decode()
    assert client.post(url, sent(refused)).status_code == 200, "still not what is there now"
    thing.refresh_from_db()
    assert getattr(thing, field) == "4001"
    assert client.post(url, sent(client.get(url)) | {field: "4002"}).status_code == 302
    thing.refresh_from_db()
    assert getattr(thing, field) == "4002"
