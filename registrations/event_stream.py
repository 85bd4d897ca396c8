"""`/ws/events/`: every change of the history as it happens, and what a listener missed before.

A listener says the last change it saw and goes on from there, so a lost connection loses nothing.
Changes are read from the database each second: Redis has no part in it.
"""

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from channels.db import database_sync_to_async
from django.db import Error as DatabaseError

from registrations import consumers, queries
from registrations.consumers import Receive, Refused, Scope, Send

LOOK_S = 1.0
HEARTBEAT_S = 5.0
RECHECK_S = 15.0
"""How often it is asked again whether the listener's token or session still holds."""
SLOW_S = 10.0
ASK_S = 10.0
"""Who says nothing for so long after connecting is let go."""
LARGEST = 2**63 - 1

RELOAD = (
    "Too old: not all that happened since can be told. Read the lists anew; this goes on from now."
)
ASK = 'Send {"after": NUMBER of the last change you saw}, or {"after": null} to begin now.'


class Over(Exception):
    """The connection ends; a close code and a sentence."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


async def event_socket(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one connection: refused with 403, or told until either side ends it."""
    await receive()
    if not await _may(scope):
        await send({"type": "websocket.close", "code": 4403})
        return
    await send({"type": "websocket.accept"})
    try:
        after = _asked(await asyncio.wait_for(receive(), ASK_S))
        await _until_gone(receive, _tell(scope, send, after))
    except TimeoutError:
        await send({"type": "websocket.close", "code": 4400, "reason": ASK})
    except Over as over:
        await send({"type": "websocket.close", "code": over.code, "reason": str(over)})
    except (OSError, DatabaseError):
        # The peer is gone, or the database is: whoever listens connects again.
        await send({"type": "websocket.close", "code": 1011})


async def _may(scope: Scope) -> bool:
    try:
        asker = await database_sync_to_async(consumers.asker_of)(scope)
    except Refused:
        return False
    return asker.extent is None


def _asked(event: dict[str, Any]) -> int | None:
    """Return the number the listener has seen, None for from now on. Raises Over."""
    try:
        after = json.loads(event.get("text") or "")["after"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Over(4400, ASK) from None
    if after is not None and not (type(after) is int and 0 <= after <= LARGEST):
        raise Over(4400, ASK)
    return after


async def _until_gone(receive: Receive, telling: Any) -> None:
    """Tell until the listener goes; what else it says is not minded."""
    told = asyncio.ensure_future(telling)
    try:
        while True:
            heard = asyncio.ensure_future(receive())
            await asyncio.wait((told, heard), return_when=asyncio.FIRST_COMPLETED)
            if told.done():
                heard.cancel()
                return told.result()
            if heard.result()["type"] == "websocket.disconnect":
                return None
    finally:
        told.cancel()


async def _tell(scope: Scope, send: Send, after: int | None) -> None:
    feed = await _begin(send, after)
    told_at = checked_at = time.monotonic()
    while True:
        now = time.monotonic()
        events = await _of_database(feed.look, now)
        if events or now - told_at >= HEARTBEAT_S:
            told_at = now
            await _say(send, "events" if events else "heartbeat", feed, events)
        if now - checked_at >= RECHECK_S:
            checked_at = now
            if not await _may(scope):
                raise Over(4401, "Your session, your role or your token has ended.")
        if len(events) < queries.EVENTS_AT_ONCE:
            await asyncio.sleep(LOOK_S)


async def _begin(send: Send, after: int | None) -> queries.Feed:
    if after is not None and not await _of_database(queries.is_too_old, after):
        feed = queries.Feed(after)
        await _say(send, "begun", feed)
    else:
        feed = queries.Feed(await _of_database(queries.newest))
        await _say(send, "begun" if after is None else "reload", feed)
    return feed


async def _of_database(ask: Callable[..., Any], *args: Any) -> Any:
    return await database_sync_to_async(ask)(*args)


async def _say(send: Send, kind: str, feed: queries.Feed, events: Any = ()) -> None:
    told = {"type": kind, "at": queries.moment(datetime.now(UTC)), "last": feed.last}
    more = {"events": events} if events else {"sentence": RELOAD} if kind == "reload" else {}
    text = json.dumps(told | more, ensure_ascii=False)
    try:
        async with asyncio.timeout(SLOW_S):
            await send({"type": "websocket.send", "text": text})
    except TimeoutError:
        raise Over(4408, "Too slow: this connection took no message for 10 s.") from None
