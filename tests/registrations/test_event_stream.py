"""The stream of changes: in order, what was missed too, and who may listen."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets

from fleet.people import ApiToken
from registrations import event_stream, queries
from registrations.models import Transition
from registrations.queries import events
from tests.registrations.live_web import Web, in_database
from tests.support.rows import make_transition

pytestmark = pytest.mark.django_db(transaction=True)

WAIT_S = 60
API = Path(__file__).resolve().parents[2] / "docs" / "api.md"


class Listener:
    """What a client of the stream was told."""

    def __init__(self, connection: websockets.ClientConnection) -> None:
        self.connection = connection
        self.ids: list[int] = []
        self.last = 0

    async def take(self) -> dict[str, Any]:
        async with asyncio.timeout(WAIT_S):
            told: dict[str, Any] = json.loads(await self.connection.recv())
        self.ids += [event["id"] for event in told.get("events", ())]
        self.last = told["last"]
        return told

    async def until(self, ids: list[int]) -> None:
        async with asyncio.timeout(WAIT_S):
            while self.ids != ids:
                await self.take()


@asynccontextmanager
async def listening(web: Web, token: str, after: int | None) -> AsyncIterator[Listener]:
    key = {"Authorization": f"Token {token}"}
    uri = f"ws://127.0.0.1:{web.port}/ws/events/"
    async with websockets.connect(uri, additional_headers=key) as connection:
        await connection.send(json.dumps({"after": after}))
        yield Listener(connection)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "LOOK_S", 0.05)


def happen(many: int = 1) -> list[int]:
    return [make_transition().pk for _ in range(many)]


def test_changes_are_told_as_they_come_and_those_that_were_missed_before_them(
    web: Web, token: str
) -> None:
    first = happen(3)

    async def run() -> None:
        async with listening(web, token, None) as seen:
            begun = await seen.take()
            assert (begun["type"], begun["last"]) == ("begun", first[-1])
            second = await in_database(lambda: happen(2))
            await seen.until(second)
            assert seen.last == second[-1]
        third = await in_database(lambda: happen(events.AT_ONCE + 1))
        async with listening(web, token, second[0]) as seen:
            await seen.until([second[1], *third])
        async with listening(web, token, first[0] - 1) as seen:
            await seen.until([*first, *second, *third])

    asyncio.run(run())


def test_who_comes_back_too_late_is_told_to_read_anew_and_goes_on_from_now(
    web: Web, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST_MISSED", 5)
    ids = happen(8)

    async def run() -> None:
        for after in (ids[1], ids[-1] + 10):
            async with listening(web, token, after) as seen:
                told = await seen.take()
                assert (told["type"], told["last"]) == ("reload", ids[-1])
                assert "Too old" in told["sentence"]
        await in_database(Transition.objects.filter(pk__lte=ids[4]).delete)
        async with listening(web, token, ids[4]) as seen:
            assert (await seen.take())["type"] == "begun"
        async with listening(web, token, ids[3]) as seen:
            assert (await seen.take())["type"] == "reload"
            await seen.until(await in_database(happen))

    asyncio.run(run())


def test_a_quiet_stream_says_that_it_lives(
    web: Web, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_S", 0.1)

    async def run() -> None:
        async with listening(web, token, None) as seen:
            assert [(await seen.take())["type"] for _ in range(2)] == ["begun", "heartbeat"]

    asyncio.run(run())


def test_a_number_that_comes_late_is_told_all_the_same() -> None:
    """Two workers write at once: the one with the lower numbers may commit after the other."""
    ids = happen(5)
    late = Transition.objects.get(pk=ids[2])
    Transition.objects.filter(pk=late.pk).delete()
    feed = queries.Feed(ids[0])
    assert [each["id"] for each in feed.look(100.0)] == [ids[1], ids[3], ids[4]]
    assert feed.last == ids[1]
    assert feed.look(101.0) == []
    late.save(force_insert=True)
    assert [each["id"] for each in feed.look(102.0)] == [ids[2]]
    assert feed.last == ids[4]


def test_a_number_that_never_comes_is_waited_for_no_longer_than_a_grace() -> None:
    ids = happen(4)
    Transition.objects.filter(pk=ids[1]).delete()
    feed = queries.Feed(ids[0])
    feed.look(100.0)
    assert feed.last == ids[0]
    assert feed.look(100.0 + events.GRACE_S + 1) == []
    assert feed.last == ids[3]


@pytest.mark.parametrize("text", ["nonsense", "[]", "{}", '{"after": -1}', '{"after": "1"}'])
def test_a_question_that_makes_no_sense_ends_it_with_a_reason(
    web: Web, token: str, text: str
) -> None:
    async def run() -> None:
        key = {"Authorization": f"Token {token}"}
        uri = f"ws://127.0.0.1:{web.port}/ws/events/"
        async with websockets.connect(uri, additional_headers=key) as connection:
            await connection.send(text)
            with pytest.raises(websockets.ConnectionClosed) as closed:
                await asyncio.wait_for(connection.recv(), WAIT_S)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 4400
            assert "after" in closed.value.rcvd.reason

    asyncio.run(run())


def test_it_ends_when_the_token_does(web: Web, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "RECHECK_S", 0.1)

    async def run() -> None:
        async with listening(web, token, None) as seen:
            await seen.take()
            await in_database(ApiToken.objects.all().delete)
            with pytest.raises(websockets.ConnectionClosed) as closed:
                while True:
                    await seen.take()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 4401

    asyncio.run(run())


def test_the_example_of_the_manual_goes_on_where_it_stopped(
    web: Web, token: str, tmp_path: Path
) -> None:
    [code] = re.findall(r"```python\n(.*?)```", API.read_text(), re.DOTALL)
    mark = tmp_path / "mark"
    ids = happen(2)
    mark.write_text(str(ids[0]))
    env = os.environ | {"ROLLCALL": f"ws://127.0.0.1:{web.port}", "TOKEN": token}

    def told(number: int) -> None:
        command = [sys.executable, "-c", code, str(mark)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=env, text=True) as client:
            assert client.stdout is not None
            try:
                assert client.stdout.readline().split() == [
                    str(number),
                    "00907a000001",
                    "secondary",
                ]
            finally:
                client.kill()

    told(ids[1])
    mark.write_text(str(ids[1]))
    told(*happen())
