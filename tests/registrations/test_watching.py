"""What watching costs, told before anybody switches it on."""

import pytest
from django.test import Client

from fleet.models import Line, ServerGroup
from fleet.roles import Role
from registrations.shown import watching
from tests.support import rows

pytestmark = pytest.mark.django_db


def ward(n: int, **policy: object) -> ServerGroup:
    group = rows.make_group(**policy)
    for _ in range(n):
        rows.make_line(group)
    return group


def said(group: ServerGroup) -> str:
    [step] = watching.steps(group, list(group.servers.all()))
    return " ".join(step.sentences)


def test_what_it_would_cost_is_told_while_nobody_is_watched() -> None:
    told = said(ward(60, max_registrations_per_second=50))
    assert told == (
        "None. Watching all its 60 handsets instead (supervision observe) would ask each of its "
        "2 servers every 1 min: 1.2 REGISTERs a second at each, 2.5 % of the cap."
    )


def test_what_it_costs_is_told_with_what_is_not_seen() -> None:
    group = ward(60, max_registrations_per_second=50)
    Line.objects.update(supervision="observe")
    told = said(group)
    assert told.startswith("60 handsets are only watched: each of its 2 servers is asked")
    assert "What happens between two looks is not seen." in told
    assert "is looked at every 10 s for 2 min." in told, "faster around a change"
    group.shares_registrations = True
    assert "which of them serves a handset cannot be told" in said(group)


def test_what_next_to_nothing_costs_is_not_told_as_nothing() -> None:
    group = ward(1)
    Line.objects.update(supervision="observe")
    told = said(group)
    assert "each of its 2 servers is asked for it every 1 min" in told
    assert "That is less than 0.1 REGISTERs a second at each, less than 0.1 % of the cap." in told


def test_too_often_is_said_to_be_too_often(client: Client) -> None:
    group = ward(60, max_registrations_per_second=10)
    client.force_login(rows.make_user("cora", Role.CONFIGURER))
    asked = {"name": group.name, "mode": "failover", "observe_every": 10}
    headers = {"HX-Request": "true"}
    page = client.get(f"/groups/{group.pk}/edit/", asked, headers=headers).content.decode()
    assert "would ask each of its 2 servers every 10 s" in page
    assert "62.5 % of the cap; that is too many: look less often" in page


def test_a_group_without_servers_or_handsets_has_nothing_to_tell() -> None:
    group = rows.make_group(servers=0)
    rows.make_line(group)
    assert watching.steps(group, []) == []
    empty = rows.make_group("empty")
    assert watching.steps(empty, list(empty.servers.all())) == []
