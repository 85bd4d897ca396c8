"""The live socket: check who asks, join the hub, forward what the client wants to watch.

A plain ASGI application, not a Channels consumer, for it takes no channel of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any
from urllib.parse import urlparse

from channels.db import database_sync_to_async
from channels.security.websocket import OriginValidator
from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest, parse_cookie
from rest_framework.authentication import TokenAuthentication
from rest_framework.exceptions import AuthenticationFailed

from fleet.roles import Role, has_role
from registrations import live
from registrations.live.sockets import Closing

RECHECK_SECONDS = 45.0
"""How often an open socket is asked again whether its session or token still holds."""

MOST_TEXT = 32_768
"""Characters of one message; 1000 ids of 19 digits fit."""

CLOSE_SECONDS = 2.0
BROKEN = 1006

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): v.decode("latin-1") for name, v in scope["headers"]}


def may_watch(headers: dict[str, str]) -> bool:
    """Say whether the asker is a viewer at least, by token or by session. Reads the database.

    A session counts only with an Origin of ours: without one it is no page of ours that asks.
    """
    scheme, _, key = headers.get("authorization", "").partition(" ")
    origin = headers.get("origin")
    known = OriginValidator(None, settings.ALLOWED_HOSTS)
    if origin is not None and not known.valid_origin(urlparse(origin)):
        return False
    if scheme:
        return scheme.lower() == "token" and _token_may(key.strip())
    return origin is not None and _session_may(headers.get("cookie", ""))


def _token_may(key: str) -> bool:
    try:
        user, _ = TokenAuthentication().authenticate_credentials(key)
    except AuthenticationFailed:
        return False
    return has_role(user, Role.VIEWER)


def _session_may(cookie: str) -> bool:
    key = parse_cookie(cookie).get(settings.SESSION_COOKIE_NAME)
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    return has_role(get_user(request), Role.VIEWER)


async def live_socket(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one connection of `/ws/live/`: refused with 403, or told until either side ends it."""
    await receive()
    headers = _headers(scope)
    if not await database_sync_to_async(may_watch)(headers):
        await send({"type": "websocket.close", "code": 4403})
        return
    await send({"type": "websocket.accept"})
    socket = live.join(lambda text: send({"type": "websocket.send", "text": text}))
    try:
        closing = await _until_over(socket, receive, headers)
    finally:
        socket.leave()
    if closing.code != BROKEN:
        await _close(send, closing)


async def _until_over(socket: live.Socket, receive: Receive, headers: dict[str, str]) -> Closing:
    tasks = [
        asyncio.ensure_future(ending)
        for ending in (_listen(socket, receive), _recheck(headers), socket.done)
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()


async def _listen(socket: live.Socket, receive: Receive) -> Closing:
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return Closing(BROKEN, "")
        text = event.get("text") or ""
        if len(text) > MOST_TEXT:
            return Closing(1009, "That message is too long.")
        try:
            socket.watch(live.Watch.parse(text))
        except live.WatchError as error:
            return Closing(4400, str(error))


async def _recheck(headers: dict[str, str]) -> Closing:
    while True:
        await asyncio.sleep(RECHECK_SECONDS)
        if not await database_sync_to_async(may_watch)(headers):
            return Closing(4401, "Your session or your role has ended.")


async def _close(send: Send, closing: Closing) -> None:
    """Say why. A peer that takes nothing any more is not waited for."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            message = {"type": "websocket.close", "code": closing.code, "reason": closing.reason}
            await send(message)
    except (TimeoutError, OSError):
        return
