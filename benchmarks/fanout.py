"""The floor of a push: one text made 10 times a second and sent to every socket, nothing else.

An ASGI application, run by the same server with the same options as the product's own.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

SIZE = int(os.environ.get("BENCH_BYTES", "20000"))
EVERY_S = 0.1

Send = Callable[[dict[str, Any]], Awaitable[None]]
_sends: set[Send] = set()
_tasks: list["asyncio.Task[None]"] = []


async def application(
    scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Send
) -> None:
    """Take a socket among those that are sent to, until it goes."""
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    _sends.add(send)
    if not _tasks:
        _tasks.append(asyncio.create_task(_send_for_ever()))
    while (await receive())["type"] != "websocket.disconnect":
        pass
    _sends.discard(send)


async def _send_for_ever() -> None:
    due = time.monotonic()
    while True:
        text = f'{{"type":"delta","stamp":"stamp={time.time():.6f}"}}'.ljust(SIZE)
        for send in list(_sends):
            try:
                await send({"type": "websocket.send", "text": text})
            except OSError:
                _sends.discard(send)
        due = max(due + EVERY_S, time.monotonic())
        await asyncio.sleep(due - time.monotonic())
