"""The wallboard and its tokens: what a key opens, and that it opens nothing else."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
import websockets
from auditlog.models import LogEntry
from django.core.cache import cache, caches
from django.db import connection
from django.test import Client

from fleet.config import logs
from fleet.roles import Role
from registrations import consumers, wallboards
from registrations.models import QuietHours, WallboardToken
from registrations.queries.extent import Extent
from tests.registrations import live_fleet
from tests.registrations.live_web import Browser, Web, in_database
from tests.support.rows import make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nobody_has_missed() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def signed_in(role: Role | None) -> Client:
    client = Client()
    client.force_login(make_user(f"someone-{role}", role))
    return client


def test_a_key_opens_its_wallboard_and_nothing_else() -> None:
    live_fleet.make(3)
    key = wallboards.make("lobby", [], [], by="vera")
    tv = Client()
    answer = tv.get(f"/wallboard/{key}/")
    assert answer.status_code == 200
    assert "All 3 on primary." in answer.content.decode()
    for path in ("/", "/handsets/", "/wallboard/", "/wallboards/"):
        assert tv.get(path).headers["Location"].startswith("/accounts/login/")
    headers = {"Authorization": f"Token {key}"}
    assert tv.get("/api/v1/summary/", headers=headers).status_code in (401, 403)
    assert tv.post(f"/wallboard/{key}/").status_code == 405


def test_a_board_says_what_holds_a_group_away() -> None:
    hours = {"days": "1234567", "begins": "00:00", "ends": "00:00"}
    QuietHours.objects.create(group=live_fleet.make(1).group, made_by="olga", **hours)
    words = signed_in(Role.VIEWER).get("/wallboard/").content.decode()
    assert "No-failback hours until" in words


def test_the_key_does_not_leak() -> None:
    key = wallboards.make("lobby", [], [], by="vera")
    answer = Client().get(f"/wallboard/{key}/")
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer.headers["Cache-Control"]
    assert key not in answer.content.decode()
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            assert key not in repr(cursor.fetchall())
    for path in (f"/wallboard/{key}/", f"/wallboard/{key}/?theme=light"):
        event = logs.without_keys(None, "info", {"event": f'127.0.0.1 "GET {path} HTTP/1.1" 200'})
        assert key not in str(event)
        assert "/wallboard/***" in event["event"]


def test_a_revoked_key_and_none_at_all_open_nothing() -> None:
    key = wallboards.make("lobby", [], [], by="vera")
    wallboards.revoke(WallboardToken.objects.get().pk, by="vera")
    for wrong in (key, "x" * 43, "x"):
        answer = Client().get(f"/wallboard/{wrong}/")
        assert answer.status_code == 403
        assert "not valid" in answer.content.decode()
        assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_who_tries_many_keys_is_not_looked_up_any_more(django_assert_num_queries: Any) -> None:
    key = wallboards.make("lobby", [], [], by="vera")
    guesser, tv = Client(REMOTE_ADDR="192.0.2.66"), Client(REMOTE_ADDR="192.0.2.7")
    for n in range(wallboards.MOST_MISSES):
        assert guesser.get(f"/wallboard/{n:043}/").status_code == 403
    with django_assert_num_queries(0):
        assert guesser.get(f"/wallboard/{key}/").status_code == 429
    assert tv.get(f"/wallboard/{key}/").status_code == 200


REDIS_CACHE = "django.core.cache.backends.redis.RedisCache"


def test_wrong_keys_count_whichever_web_process_took_them(redis_url: str, settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": REDIS_CACHE, "LOCATION": redis_url}}
    key = wallboards.make("lobby", [], [], by="vera")
    for number in range(wallboards.MOST_MISSES):
        caches.close_all()  # Another process has no connection and no memory of this one.
        assert wallboards.extent_of(f"{number:043}", "192.0.2.66") is None
    with pytest.raises(wallboards.TooManyKeys):
        wallboards.extent_of(key, "192.0.2.66")
    assert wallboards.extent_of(key, "192.0.2.7") is not None


def test_a_board_is_shown_while_redis_is_away(settings: Any, tmp_path: Any) -> None:
    nowhere = f"unix://{tmp_path}/nothing.sock?db=0"
    settings.CACHES = {"default": {"BACKEND": REDIS_CACHE, "LOCATION": nowhere}}
    key = wallboards.make("lobby", [], [], by="vera")
    assert wallboards.extent_of("wrong", "192.0.2.66") is None
    assert wallboards.extent_of(key, "192.0.2.66") is not None


def test_the_last_use_is_kept_to_the_minute(django_assert_num_queries: Any) -> None:
    key = wallboards.make("lobby", [], [], by="vera")
    assert WallboardToken.objects.get().used_at is None
    wallboards.extent_of(key, "")
    assert WallboardToken.objects.get().used_at is not None
    with django_assert_num_queries(3):
        wallboards.extent_of(key, "")


def test_a_limited_key_shows_its_part_as_if_there_were_nothing_else() -> None:
    ward = live_fleet.make(3)
    clinic = live_fleet.make(2, name="clinic", first=10)
    live_fleet.move(ward.rows[0], ward.secondary)
    live_fleet.move(clinic.rows[0], clinic.secondary)
    key = wallboards.make("clinic", [clinic.group], [], by="vera")
    shown = Client().get(f"/wallboard/{key}/").content.decode()
    assert "1 of 2 on primary; 1 on secondary since" in shown
    assert "a part of the fleet" in shown
    assert "ward" not in shown
    whole = signed_in(Role.VIEWER).get("/wallboard/").content.decode()
    assert "3 of 5 on primary; 2 on secondary since" in whole


def test_the_worst_group_comes_first_and_moves_are_folded() -> None:
    well, ill = live_fleet.make(3, name="a-well"), live_fleet.make(4, name="z-ill", first=10)
    for row in ill.rows[:3]:
        live_fleet.move(row, ill.secondary)
    shown = signed_in(Role.VIEWER).get("/wallboard/").content.decode()
    assert re.findall(r"<h2><span>([\w-]+)</span>", shown) == [ill.group.name, well.group.name]
    assert re.findall(r'board-n">(\d+)<', shown) == ["3"]


def test_it_is_dark_unless_the_url_says_light() -> None:
    client = signed_in(Role.VIEWER)
    assert 'data-bs-theme="dark"' in client.get("/wallboard/").content.decode()
    assert 'data-bs-theme="light"' in client.get("/wallboard/?theme=light").content.decode()
    assert 'data-bs-theme="dark"' in client.get('/wallboard/?theme="><x').content.decode()


@pytest.mark.parametrize("role", [None, *Role])
def test_admins_alone_make_and_revoke_tokens(role: Role | None) -> None:
    key = wallboards.make("lobby", [], [], by="vera")
    token = WallboardToken.objects.get()
    client, may = signed_in(role), role is Role.ADMIN
    assert client.get("/wallboard/").status_code == (403 if role is None else 200)
    assert client.get("/wallboards/").status_code == (200 if may else 403)
    made = client.post("/wallboards/", {"name": "ward"})
    assert made.status_code == (200 if may else 403)
    assert client.post(f"/wallboards/{token.pk}/revoke/").status_code == (302 if may else 403)
    names = list(WallboardToken.objects.values_list("name", flat=True))
    assert names == (["ward"] if may else ["lobby"])
    assert key not in made.content.decode()


def test_a_new_key_is_shown_once() -> None:
    group = live_fleet.make(1).group
    client = signed_in(Role.ADMIN)
    made = client.post("/wallboards/", {"name": "lobby", "groups": [group.pk]}).content.decode()
    found = re.search(r"http://testserver(/wallboard/[\w-]{43}/)", made)
    assert found is not None
    assert Client().get(found[1]).status_code == 200
    assert found[1] not in client.get("/wallboards/").content.decode()
    again = client.post("/wallboards/", {"name": "lobby"})
    assert again.status_code == 400
    assert "There is a screen of that name already." in again.content.decode()
    entries = LogEntry.objects.get_for_model(WallboardToken)
    assert entries.exists()
    assert not any("digest" in (entry.changes or {}) for entry in entries)


# ---- The socket ------------------------------------------------------------------------------


def screen(web: Web, key: str, origin: str = "") -> Any:
    """A connection as the wallboard's page opens it."""
    return websockets.connect(
        f"ws://127.0.0.1:{web.port}/ws/live/",
        subprotocols=["rollcall", f"wallboard.{key}"],  # type: ignore[list-item]
        additional_headers={"Origin": origin or f"http://127.0.0.1:{web.port}"},
    )


async def refused(web: Web, key: str, origin: str = "") -> bool:
    try:
        async with screen(web, key, origin) as opened:
            await Browser(opened).take()
    except websockets.InvalidStatus as error:
        assert error.response.status_code == 403
        return True
    return False


def test_its_socket_tells_the_summary_of_its_part(web: Web) -> None:
    ward = live_fleet.make(3)
    clinic = live_fleet.make(2, name="clinic", first=10)
    key = wallboards.make("clinic", [clinic.group], [], by="vera")
    everything = wallboards.make("all", [], [], by="vera")

    async def run() -> None:
        async with screen(web, key) as one, screen(web, everything) as other:
            assert one.subprotocol == "rollcall"
            part, whole = Browser(one), Browser(other)
            await part.watch([], summary=True)
            await whole.watch([], summary=True)
            assert part.summary is not None
            assert whole.summary is not None
            assert part.summary["total"] == 2
            assert [group["name"] for group in part.summary["groups"]] == ["clinic"]
            assert whole.summary["total"] == 5
            await in_database(live_fleet.move, ward.rows[0], ward.secondary)
            await in_database(live_fleet.move, clinic.rows[0], clinic.secondary)
            await whole.until(lambda: whole.summary["states"]["secondary"] == 2)
            await part.until(lambda: part.summary["states"]["secondary"] == 1)

    asyncio.run(run())


@pytest.mark.parametrize("more", [{"rows": [1]}, {"rows": [], "history": True}])
def test_its_socket_tells_nothing_else(web: Web, more: dict[str, Any]) -> None:
    live_fleet.make(1)
    key = wallboards.make("lobby", [], [], by="vera")

    async def run() -> None:
        async with screen(web, key) as opened:
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await Browser(opened).watch(**{"summary": True, **more})
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 4400

    asyncio.run(run())


def test_its_socket_asks_for_key_and_origin(web: Web) -> None:
    key = wallboards.make("lobby", [], [], by="vera")

    async def run() -> None:
        assert not await refused(web, key)
        assert await refused(web, "x" * 43)
        assert await refused(web, key, origin="http://evil.example")

    asyncio.run(run())


def test_its_socket_ends_with_its_token_and_not_when_it_is_asked_next(web: Web) -> None:
    key = wallboards.make("lobby", [], [], by="vera")
    token = WallboardToken.objects.get()

    async def run() -> None:
        async with screen(web, key) as opened:
            seen = Browser(opened)
            await seen.take()
            await in_database(lambda: wallboards.revoke(token.pk, by="vera"))
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await seen.until(lambda: False, consumers.RECHECK_SECONDS / 3)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401

    asyncio.run(run())


def test_an_extent_of_sites_leaves_out_groups_that_nobody_there_is_in() -> None:
    fleet = live_fleet.make(2)
    live_fleet.make(1, name="empty-there", first=10)
    site = type(fleet.site).objects.create(name="branch")
    fleet.rows[0].site = site
    fleet.rows[0].save()
    key = wallboards.make("branch", [], [site], by="vera")
    assert wallboards.extent_of(key, "") == Extent(sites=frozenset({site.pk}))
    shown = Client().get(f"/wallboard/{key}/").content.decode()
    assert "The one is on primary." in shown
    assert "empty-there" not in shown


def test_a_silent_server_is_told_by_how_long_and_from_where() -> None:
    fleet = live_fleet.make(1)
    branch = type(fleet.site).objects.create(name="branch", time_zone="Asia/Tokyo")
    live_fleet.silence(fleet.primary, branch)
    client = signed_in(Role.VIEWER)
    assert re.search(r"Silent for <time", client.get("/wallboard/").content.decode())
    heard = live_fleet.silence(fleet.primary, fleet.site)
    heard.condition = "up"
    heard.save()
    assert "Silent from branch for <time" in client.get("/wallboard/").content.decode()
