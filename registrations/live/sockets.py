"""One browser's side of the hub: what it watches, what it has yet to be told, its one writer.

What waits for a socket is bounded by what it watches, not by what happens: the newest state of
each watched row replaces the older one. A socket that takes nothing for SLOW_SECONDS is closed.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from registrations.live.publisher import NO_USER
from registrations.queries.extent import EVERYTHING, Extent
from registrations.vitals import counters

MOST_ROWS = 1000
SLOW_SECONDS = 10.0
HISTORY = 50
"""How many of the latest transitions a socket that watches the history holds."""

Send = Callable[[str], Awaitable[None]]

Places = frozenset[str] | None
"""Names of the sites of which somebody may hear; None: of all."""

logger = logging.getLogger(__name__)


class WatchError(ValueError):
    """What a client asked to watch makes no sense; the text says why."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Watch:
    """What one socket wants to see."""

    rows: frozenset[int] = frozenset()
    summary: bool = False
    history: bool = False
    extent: Extent = EVERYTHING
    """The part of the fleet it is of."""
    absent: frozenset[int] = frozenset()
    """Rows asked for that are not there, for who watches; a snapshot says so, nothing later."""

    @classmethod
    def parse(cls, text: str) -> "Watch":
        """Read `{"watch": {"rows": [ids], "summary": bool, "history": bool}}`, all optional.

        Raises WatchError, also for more than MOST_ROWS rows.
        """
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            raise WatchError("That is not JSON.") from None
        wanted = message.get("watch") if isinstance(message, dict) else None
        if not isinstance(wanted, dict):
            raise WatchError('Send {"watch": {...}}.')
        rows = wanted.get("rows", [])
        if not isinstance(rows, list) or not all(type(i) is int and 0 < i < 2**63 for i in rows):
            raise WatchError("rows must be a list of registration ids.")
        if len(rows) > MOST_ROWS:
            raise WatchError(f"At most {MOST_ROWS} rows can be watched.")
        flags = [wanted.get(name, False) for name in ("summary", "history")]
        if not all(isinstance(flag, bool) for flag in flags):
            raise WatchError("summary and history must be true or false.")
        return cls(frozenset(rows), *flags)

    def may_see(self, row: Mapping[str, Any]) -> bool:
        """Whether this row is of the part it is of."""
        return not self.extent.is_reach or row["site"] in self.extent.sites

    def within(self, extent: Extent) -> "Watch":
        """Return this watch for who may see that part alone. Raises WatchError.

        A wallboard sees the summary of it; a user who is limited to sites their rows as well.
        """
        if (self.rows or self.history) and not extent.is_reach:
            raise WatchError("A wallboard watches the summary alone.")
        return replace(self, extent=extent)


@dataclass(frozen=True, slots=True)
class Change:
    """What one refresh changed of what a Watch sees; `body` is shared by all its sockets."""

    rows: frozenset[int]
    summary: frozenset[Extent]
    """Those whose summary changed."""
    transitions: tuple[str, ...] = ()
    body: str | None = None

    def after(self, earlier: "Change") -> "Change":
        """Return both as one; its body must be written anew from the latest state."""
        return Change(
            earlier.rows | self.rows,
            earlier.summary | self.summary,
            (self.transitions + earlier.transitions)[:HISTORY],
        )


@dataclass(frozen=True, slots=True)
class Closing:
    """Why a socket ends: a websocket close code (RFC 6455 section 7.4) and a sentence."""

    code: int
    reason: str


class Source(Protocol):
    """Where a socket takes the text of its messages from: the hub."""

    id: str

    def snapshot_body(self, watch: Watch) -> str: ...
    def change_body(self, watch: Watch, change: Change) -> str: ...
    def heartbeat_body(self, places: Places) -> str: ...
    def watch(self, socket: "Socket", watch: Watch) -> Watch: ...
    async def ask(self, question: Callable[..., Any], *given: Any) -> Any: ...
    def leave(self, socket: "Socket") -> None: ...


class Socket:
    """One connection. The hub marks what is new; the writer task sends it, one message at a time.

    `done` resolves to a Closing when the hub wants the connection ended; `recheck` is set when
    it must be asked again whether this client may still look. `user_id`: whose it is; `places`:
    the sites whose workers it may hear of.
    """

    def __init__(self, hub: Source, send: Send) -> None:
        self._hub = hub
        self._send = send
        self._seq = 0
        self._snapshot = False
        self._change: Change | None = None
        self._heartbeat = False
        self._sleep: asyncio.Future[None] | None = None
        self._sending_since: float | None = None
        self.seen = Watch()
        self.has_asked = False
        self.wants_snapshot = False
        self.recheck = asyncio.Event()
        self.user_id = NO_USER
        self.places: Places = None
        self.done: asyncio.Future[Closing] = asyncio.get_running_loop().create_future()
        self._writer = asyncio.create_task(self._write(), name="live-socket")
        self._writer.add_done_callback(self._writer_ended)

    def watch(self, watch: Watch) -> None:
        """Watch this from now on; a snapshot follows. Asking the same again heals a gap."""
        self.seen = self._hub.watch(self, watch)
        self.has_asked = self.wants_snapshot = True
        self._snapshot, self._change = False, None

    async def ask(self, question: Callable[..., Any], *given: Any) -> Any:
        """Return the answer to a question to the database. Raises what it raises."""
        return await self._hub.ask(question, *given)

    def leave(self) -> None:
        self._writer.cancel()
        self._hub.leave(self)

    def push_snapshot(self) -> None:
        self.wants_snapshot = False
        self._snapshot, self._change = True, None
        self._wake()

    def push(self, change: Change) -> None:
        """Tell this change; one that waits already is joined with it."""
        if self._snapshot:
            return
        self._change = change if self._change is None else change.after(self._change)
        self._wake()

    def push_heartbeat(self) -> None:
        self._heartbeat = True
        self._wake()

    def close(self, code: int, reason: str) -> None:
        if not self.done.done():
            self.done.set_result(Closing(code, reason))

    def _writer_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("A live socket's writer failed", exc_info=error)
            counters.SOCKETS_DROPPED.add("failed")
            self.close(1011, "This connection failed; connect again.")

    def check_speed(self, now: float) -> None:
        """Close the socket if one message has been under way for SLOW_SECONDS (monotonic now)."""
        is_slow = self._sending_since is not None and now - self._sending_since > SLOW_SECONDS
        if is_slow and not self.done.done():
            counters.SOCKETS_DROPPED.add("slow")
            self.close(4408, "Too slow: this connection took no message for 10 s.")

    def _wake(self) -> None:
        """Wake the writer, if it sleeps. An asyncio.Event would cost as much as all else here."""
        if self._sleep is not None and not self._sleep.done():
            self._sleep.set_result(None)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while (body := self._next()) is not None:
                self._seq += 1
                self._sending_since = time.monotonic()
                try:
                    await self._send(f'{{"hub":"{self._hub.id}","seq":{self._seq},{body}}}')
                except OSError:
                    # The peer is gone (ASGI: ClientDisconnected); receive() says the same.
                    self.close(1006, "The connection broke.")
                    return
                self._sending_since = None
            self._sleep = loop.create_future()
            await self._sleep

    def _next(self) -> str | None:
        if self._snapshot:
            self._snapshot = False
            return self._hub.snapshot_body(self.seen)
        if self._change is not None:
            change, self._change = self._change, None
            return change.body or self._hub.change_body(self.seen, change)
        if self._heartbeat:
            self._heartbeat = False
            return self._hub.heartbeat_body(self.places)
        return None


# Made once: `json.dumps` makes one for each call that asks for anything special.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


def dumps(value: Any) -> str:
    """Return compact JSON."""
    return _ENCODER.encode(value)
