"""How much a request may bring, how deep it may be nested, and that each field of it is known."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import wraps
from typing import Any, TypeVar, cast

from rest_framework import parsers
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.request import Request

from fleet.formats.decoding import MAX_TOGETHER

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
View = TypeVar("View", bound=Callable[..., Any])
Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

USUAL = 2 * 1024 * 1024
"""Bytes; 100,000 ids of registrations fit."""
BULK = 16 * 1024 * 1024
"""Bytes; 10,000 handsets in JSON fit."""
FILES = MAX_TOGETHER + 1024 * 1024
"""Bytes where files are sent: theirs, and what a form puts around them."""


class BoundedBodies:
    """ASGI: a body longer than its path may have ends with 413, whether it says so or not.

    `longer` has the paths that may have more than USUAL.
    """

    def __init__(self, application: Application, longer: Mapping[str, int]) -> None:
        self._application = application
        self._longer = longer

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        most = self._longer.get(scope.get("path", ""), USUAL)
        if scope["type"] != "http":
            await self._application(scope, receive, send)
        elif _length(scope) > most:
            await _refuse(send, most)
        else:
            counted = _Counted(receive, most)
            await self._application(scope, counted.receive, send)
            if counted.is_too_long:
                await _refuse(send, most)


class JSONParser(parsers.JSONParser):
    """DRF's, for which a body that is nested too deep is not JSON either."""

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("JSON parse error - nested too deep") from None


def refuse_strange(data: Any, known: Iterable[str]) -> None:
    """Raise ValidationError with a sentence for each field that is none of those known."""
    if isinstance(data, Mapping) and (strange := set(data) - set(known)):
        there = {str(name)[:60]: ["There is no such field."] for name in sorted(strange)}
        raise ValidationError(there)


def takes_no_fields(view: View) -> View:
    """Decorate a method of an API view that reads no body: a field there would change nothing."""

    @wraps(view)
    def checked(self: Any, request: Request, *args: Any, **more: Any) -> Any:
        refuse_strange(request.data, ())
        return view(self, request, *args, **more)

    return cast("View", checked)


class KnownFields:
    """A serializer that refuses names it does not have: a misspelt one would change nothing."""

    def to_internal_value(self, data: Any) -> Any:
        refuse_strange(data, self.fields)  # type: ignore[attr-defined]
        return super().to_internal_value(data)  # type: ignore[misc]


class _Counted:
    """A body that ends, as if its sender had gone, where it becomes too long."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._left = most

    @property
    def is_too_long(self) -> bool:
        return self._left < 0

    async def receive(self) -> dict[str, Any]:
        event = await self._receive()
        self._left -= len(event.get("body", b""))
        return {"type": "http.disconnect"} if self.is_too_long else event


def _length(scope: Mapping[str, Any]) -> int:
    said = dict(scope["headers"]).get(b"content-length", b"")
    return int(said) if said.isdigit() else 0


async def _refuse(send: Send, most: int) -> None:
    body = json.dumps({"detail": f"A request here may have {most // 1024 // 1024} MiB."}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
