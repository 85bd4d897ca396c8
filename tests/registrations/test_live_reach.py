"""The live socket of who is limited to a site: its rows, its sums, its history, its workers."""

import asyncio
import json
from typing import Any

import pytest
import websockets
from django.contrib.auth.models import User

from fleet.people import SiteLimit
from fleet.roles import Role
from registrations import live
from registrations.models import Registration, State
from tests.registrations.live_web import Web, browser, in_database, publish
from tests.support.rows import (
    make_group,
    make_registration,
    make_site,
    make_token,
    make_transition,
    make_user,
)

pytestmark = pytest.mark.django_db(transaction=True)

OTHER = "blackbird"


@pytest.fixture
def world() -> dict[str, Any]:
    """One handset at each of two sites, both in one group; a user of one of the sites."""
    north, south = make_site("north"), make_site(OTHER)
    group = make_group()
    rows = {site.name: make_registration(group, State.PRIMARY, site) for site in (north, south)}
    rows[OTHER].line.handset.name = f"{OTHER} bed"
    rows[OTHER].line.handset.save()
    nora = make_user("nora", Role.VIEWER)
    SiteLimit.objects.create(user=nora, site=north)
    return {"north": rows["north"], "south": rows[OTHER], "key": make_token(nora), "site": south}


def test_a_limited_socket_hears_of_nothing_elsewhere(web: Web, world: dict[str, Any]) -> None:
    mine, theirs = world["north"], world["south"]
    said: list[str] = []

    def move_both() -> None:
        for row, site in ((theirs, OTHER), (mine, "north")):
            Registration.objects.filter(pk=row.pk).update(state=State.SECONDARY)
            make_transition(row, at=row.since, site_name=site, mac=row.line.handset.mac)
        publish(theirs, mine)

    async def run() -> None:
        async with browser(web, world["key"]) as seen:
            take = seen.connection.recv

            async def heard() -> Any:
                said.append(await take())
                return said[-1]

            seen.connection.recv = heard
            await seen.watch([mine.pk, theirs.pk], summary=True, history=True)
            await seen.settled()
            assert list(seen.rows) == [mine.pk]
            assert seen.summary is not None and seen.summary["total"] == 1
            assert seen.transitions == {}
            for name, site in ((f"worker-{OTHER}", OTHER), ("worker-1", ""), ("worker-2", "north")):
                live.beat(name, site)
                await seen.until(lambda name=name: OTHER in name or name in str(seen.heartbeat))
            await in_database(move_both)
            await seen.until(lambda: seen.rows[mine.pk]["state"] == State.SECONDARY)
            await seen.until(lambda: len(seen.transitions) == 1)
            await seen.until(lambda: seen.summary["states"]["secondary"] == 1)
            assert len(seen.heartbeat["workers"]) == 2
            seen.kinds.clear()
            await seen.until(lambda: seen.kinds.count("heartbeat") == 2, 30)

    asyncio.run(run())
    assert OTHER not in " ".join(said)
    for message in map(json.loads, said):
        told = theirs.pk in message.get("gone", [])
        assert told == (message["type"] == "snapshot"), "it is not there, and that never changes"


def test_a_handset_that_moves_to_another_site_is_gone(web: Web, world: dict[str, Any]) -> None:
    mine = world["north"]

    def move() -> None:
        Registration.objects.filter(pk=mine.pk).update(site=world["site"])
        publish(mine)

    async def run() -> None:
        async with browser(web, world["key"]) as seen:
            await seen.watch([mine.pk], summary=True)
            await in_database(move)
            await seen.until(lambda: seen.rows == {})
            await seen.until(lambda: seen.summary is not None and seen.summary["total"] == 0)

    asyncio.run(run())


def test_others_see_all_beside_one_who_is_limited(
    web: Web, world: dict[str, Any], token: str
) -> None:
    rows = [world["north"].pk, world["south"].pk]

    async def run() -> None:
        async with browser(web, token) as all_of_it, browser(web, world["key"]) as part:
            await part.watch(rows, summary=True, history=True)
            await all_of_it.watch(rows, summary=True, history=True)
            assert sorted(all_of_it.rows) == sorted(rows)
            assert all_of_it.summary is not None and all_of_it.summary["total"] == 2
            assert part.summary is not None and part.summary["total"] == 1

    asyncio.run(run())


def test_a_socket_ends_when_its_user_is_limited(web: Web, world: dict[str, Any]) -> None:
    otto = make_user("otto", Role.VIEWER)
    key = make_token(otto)

    def limit() -> None:
        SiteLimit.objects.create(user=otto, site=world["site"])

    async def run() -> None:
        async with browser(web, key) as seen:
            await seen.watch([], summary=True)
            await seen.settled()
            await in_database(limit)
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await seen.until(lambda: False, 30)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401

    asyncio.run(run())


def test_the_event_stream_is_closed_to_who_is_limited(web: Web, world: dict[str, Any]) -> None:
    async def run() -> int:
        uri = f"ws://127.0.0.1:{web.port}/ws/events/"
        headers = {"Authorization": f"Token {world['key']}"}
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with websockets.connect(uri, additional_headers=headers):
                pass
        return refused.value.response.status_code

    assert asyncio.run(run()) == 403
    assert User.objects.get(username="nora").is_active
