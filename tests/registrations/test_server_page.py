"""A server's page: who is on it, its health, and what would happen if it died now."""

from datetime import timedelta

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from fleet.models import Line, Server, ServerGroup
from fleet.roles import Role
from registrations.models import Registration, ServerHealth, State
from registrations.shown import outages
from tests.registrations.test_views import signed_in, text
from tests.support.rows import (
    make_group,
    make_proof,
    make_registration,
    make_server_change,
    make_site,
    make_user,
)

pytestmark = pytest.mark.django_db


def fill(group: ServerGroup, n: int, state: str = State.PRIMARY, renews_in: float = 600) -> Server:
    """`n` handsets in that state, who renew so many seconds from now, one a second."""
    now = timezone.now()
    for number in range(n):
        row = make_registration(
            group, state, next_attempt_at=now + timedelta(seconds=renews_in + number)
        )
    assert row.server is not None
    return row.server


def silence(server: Server) -> None:
    now = timezone.now()
    ServerHealth.objects.create(
        server=server,
        site=make_site(),
        condition=ServerHealth.Condition.SILENT,
        since=now,
        due_at=now + timedelta(seconds=10),
    )


def said(server: Server) -> str:
    found = outages.outages(outages.at_place_of(server), timezone.now())
    return " ".join(sentence for each in found for sentence in each.sentences)


def test_a_death_is_told_with_who_moves_where_in_how_many_registers_and_how_long() -> None:
    group = make_group(re_register_on=True, max_registrations_per_second=2)
    words = said(fill(group, 10))
    assert "10 handsets would register with 127.0.0.3:5060." in words
    assert "up to 20 REGISTERs at 127.0.0.3:5060" in words
    assert "10 s at the cap of 2 a second" in words
    assert "Each would find out only at its own renewal, and look registered until then" in words
    assert "the first over in 10 min, half of them in 10 min, the last in 10 min" in words


def test_a_group_that_is_told_does_not_wait_for_its_renewals() -> None:
    words = said(fill(make_group(re_register_on=True, fast_failover=True), 3))
    assert "The workers would find out within 18 s and tell them all" in words


def test_where_the_secondary_is_silent_the_next_is_named_and_the_vain_try_told() -> None:
    group = make_group(servers=3, re_register_on=True)
    server = fill(group, 1)
    silence(group.servers.get(priority=2))
    words = said(server)
    assert "1 handset would register with 127.0.0.4:5060." in words
    assert "ask 127.0.0.3:5060 in vain before, which is silent now." in words


def test_where_nobody_else_answers_they_have_nowhere_to_go() -> None:
    group = make_group(re_register_on=True)
    server = fill(group, 2)
    silence(group.servers.get(priority=2))
    assert "2 handsets would have nowhere to go: 127.0.0.3:5060 is silent." in said(server)
    alone = fill(make_group("alone", servers=1), 1)
    Server.objects.filter(pk=alone.pk).update(address="127.0.0.9")
    words = said(Server.objects.get(pk=alone.pk))
    assert "the group has no other server" in words
    assert "could not be called until 127.0.0.9:5060 answers again" in words


def test_a_fallback_group_needs_no_register() -> None:
    group = make_group(mode=ServerGroup.Mode.FALLBACK)
    group.servers.filter(priority=2).update(lost_features=["voicemail"])
    words = said(fill(group, 2))
    assert "would work with 127.0.0.3:5060, where they hold a registration already." in words
    assert "There they do without voicemail." in words
    assert "No REGISTER is needed for that." in words


def test_shared_registrations_move_calls_at_once_and_bindings_later() -> None:
    words = said(fill(make_group(re_register_on=False), 1))
    assert "for calls at once and register there at the next renewal" in words


def test_every_group_that_names_the_place_is_counted() -> None:
    server = fill(make_group("ward", re_register_on=True), 2)
    fill(make_group("icu", re_register_on=True), 5)
    found = outages.outages(outages.at_place_of(server), timezone.now())
    assert [(each.group.name, each.landing.handsets) for each in found] == [("icu", 5), ("ward", 2)]


def test_a_server_nobody_is_on_may_die() -> None:
    server = make_group().servers.get(priority=1)
    assert said(server) == "Nothing: no handset of ward is on it."


def test_the_page_says_who_is_on_it_how_it_was_and_what_would_happen() -> None:
    group = make_group(re_register_on=True)
    server = fill(group, 3)
    make_server_change(server, "silent", at=timezone.now() - timedelta(minutes=9))
    page = signed_in().get(f"/servers/{server.pk}/")
    words = text(page)
    assert "3 on primary" in words
    assert "3 handsets would register with" in words
    assert "Silent from main" in words
    link = f"/handsets/?group={group.pk}&amp;server={server.pk}&amp;state=primary&amp;silent=false"
    assert link in page.content.decode()


def test_the_lanes_of_the_overview_lead_to_the_server() -> None:
    server = fill(make_group(), 1)
    assert f'href="/servers/{server.pk}/"' in signed_in().get("/").content.decode()


def test_the_groups_page_tells_the_death_of_each_of_its_servers() -> None:
    group = make_group(re_register_on=True)
    fill(group, 2)
    fill(group, 1, State.SECONDARY)
    words = text(signed_in().get(f"/groups/{group.pk}/"))
    assert "2 handsets would register with 127.0.0.3:5060." in words
    assert "1 handset would register with 127.0.0.2:5060." in words


def test_two_servers_of_one_address_are_redundancy_on_paper() -> None:
    group = make_group()
    group.servers.filter(priority=2).update(address="127.0.0.2", port=5062)
    words = text(signed_in().get(f"/groups/{group.pk}/"))
    assert "127.0.0.2:5060 and 127.0.0.2:5062 are at one address, 127.0.0.2" in words


def test_two_names_of_one_address_are_found_out_by_what_dns_said() -> None:
    group = make_group()
    first, second = group.servers.order_by("priority")
    Server.objects.filter(pk=first.pk).update(address="pbx-a.example")
    Server.objects.filter(pk=second.pk).update(address="pbx-b.example")
    row = make_registration(group, State.PRIMARY, heard_at=timezone.now())
    page = f"/servers/{first.pk}/"
    assert "are at one address" not in text(signed_in().get(page))
    targets = [[pk, "192.0.2.9", 5060, "udp", "", None] for pk in (first.pk, second.pk)]
    row.snapshot = {"courses": {"0": {"targets": targets}}}
    row.save()
    client = signed_in(Role.OPERATOR)
    for each in (page, f"/groups/{group.pk}/"):
        assert "are at one address, 192.0.2.9" in text(client.get(each))


def test_a_group_without_servers_has_a_page_too() -> None:
    words = text(signed_in().get(f"/groups/{make_group(servers=0).pk}/"))
    assert "No server takes registrations yet." in words
    assert "Estimated" not in words


def test_only_who_may_look_sees_a_server() -> None:
    server = make_group().servers.get(priority=1)
    assert signed_in(None).get(f"/servers/{server.pk}/").status_code == 403
    assert signed_in().get("/servers/999/").status_code == 404


def test_the_api_tells_the_same() -> None:
    server = fill(make_group(re_register_on=True), 4)
    client = APIClient()
    client.force_authenticate(make_user("viewer", Role.VIEWER))
    [row] = client.get(f"/api/v1/servers/{server.pk}/outage/").json()
    assert (row["handsets"], row["registers_at_most"], row["group_name"]) == (4, 8, "ward")
    assert row["lands_on"] == server.group.servers.get(priority=2).pk
    assert row["first_seconds"] <= row["half_seconds"] <= row["last_seconds"]
    assert client.get("/api/v1/servers/999/outage/").status_code == 404


def test_a_silent_server_counts_down_to_when_those_it_holds_cannot_be_called() -> None:
    group = make_group()
    server = fill(group, 4)
    now = timezone.now()
    for number, row in enumerate(Registration.objects.order_by("pk"), 1):
        row.expires_at = now + timedelta(minutes=10 * number)
        row.save()
    [calm] = outages.outages(outages.at_place_of(server), now)
    ends = [calm.first_end, calm.half_end, calm.last_end]
    assert [round((end - now).total_seconds() / 60) for end in ends if end] == [10, 20, 40]
    assert calm.silent_since is None
    silence(server)
    client = signed_in(Role.VIEWER)
    page = client.get(f"/servers/{server.pk}/").content.decode()
    assert "still believed to hold 4." in page
    assert "the first cannot be called from" in page
    Registration.objects.update(server=group.servers.get(priority=2))
    assert "still believed to hold" not in client.get(f"/servers/{server.pk}/").content.decode()


def test_a_handset_that_is_only_observed_finds_out_when_its_binding_ends_at_the_latest() -> None:
    group = make_group()
    server = fill(group, 1, renews_in=20)
    Registration.objects.update(expires_at=timezone.now() + timedelta(hours=1))
    Line.objects.update(supervision=Line.Supervision.OBSERVE)
    assert "over in 1 h" in said(server)


def test_two_machines_of_one_network_are_said_to_share_its_fate() -> None:
    group = make_group(re_register_on=True)
    server = fill(group, 1)
    assert "Both are in" not in said(server), "loopback is no network"
    for number, other in enumerate(group.servers.all(), 1):
        other.address = f"10.20.30.{number}"
        other.save()
    server.refresh_from_db()
    assert "Both are in 10.20.30.0/24: what takes that network down takes both." in said(server)


def test_names_that_lead_to_one_machine_are_found_out() -> None:
    group = make_group(re_register_on=True)
    server = fill(group, 1)
    for number, other in enumerate(group.servers.all(), 1):
        Server.objects.filter(pk=other.pk).update(address=f"pbx{number}.example")
    server.refresh_from_db()
    assert "Both are" not in said(server), "nobody has looked them up"
    targets = [[other.pk, "10.20.30.7", 5060] for other in group.servers.all()]
    kept = {"courses": {"0": {"targets": targets}}}
    Registration.objects.update(snapshot=kept, heard_at=timezone.now())
    fate = "Both are at 10.20.30.7, whatever they are called: what takes that machine down"
    assert fate in said(server)


def test_a_death_is_told_with_who_is_not_proved_where_they_would_land() -> None:
    group = make_group(re_register_on=True)
    server = fill(group, 3)
    lines = list(Registration.objects.order_by("pk"))
    assert "Of these 3 are not proved there." in said(server)
    for line in lines:
        make_proof(line, 1, "refused")
        make_proof(line, 2, "proved")
    assert "127.0.0.3:5060 is proved to take all of them." in said(server)
    make_proof(lines[0], 2, "unknown_aor")
    make_proof(lines[1], 2, "open")
    words = "Of these 1 would not be taken there, by what it answered last; 1 is not proved there."
    assert words in said(server)
    [found] = outages.outages(outages.at_place_of(server), timezone.now())
    told = found.as_json()
    assert (told["proved_there"], told["not_taken_there"]) == (1, 1)
    target = group.servers.get(priority=2)
    page = signed_in().get(f"/servers/{server.pk}/").content.decode()
    assert f"/readiness/handsets/?server={target.pk}&amp;takes=false" in page


def test_who_calls_it_their_primary_is_told_where_they_are_not_all_on_it() -> None:
    group = make_group(re_register_on=True)
    server = fill(group, 2)
    assert "call it their primary" not in said(server)
    second = fill(group, 3, State.SECONDARY)
    make_registration(group, State.DISABLED, supervision="off")
    assert "5 handsets call it their primary; 2 on it now." in said(server)
    assert "call it their primary" not in said(second)
    [found] = outages.outages(outages.at_place_of(server), timezone.now())
    assert found.as_json()["calls_it_primary"] == 5
