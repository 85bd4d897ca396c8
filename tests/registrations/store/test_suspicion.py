"""All servers of a site silent at once: its own network is suspected, and nothing moves there."""

import time
from datetime import UTC, datetime

import pytest

from fleet.models import Site
from registrations import queries, store
from registrations.models import Registration, ServerHealth, SiteNetwork
from registrations.store import Noticed
from tests.support.claims import at, make_due, make_group, make_lines

pytestmark = pytest.mark.usefixtures("database")


def a_site(name: str = "main", **more: object) -> Site:
    site = Site.objects.get_or_create(name=name)[0]
    group = make_group(f"ward of {name}", **more)  # type: ignore[arg-type]
    make_due(make_lines(2, group, site), time.time() - 1)
    Registration.objects.filter(site=site).update(
        state="primary", server=group.servers.get(priority=1), expires_at=at(time.time() + 600)
    )
    store.ensure_health()
    return site


def say(site: Site, priority: int, *answers: bool, after: float = 0.0) -> list[tuple[int, int]]:
    server = ServerHealth.objects.get(site=site, server__priority=priority).server_id
    now = time.time() + after
    return store.hear(
        Noticed(server, site.pk, answered, now + i / 100, "", 200 if answered else None)
        for i, answered in enumerate(answers)
    )


def suspected(site: Site) -> bool:
    return SiteNetwork.objects.filter(site=site, suspected_since__isnull=False).exists()


def claimed() -> int:
    return len(store.claim_due(None, 99, 30.0))


def test_all_servers_silent_at_once_raise_the_suspicion_and_nothing_is_claimed() -> None:
    site, other = a_site(), a_site("other")
    say(site, 1, False, False)
    assert not suspected(site)
    say(site, 2, False, False, after=10)
    assert suspected(site)
    assert not suspected(other)
    assert claimed() == 2
    assert Registration.objects.filter(site=site, lease_token=None).count() == 2


def test_while_suspected_every_state_of_the_site_is_shown_as_unknown_since_then() -> None:
    site = a_site()
    off = Registration.objects.filter(site=site).last()
    Registration.objects.filter(pk=off.pk).update(state="disabled", due_at=None)
    say(site, 1, False, False)
    pairs = say(site, 2, False, False)
    assert len(pairs) == 2, "whoever looks is told of all its servers"
    since = SiteNetwork.objects.get(site=site).suspected_since
    shown = {r.pk: r for r in queries.registrations(datetime.now(UTC))}
    assert shown.pop(off.pk).shown_state == "disabled"
    [row] = shown.values()
    assert (row.shown_state, row.shown_since) == ("unknown", since)


def test_the_first_answer_of_any_server_ends_the_suspicion() -> None:
    site = a_site()
    say(site, 1, False, False)
    say(site, 2, False, False)
    say(site, 1, False, after=5)
    assert suspected(site)
    assert say(site, 2, True, after=10)
    assert not suspected(site)
    assert claimed() == 2
    say(site, 1, False, after=15)
    assert not suspected(site), "one has answered since: it is not the network"


def test_servers_that_fell_silent_one_after_the_other_are_no_matter_of_the_network() -> None:
    site = a_site()
    say(site, 1, False, False)
    say(site, 2, True, after=50)
    say(site, 2, False, False, after=60)
    assert not suspected(site)


def test_one_server_alone_tells_nothing_about_the_network() -> None:
    site = a_site(addresses=("127.0.0.61",))
    say(site, 1, False, False)
    assert not suspected(site)


def test_a_suspicion_ends_when_the_fleet_has_other_servers_now() -> None:
    site = a_site()
    say(site, 1, False, False)
    say(site, 2, False, False)
    assert suspected(site)
    make_due(make_lines(1, make_group("new", ("127.0.0.69",)), site))
    store.ensure_health()
    assert not suspected(site)
