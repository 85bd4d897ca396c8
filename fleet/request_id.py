"""One id from the click to the REGISTER: made at the door, kept in rows, said in every log line.

Between processes it travels in the rows that carry the order (a job, a drain, a wish, an export),
never in the broker's hints.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from structlog.contextvars import bind_contextvars, get_contextvars, unbind_contextvars

KEY = "request"
"""Under this name log lines tell it."""

HEADER = "X-Request-ID"
LONGEST = 64

_PLAIN = re.compile(rf"[A-Za-z0-9._-]{{8,{LONGEST}}}")


def fresh() -> str:
    return secrets.token_hex(8)


def accepted(given: str) -> str:
    """Return an id that a trusted proxy gave, '' where it is none that we would write down."""
    return given if _PLAIN.fullmatch(given) else ""


def current() -> str:
    """Return the id of what is being done here, '' where nobody asked for it."""
    return str(get_contextvars().get(KEY, ""))


@contextmanager
def bound(request_id: str) -> Iterator[None]:
    """Say that what is done here is done for that request; '': for none."""
    before = current()
    _bind(request_id)
    try:
        yield
    finally:
        _bind(before)


def _bind(request_id: str) -> None:
    if request_id:
        bind_contextvars(**{KEY: request_id})
    else:
        unbind_contextvars(KEY)
