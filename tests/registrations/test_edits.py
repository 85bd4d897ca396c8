"""Forms of sites, servers, handsets and lines: what they keep, refuse, announce and never show."""

import re
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.test import Client

from fleet.formats.policy import PARAMETERS, SECTIONS
from fleet.models import Handset, Line, Server, ServerGroup, Site
from fleet.roles import Role
from registrations.models import Registration, State
from tests.support.rows import make_group, make_line, make_registration, make_site, make_user

pytestmark = pytest.mark.django_db

SECRET = "a very secret password"


@pytest.fixture
def configurer() -> Client:
    client = Client()
    client.force_login(make_user("olga", Role.CONFIGURER))
    return client


def filled(client: Client, page: str, /, **changes: Any) -> dict[str, str]:
    """What a browser would send of the form at this address after these changes."""
    answer = client.get(page)
    assert answer.status_code == 200
    given: dict[str, str] = {}
    forms = [answer.context["form"], *answer.context.get("lines", [])]
    if "lines" in answer.context:
        forms.append(answer.context["lines"].management_form)
    for form in forms:
        for field in form:
            value = field.value()
            if value is not None and value is not False:
                given[field.html_name] = str(value)
        if hasattr(form, "seen"):
            given[form.seen_name] = form.seen
    for name, value in changes.items():
        given[name.replace("__", "-")] = str(value)
    return given


def words(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_who_may_not_configure_is_offered_no_form_and_given_none(role: Role) -> None:
    line = make_line(make_group())
    server = Server.objects.first()
    client = Client()
    client.force_login(make_user("vera", role))
    for page in ("/sites/", "/handsets/", f"/handsets/{line.handset_id}/"):
        assert "/edit/" not in words(client.get(page)), page
    for page in (
        *("/sites/new/", "/groups/new/", "/handsets/new/", f"/servers/{server.pk}/edit/"),
        *(f"/handsets/{line.handset_id}/edit/", f"/groups/{server.group_id}/servers/new/"),
    ):
        assert client.get(page).status_code == 403, page
        assert client.post(page, {"name": "x"}).status_code == 403, page


def test_a_site_is_made_and_changed_with_its_audit_entries(configurer: Client) -> None:
    given = filled(configurer, "/sites/new/", name="north", time_zone="Europe/Paris")
    assert configurer.post("/sites/new/", given).status_code == 302
    site = Site.objects.get(name="north")
    page = f"/sites/{site.pk}/edit/"
    assert configurer.post(page, filled(configurer, page, time_zone="Asia/Tokyo")).url == "/sites/"
    made, changed = LogEntry.objects.get_for_object(site).order_by("pk")
    assert changed.changes == {"time_zone": ["Europe/Paris", "Asia/Tokyo"]}
    assert made.actor.username == changed.actor.username == "olga"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "two words"}, "Letters, digits, hyphens and underscores only."),
        ({"name": "main"}, "There is a site of that name already."),
        ({"time_zone": "Mars/Base"}, "There is no time zone &#x27;Mars/Base&#x27;."),
    ],
)
def test_a_fault_is_told_beside_its_field_and_nothing_is_kept(
    configurer: Client, changes: dict[str, str], sentence: str
) -> None:
    make_site()
    given = filled(configurer, "/sites/new/", **({"name": "north", "time_zone": "UTC"} | changes))
    answer = configurer.post("/sites/new/", given)
    assert answer.status_code == 422
    assert sentence in words(answer)
    assert Site.objects.count() == 1


def test_a_server_is_added_in_the_last_place_and_its_handsets_are_woken(configurer: Client) -> None:
    group = make_group()
    row = make_registration(group, State.PRIMARY)
    before = Registration.objects.get(pk=row.pk).wish_version
    page = f"/groups/{group.pk}/servers/new/"
    given = filled(
        configurer, page, address="127.0.0.9", lost_features="voicemail, presence", name="C"
    )
    assert configurer.post(page, given).url == f"/groups/{group.pk}/"
    server = group.servers.get(address="127.0.0.9")
    assert (server.priority, server.port) == (3, 5060)
    assert server.lost_features == ["voicemail", "presence"]
    row = Registration.objects.get(pk=row.pk)
    assert row.wish_version > before
    assert row.state == State.PRIMARY, "nobody is shown without a server for an edit"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"address": "127.0.0.3"}, "127.0.0.3:5060 stands in this group already."),
        ({"address": "no host"}, "is neither an IP address nor a host name."),
        ({"port": "70000"}, "The port must be a number from 0 to 65535."),
        ({"address": "224.0.0.1"}, "is no server&#x27;s address."),
    ],
)
def test_a_server_that_cannot_be_is_refused_by_its_field(
    configurer: Client, changes: dict[str, str], sentence: str
) -> None:
    server = make_group().servers.get(priority=1)
    page = f"/servers/{server.pk}/edit/"
    answer = configurer.post(page, filled(configurer, page, **changes))
    assert answer.status_code == 422
    assert sentence in words(answer)
    assert Server.objects.get(pk=server.pk).address == "127.0.0.2"


def test_a_server_keeps_its_place_when_it_is_edited(configurer: Client) -> None:
    group = make_group(servers=3)
    server = group.servers.get(priority=2)
    page = f"/servers/{server.pk}/edit/"
    configurer.post(page, filled(configurer, page, name="PBX B"))
    assert [s.address for s in group.servers.all()] == ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
    [entry] = LogEntry.objects.get_for_object(server).filter(action=LogEntry.Action.UPDATE)
    assert entry.changes == {"name": ["", "PBX B"]}


def test_a_handset_is_made_with_its_line_and_registers(configurer: Client) -> None:
    group, site = make_group(), make_site()
    given = filled(
        configurer,
        "/handsets/new/",
        **{"mac": "00:90:7A:00:00:01", "name": "Ward 4", "group": group.pk, "site": site.pk},
        **{"tags": "icu, night", "lines__0__extension": "4101"},
        **{"lines__0__domain": "pbx.example", "lines__0__new_password": SECRET},
        **{"lines__0__supervision": "register"},
    )
    answer = configurer.post("/handsets/new/", given)
    handset = Handset.objects.get(mac="00907a000001")
    assert answer.url == f"/handsets/{handset.pk}/"
    line = handset.lines.get()
    assert (line.number, line.auth_user, line.auth_password) == (1, "4101", SECRET)
    assert handset.tags == ["icu", "night"]
    assert line.registration.due_at is not None


def test_how_a_line_is_supervised_must_be_chosen(configurer: Client) -> None:
    group, site = make_group(), make_site()
    given = filled(
        configurer,
        "/handsets/new/",
        **{"mac": "00907a000001", "group": group.pk, "site": site.pk},
        **{"lines__0__extension": "4101", "lines__0__domain": "pbx.example"},
    )
    answer = configurer.post("/handsets/new/", given)
    assert answer.status_code == 422
    assert "Choose what Rollcall does with it." in words(answer)
    assert not Handset.objects.exists()


def test_a_password_goes_in_and_never_comes_out(configurer: Client) -> None:
    line = make_line(make_group())
    page = f"/handsets/{line.handset_id}/edit/"
    assert SECRET not in words(configurer.get(page))
    configurer.post(page, filled(configurer, page, lines__0__extension="5000"))
    line.refresh_from_db()
    assert (line.extension, line.auth_password) == ("5000", SECRET)

    answer = configurer.post(
        page, filled(configurer, page, lines__0__new_password="an other", mac="nonsense")
    )
    assert answer.status_code == 422
    assert "an other" not in words(answer)
    configurer.post(page, filled(configurer, page, lines__0__new_password="an other"))
    line.refresh_from_db()
    assert line.auth_password == "an other"
    entry = LogEntry.objects.get_for_object(line).latest("pk")
    assert entry.changes == {"auth_password": ["********", "********"]}


def test_a_handset_moves_to_another_group_with_its_lines(configurer: Client) -> None:
    row = make_registration(make_group(), State.PRIMARY)
    other = make_group("clinic")
    page = f"/handsets/{row.line.handset_id}/edit/"
    configurer.post(page, filled(configurer, page, group=other.pk))
    assert Registration.objects.get(pk=row.pk).group == other


def test_a_line_is_added_and_one_is_deleted(configurer: Client) -> None:
    line = make_line(make_group())
    page = f"/handsets/{line.handset_id}/edit/"
    given = filled(
        configurer,
        page,
        **{"lines__0__DELETE": "on", "lines__1__number": "2", "lines__1__extension": "77"},
        **{"lines__1__domain": "pbx.example", "lines__1__supervision": "off"},
    )
    assert configurer.post(page, given).status_code == 302
    assert [each.extension for each in Line.objects.all()] == ["77"]


def test_an_edit_over_a_newer_version_is_refused_and_says_what_changed(configurer: Client) -> None:
    line = make_line(make_group(), name="Ward 4")
    page = f"/handsets/{line.handset_id}/edit/"
    mine = filled(configurer, page, name="Ward 5")
    theirs = make_group("clinic")
    configurer.post(page, filled(configurer, page, group=theirs.pk, lines__0__extension="77"))

    answer = configurer.post(page, mine)
    assert answer.status_code == 422
    told = words(answer)
    assert "Somebody changed this while you had it open." in told
    assert "Group: ward → clinic" in told
    assert f"Extension: {line.extension} → 77" in told
    handset = Handset.objects.get()
    assert (handset.name, handset.group) == ("Ward 4", theirs)

    again = mine | {
        form.seen_name: form.seen for form in [answer.context["form"], *answer.context["lines"]]
    }
    assert configurer.post(page, again).status_code == 302
    assert Handset.objects.get().name == "Ward 5"


def test_a_policy_edited_meanwhile_is_not_put_back(configurer: Client) -> None:
    group = make_group()
    page = f"/groups/{group.pk}/edit/"
    mine = filled(configurer, page, expires=600)
    configurer.post(page, filled(configurer, page, retry_max_count=5, re_register_on="true"))
    answer = configurer.post(page, mine)
    assert answer.status_code == 422
    told = words(answer)
    assert "voIpProt.server.x.retryMaxCount: 3 → 5" in told
    assert "failOver.reRegisterOn: 0, off → 1, on" in told
    group.refresh_from_db()
    assert (group.expires, group.retry_max_count) == (3600, 5)


def test_a_group_is_made_with_its_policy(configurer: Client) -> None:
    given = filled(configurer, "/groups/new/", name="Wards", expires=600)
    answer = configurer.post("/groups/new/", given, follow=True)
    assert ServerGroup.objects.get(name="Wards").expires == 600
    assert "Group Wards is there. Give it servers now." in words(answer)
    again = configurer.post("/groups/new/", given)
    assert "There is a group of that name already." in words(again)


def test_every_parameter_stands_in_one_section() -> None:
    named = [name for names in SECTIONS.values() for name in names]
    assert sorted(named) == sorted(PARAMETERS)
