"""The live socket: check who asks, join the hub, forward what the client wants to watch.

A plain ASGI application, not a Channels consumer, for it takes no channel of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any
from urllib.parse import urlparse

from channels.security.websocket import OriginValidator
from django.conf import settings
from django.db import Error as DatabaseError
from django.http import HttpRequest, parse_cookie

from fleet import sessions, tokens
from fleet.roles import Role, has_role, sites_of
from registrations import live, wallboards
from registrations.live.sockets import Closing, Places
from registrations.models import Registration
from registrations.queries.extent import Extent

RECHECK_SECONDS = 45.0
"""How often an open socket is asked again whether its session or token still holds. Who loses
one by somebody's doing is told at once; time alone is noticed so."""
AGAIN_SECONDS = 2.0
"""How soon again where the database could not be asked."""

MOST_TEXT = 32_768
"""Characters of one message; 1000 ids of 19 digits fit."""

PROTOCOL = "rollcall"
WALLBOARD = "wallboard."
"""Subprotocols a browser offers: ours, and with this prefix a wallboard's key."""

CLOSE_SECONDS = 2.0
BROKEN = 1006

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): v.decode("latin-1") for name, v in scope["headers"]}


class Refused(Exception):
    """The asker may see nothing here."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who opened a socket."""

    user_id: int = live.NO_USER
    extent: Extent | None = None
    """The part they may see; None: everything."""
    places: Places = None
    """The names of the sites they may hear of; None: all."""


def asker_of(scope: Scope) -> Asker:
    """Return who asks.

    By API token, by session, or by a wallboard's key among the subprotocols, which no log writes
    down. The latter two count only with an Origin of ours: without one it is no page of ours that
    asks. Reads the database. Raises Refused.
    """
    headers = _headers(scope)
    scheme, _, key = headers.get("authorization", "").partition(" ")
    origin = headers.get("origin")
    known = OriginValidator(None, settings.ALLOWED_HOSTS)
    if origin is not None and not known.valid_origin(urlparse(origin)):
        raise Refused
    if origin is not None and (board := _wallboard_key(scope)):
        return Asker(extent=_wallboard_may(board, (scope.get("client") or ("",))[0]))
    user = None
    if scheme.lower() == "token":
        token = tokens.find(key.strip())
        user = token and token.user
    elif not scheme and origin is not None:
        user = _user_of_session(headers.get("cookie", ""))
    if not has_role(user, Role.VIEWER):
        raise Refused
    if (sites := sites_of(user)) is None:
        return Asker(user.pk)
    names = user.site_limits.values_list("site__name", flat=True)
    return Asker(user.pk, Extent(sites=sites, is_reach=True), frozenset(names))


def _wallboard_key(scope: Scope) -> str:
    offered = [name for name in scope.get("subprotocols", ()) if name.startswith(WALLBOARD)]
    return offered[0].removeprefix(WALLBOARD) if offered else ""


def _wallboard_may(key: str, address: str) -> Extent:
    try:
        extent = wallboards.extent_of(key, address)
    except wallboards.TooManyKeys:
        raise Refused from None
    if extent is None:
        raise Refused
    return extent


def _user_of_session(cookie: str) -> Any:
    key = parse_cookie(cookie).get(settings.SESSION_COOKIE_NAME)
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    return sessions.user_of(request)


async def live_socket(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one connection of `/ws/live/`: refused with 403, or told until either side ends it."""
    await receive()
    try:
        asker = await live.ask(asker_of, scope)
    except Refused:
        await send({"type": "websocket.close", "code": 4403})
        return
    chosen = {"subprotocol": PROTOCOL} if PROTOCOL in scope.get("subprotocols", ()) else {}
    await send({"type": "websocket.accept", **chosen})
    socket = live.join(lambda text: send({"type": "websocket.send", "text": text}))
    socket.user_id, socket.places = asker.user_id, asker.places
    try:
        closing = await _until_over(socket, receive, scope, asker)
    finally:
        socket.leave()
    if closing.code != BROKEN:
        await _close(send, closing)


async def _until_over(socket: live.Socket, receive: Receive, scope: Scope, asker: Asker) -> Closing:
    tasks = [
        asyncio.ensure_future(ending)
        for ending in (
            _listen(socket, receive, asker.extent),
            _recheck(socket, scope, asker),
            socket.done,
        )
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()


async def _listen(socket: live.Socket, receive: Receive, extent: Extent | None) -> Closing:
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return Closing(BROKEN, "")
        text = event.get("text") or ""
        if len(text) > MOST_TEXT:
            return Closing(1009, "That message is too long.")
        try:
            watch = live.Watch.parse(text)
            if extent is not None:
                watch = await socket.ask(_narrowed, watch.within(extent))
            socket.watch(watch)
        except live.WatchError as error:
            return Closing(4400, str(error))


def _narrowed(watch: live.Watch) -> live.Watch:
    """Return it without the rows of other sites: not even that they change is told."""
    if not watch.rows:
        return watch
    asked = Registration.objects.filter(pk__in=watch.rows)
    ids = watch.extent.of(asked).values_list("pk", flat=True)
    there = frozenset(ids)
    return replace(watch, rows=there, absent=watch.rows - there)


async def _recheck(socket: live.Socket, scope: Scope, asker: Asker) -> Closing:
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(RECHECK_SECONDS):
                await socket.recheck.wait()
        socket.recheck.clear()
        try:
            same = await socket.ask(asker_of, scope) == asker
        except Refused:
            same = False
        except DatabaseError:
            # The hub cannot read either and says so; whoever may not look any more learns no more.
            await asyncio.sleep(AGAIN_SECONDS)
            socket.recheck.set()
            continue
        if not same:
            return Closing(4401, "Your session, your role or your token has ended.")


async def _close(send: Send, closing: Closing) -> None:
    """Say why. A peer that takes nothing any more is not waited for."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            message = {"type": "websocket.close", "code": closing.code, "reason": closing.reason}
            await send(message)
    except (TimeoutError, OSError):
        return
