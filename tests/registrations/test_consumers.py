"""Who may open the live socket, and what ends it."""

import asyncio
import json
from functools import partial

import pytest
import websockets
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client

from fleet import sessions
from fleet.people import ApiToken
from fleet.roles import Role
from registrations import consumers
from tests.registrations.live_web import Web, browser, in_database
from tests.support.rows import make_token, make_user

pytestmark = pytest.mark.django_db(transaction=True)


async def refused(web: Web, token: str = "", **headers: str) -> bool:
    try:
        async with browser(web, token, **headers) as seen:
            await seen.take()
    except websockets.InvalidStatus as error:
        assert error.response.status_code == 403
        return True
    return False


def test_who_may_not_see_gets_no_socket(web: Web, token: str) -> None:
    nobody = User.objects.create_user("nobody", password="x")
    his = make_token(nobody)
    ours = f"http://127.0.0.1:{web.port}"

    def cookie(user: User) -> str:
        client = Client()
        client.force_login(user)
        return f"sessionid={client.cookies['sessionid'].value}"

    admin, without_role = cookie(User.objects.get(username="admin")), cookie(nobody)

    async def run() -> None:
        assert await refused(web)
        assert await refused(web, "wrong")
        assert await refused(web, his)
        assert await refused(web, token, Origin="http://evil.example")
        assert await refused(web, Cookie=admin)
        assert await refused(web, Cookie=admin, Origin="http://evil.example")
        assert await refused(web, Cookie=without_role, Origin=ours)
        assert not await refused(web, Cookie=admin, Origin=ours)
        assert not await refused(web, token)

    asyncio.run(run())


def test_a_socket_ends_when_its_session_does(
    web: Web, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "RECHECK_SECONDS", 0.2)

    async def run() -> None:
        async with browser(web, token) as seen:
            await seen.take()
            await in_database(
                ApiToken.objects.all().delete,
            )
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await seen.until(lambda: False, 30)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401

    asyncio.run(run())


def test_a_socket_ends_at_once_when_somebody_ends_the_sessions(web: Web) -> None:
    """Without waiting for the time at which each socket is asked again; others' stay open."""
    ended, other = (make_user(name, Role.VIEWER) for name in ("ended", "other"))

    def cookie(user: User) -> str:
        client = Client()
        client.force_login(user)
        return f"sessionid={client.cookies['sessionid'].value}"

    ours = f"http://127.0.0.1:{web.port}"
    first, second = cookie(ended), cookie(other)

    async def run() -> None:
        async with (
            browser(web, "", Cookie=first, Origin=ours) as seen,
            browser(web, "", Cookie=second, Origin=ours) as still,
        ):
            await seen.take()
            await still.take()
            await in_database(partial(sessions.end_all, ended, by="ada"))
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await seen.until(lambda: False, 40)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401
            still.kinds.clear()
            await still.until(lambda: "heartbeat" in still.kinds, 30)

    asyncio.run(run())


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[]",
        '{"watch": 1}',
        '{"watch": {"rows": "all"}}',
        '{"watch": {"rows": [true]}}',
        '{"watch": {"rows": [-1]}}',
        '{"watch": {"summary": 1}}',
        json.dumps({"watch": {"rows": list(range(1, 1002))}}),
    ],
)
def test_a_watch_that_makes_no_sense_ends_the_socket_with_a_reason(
    web: Web, token: str, text: str
) -> None:
    async def run() -> None:
        async with browser(web, token) as seen:
            await seen.connection.send(text)
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await seen.until(lambda: False, 30)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 4400
            assert closed.value.rcvd.reason

    asyncio.run(run())


class Outage:
    """A socket whose database is away for the first question."""

    def __init__(self, then: object) -> None:
        self.recheck = asyncio.Event()
        self.recheck.set()
        self.asked = 0
        self._then = then

    async def ask(self, question: object, *given: object) -> object:
        self.asked += 1
        if self.asked == 1:
            raise OperationalError("the database system is shutting down")
        return self._then


def test_an_open_socket_is_asked_again_once_the_database_can_say_who_may_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumers, "AGAIN_SECONDS", 0.0)
    socket = Outage(then="nobody")
    closing = asyncio.run(consumers._recheck(socket, {}, "somebody"))  # type: ignore[arg-type]
    assert (closing.code, socket.asked) == (4401, 2)
