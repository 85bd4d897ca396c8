"""One socket's side of the hub: what it may ask, what waits for it, what a slow one costs."""

import asyncio
import json
from weakref import ref

import pytest

from registrations import live
from registrations.live import sockets
from registrations.live.sockets import Change, Places, Socket, Watch, WatchError


class Hub:
    """Gives the bodies; notes which were written anew."""

    id = "h"

    def __init__(self) -> None:
        self.written: list[Change] = []

    def snapshot_body(self, watch: Watch) -> str:
        return '"type":"snapshot"'

    def change_body(self, watch: Watch, change: Change) -> str:
        self.written.append(change)
        return f'"type":"delta","rows":{sorted(change.rows)}'

    def heartbeat_body(self, places: Places) -> str:
        return '"type":"heartbeat"'

    def watch(self, socket: Socket, watch: Watch) -> Watch:
        return watch

    def leave(self, socket: Socket) -> None: ...


class Peer:
    """Takes messages, unless it is held up."""

    def __init__(self) -> None:
        self.taken: list[dict[str, object]] = []
        self.free = asyncio.Event()
        self.free.set()
        self.took = asyncio.Event()

    async def send(self, text: str) -> None:
        await self.free.wait()
        self.taken.append(json.loads(text))
        self.took.set()

    async def has(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.taken) < count:
                await self.took.wait()
                self.took.clear()


def change(*rows: int, body: str | None = None, transitions: tuple[str, ...] = ()) -> Change:
    return Change(frozenset(rows), frozenset(), transitions, body)


def test_what_waits_for_a_slow_socket_is_one_message_of_the_latest_state() -> None:
    async def run() -> None:
        hub, peer = Hub(), Peer()
        socket = Socket(hub, peer.send)
        peer.free.clear()
        socket.push(change(1, body='"type":"delta","rows":[1]'))
        await asyncio.sleep(0.01)
        for number in range(10_000):
            socket.push(change(number % 3, body='"type":"delta"', transitions=(str(number),)))
        peer.free.set()
        await peer.has(2)
        assert peer.taken[1]["rows"] == [0, 1, 2]
        assert [m["seq"] for m in peer.taken] == [1, 2]
        assert len(hub.written) == 1
        assert hub.written[0].transitions[0] == "9999"
        assert len(hub.written[0].transitions) == sockets.HISTORY
        socket.leave()

    asyncio.run(run())


def test_a_socket_that_takes_nothing_is_closed_with_a_reason() -> None:
    async def run() -> None:
        peer = Peer()
        socket = Socket(Hub(), peer.send)
        peer.free.clear()
        socket.push_heartbeat()
        await asyncio.sleep(0.01)
        now = asyncio.get_running_loop().time()
        socket.check_speed(now + sockets.SLOW_SECONDS / 2)
        assert not socket.done.done()
        socket.check_speed(now + sockets.SLOW_SECONDS + 1)
        assert socket.done.result().code == 4408
        assert "slow" in socket.done.result().reason
        socket.leave()

    asyncio.run(run())


def test_an_idle_socket_is_not_slow() -> None:
    async def run() -> None:
        peer = Peer()
        socket = Socket(Hub(), peer.send)
        socket.push_heartbeat()
        await peer.has(1)
        socket.check_speed(asyncio.get_running_loop().time() + 1000)
        assert not socket.done.done()
        socket.leave()

    asyncio.run(run())


def test_a_new_watch_forgets_what_waited_for_the_old_one() -> None:
    async def run() -> None:
        peer = Peer()
        socket = Socket(Hub(), peer.send)
        socket.push(change(1, body='"type":"delta"'))
        socket.watch(Watch(frozenset({2})))
        socket.push_heartbeat()
        await peer.has(1)
        assert peer.taken[0]["type"] == "heartbeat"
        assert socket.wants_snapshot
        socket.leave()

    asyncio.run(run())


def test_a_connection_that_breaks_in_a_send_ends_the_socket() -> None:
    async def run() -> None:
        async def send(_text: str) -> None:
            raise ConnectionResetError

        socket = Socket(Hub(), send)
        socket.push_heartbeat()
        async with asyncio.timeout(30):
            assert (await socket.done).code == 1006
        socket.leave()

    asyncio.run(run())


def test_a_thousand_rows_may_be_watched_and_no_more() -> None:
    def text(count: int) -> str:
        return json.dumps({"watch": {"rows": list(range(1, count + 1)), "history": True}})

    watch = Watch.parse(text(sockets.MOST_ROWS))
    assert len(watch.rows) == 1000 and watch.history and not watch.summary
    with pytest.raises(WatchError, match="1000"):
        Watch.parse(text(sockets.MOST_ROWS + 1))


def test_sockets_that_watch_the_same_share_it_until_the_last_watches_something_else() -> None:
    async def run() -> None:
        hub, peer = live.Hub(), Peer()
        first, second = hub.join(peer.send), hub.join(peer.send)
        for socket in (first, second):
            socket.watch(Watch(frozenset((1, 2)), summary=True))
        shared = ref(first.seen)
        assert shared() is second.seen
        first.watch(Watch(frozenset((1, 2))))
        assert second.seen is shared()
        second.watch(Watch(frozenset((1, 2))))
        assert second.seen is first.seen
        assert shared() is None
        first.leave()
        second.leave()

    asyncio.run(run())
