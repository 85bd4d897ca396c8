"""The order of servers, and deleting: what is asked, refused and written down."""

from typing import Any

import pytest
from auditlog.models import LogEntry
from django.test import Client

from fleet.models import Handset, Server, ServerGroup, Site
from fleet.roles import Role
from registrations import wallboards
from registrations.models import MaintenanceWindow, QuietHours, Registration, SavedView, State
from tests.support.rows import (
    make_group,
    make_registration,
    make_site,
    make_transition,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def configurer() -> Client:
    client = Client()
    client.force_login(make_user("olga", Role.CONFIGURER))
    return client


def ids(group: ServerGroup) -> list[int]:
    return list(group.servers.order_by("priority").values_list("pk", flat=True))


def written(order: list[int]) -> str:
    return ",".join(map(str, order))


def put(client: Client, group: ServerGroup, order: list[int], **more: Any) -> Any:
    given = {"order": written(order), "seen": written(ids(group))} | more
    return client.post(f"/groups/{group.pk}/order/", given, headers={"HX-Request": "true"})


def words(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_an_order_below_the_primary_is_saved_at_once_and_audited(configurer: Client) -> None:
    group = make_group(servers=3)
    row = make_registration(group, State.PRIMARY)
    first, second, third = ids(group)
    before = Registration.objects.get(pk=row.pk).wish_version
    assert put(configurer, group, [first, third, second]).status_code == 302
    assert ids(group) == [first, third, second]
    entry = LogEntry.objects.get_for_object(group).latest("pk")
    names = "127.0.0.2:5060, {}, {}"
    assert entry.changes == {
        "order of servers": [
            names.format("127.0.0.3:5060", "127.0.0.4:5060"),
            names.format("127.0.0.4:5060", "127.0.0.3:5060"),
        ]
    }
    assert entry.actor.username == "olga"
    assert Registration.objects.get(pk=row.pk).wish_version > before


def test_handsets_that_are_only_watched_are_said_to_go_by_their_own_configuration(
    configurer: Client,
) -> None:
    group = make_group()
    for _ in range(2):
        make_registration(group, State.PRIMARY, supervision="observe")
    told = words(put(configurer, group, ids(group)[::-1]))
    assert "Rollcall registers no handset of this group, so it moves nobody." in told
    assert "2 lines are only watched: their handsets go by their own configuration" in told
    assert "until that names 127.0.0.3:5060 first." in told


def test_who_would_make_another_primary_is_told_who_moves_how_and_asked(configurer: Client) -> None:
    group = make_group(max_registrations_per_second=2)
    for _ in range(20):
        make_registration(group, State.PRIMARY)
    first, second = ids(group)
    answer = put(configurer, group, [second, first])
    assert answer.headers["HX-Retarget"] == "#dialog"
    told = words(answer)
    assert "Make 127.0.0.3:5060 the primary of ward?" in told
    assert "The 20 lines of this group that register belong to 127.0.0.3:5060 then" in told
    assert "Offers its next renewal to the primary first." in told
    assert "At most 2 a second go, so all of them take at least 10 s." in told
    assert ids(group) == [first, second]
    put(configurer, group, [second, first], sure="1")
    assert ids(group) == [second, first]
    held = Registration.objects.filter(state=State.PRIMARY, server_id=first)
    assert held.count() == 20, "nobody is shown elsewhere before somebody has moved"


def test_an_order_over_a_newer_one_is_refused(configurer: Client) -> None:
    group = make_group(servers=3)
    first, second, third = seen = ids(group)
    put(configurer, group, [first, third, second])
    configurer.post(
        f"/groups/{group.pk}/order/", {"order": written(seen[::-1]), "seen": written(seen)}
    )
    assert ids(group) == [first, third, second]
    page = words(configurer.get(f"/groups/{group.pk}/"))
    assert "Somebody changed these servers meanwhile: look again." in page


@pytest.mark.parametrize("order", ["", "1", "x,y", "1,1,2", "99999999999999999999"])
def test_what_is_no_order_of_these_servers_changes_nothing(configurer: Client, order: str) -> None:
    group = make_group()
    before = ids(group)
    configurer.post(f"/groups/{group.pk}/order/", {"order": order, "seen": written(before)})
    assert ids(group) == before


def test_each_server_can_be_moved_by_a_button_alone(configurer: Client) -> None:
    group = make_group(servers=3)
    first, second, third = ids(group)
    page = configurer.get(f"/groups/{group.pk}/").content.decode()
    for order in ([second, first, third], [first, third, second]):
        assert f'name="order" value="{written(order)}"' in page
    viewer = Client()
    viewer.force_login(make_user("vera", Role.VIEWER))
    assert "data-drag" not in viewer.get(f"/groups/{group.pk}/").content.decode()


def test_a_handset_is_deleted_after_it_was_told_what_goes_and_what_stays(
    configurer: Client,
) -> None:
    row = make_registration(make_group(), State.PRIMARY, name="Ward 4")
    make_transition(row, mac=row.line.handset.mac)
    page = f"/delete/handset/{row.line.handset_id}/"
    told = words(configurer.get(page))
    assert "Delete handset Ward 4?" in told
    assert "Its registration with 127.0.0.2:5060 is not taken back" in told
    assert "Its history stays: 1 change stays to be read under its MAC." in told
    assert Handset.objects.exists()
    assert configurer.post(page).url == "/handsets/"
    assert not Handset.objects.exists()
    assert not Registration.objects.exists()
    gone = LogEntry.objects.filter(action=LogEntry.Action.DELETE, object_repr="Ward 4").get()
    assert gone.actor.username == "olga"


def test_a_server_with_handsets_is_deleted_by_who_types_its_name(configurer: Client) -> None:
    group = make_group(max_registrations_per_second=1)
    for _ in range(3):
        make_registration(group, State.PRIMARY)
    server = group.servers.get(priority=1)
    SavedView.objects.create(slug="a", name="On A", query=f"server={server.pk}", is_shared=True)
    page = f"/delete/server/{server.pk}/"
    told = words(configurer.get(page))
    assert "3 handsets are registered with it now. They go to 127.0.0.3:5060" in told
    assert "at most 1 a second, which takes at least 3 s." in told
    assert "Saved lists that filter by it find nothing then: On A." in told
    assert configurer.post(page).status_code == 422
    assert Server.objects.filter(pk=server.pk).exists()
    assert configurer.post(page, {"named": "127.0.0.2:5060"}).url == f"/groups/{group.pk}/"
    assert [s.priority for s in group.servers.all()] == [1]
    reasons = set(Registration.objects.values_list("reason", flat=True))
    assert reasons == {"The server that holds it was deleted; it goes to another in its turn."}


@pytest.mark.parametrize("kind", ["group", "site", "server"])
def test_what_handsets_hang_on_is_not_deleted_and_says_how_many(
    configurer: Client, kind: str
) -> None:
    group, site = make_group(servers=1), make_site()
    for _ in range(2):
        make_registration(group, State.PRIMARY)
    thing = {"group": group, "site": site, "server": group.servers.get()}[kind]
    page = f"/delete/{kind}/{thing.pk}/"
    assert "2 handsets" in words(configurer.get(page))
    assert configurer.post(page).status_code == 422
    assert (ServerGroup.objects.count(), Site.objects.count(), Server.objects.count()) == (1, 1, 1)


def test_a_group_says_what_goes_with_it(configurer: Client) -> None:
    group = make_group()
    QuietHours.objects.create(group=group, days="1", begins="06:00", ends="07:00", made_by="x")
    page = f"/delete/group/{group.pk}/"
    told = words(configurer.get(page))
    assert 'Servers</span><strong class="num">2<' in told
    assert 'No-failback hours</span><strong class="num">1<' in told
    assert configurer.post(page).url == "/groups/"
    assert not ServerGroup.objects.exists()


def test_what_a_wallboard_or_a_window_is_limited_to_alone_stays(configurer: Client) -> None:
    """Without its last limit it would mean the whole fleet."""
    ward, clinic, site = make_group(), make_group("clinic"), make_site()
    wallboards.make("lobby", [ward], [], by="admin")
    wallboards.make("hall", [ward, clinic], [], by="admin")
    window = MaintenanceWindow.objects.create(
        name="patch night", days="1", begins="22:00", ends="23:00"
    )
    window.sites.add(site)
    told = words(configurer.post(f"/delete/group/{ward.pk}/"))
    assert "the wallboard lobby is limited to it alone" in told
    assert ServerGroup.objects.filter(pk=ward.pk).exists()
    told = words(configurer.post(f"/delete/site/{site.pk}/"))
    assert "the maintenance window patch night is limited to it alone" in told
    assert configurer.post(f"/delete/group/{clinic.pk}/").status_code == 302


def test_there_are_four_kinds_to_delete(configurer: Client) -> None:
    assert configurer.get("/delete/user/1/").status_code == 404
    assert configurer.get("/delete/site/999/").status_code == 404
