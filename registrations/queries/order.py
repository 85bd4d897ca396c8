"""The orders a list of registrations may have, as pages and API name them."""

from collections.abc import Callable
from datetime import datetime

from django.db.models import Case, F, OrderBy, Value, When
from django.db.models.expressions import Combinable

from registrations.models import State
from registrations.queries.rows import Shown, is_unknown, shown_since

WORST_FIRST = (
    State.REJECTED,
    State.UNREGISTERED,
    State.UNKNOWN,
    State.HELD,
    State.REGISTERING,
    State.FALLBACK,
    State.SECONDARY,
    State.PRIMARY,
    State.DISABLED,
)


def _rank(now: datetime) -> Combinable:
    rank = {state: Value(n) for n, state in enumerate(WORST_FIRST)}
    stored = (When(state=s, then=n) for s, n in rank.items() if s != State.UNKNOWN)
    return Case(When(is_unknown(now), then=rank[State.UNKNOWN]), *stored)


def _server_word(_now: datetime) -> Combinable:
    named = When(server__name="", then=F("server__address"))
    return Case(named, default=F("server__name"))


def _fields(*names: str) -> tuple[Callable[[datetime], Combinable], ...]:
    return tuple(lambda _now, name=name: F(name) for name in names)


_ORDERS: dict[str, tuple[Callable[[datetime], Combinable], ...]] = {
    "id": _fields("pk"),
    "name": _fields("line__handset__name"),
    "extension": _fields("line__extension"),
    "mac": _fields("line__handset__mac"),
    "model": _fields("line__handset__model", "line__handset__name"),
    "state": (_rank,),
    "server": (_server_word, *_fields("server__port")),
    "since": (shown_since,),
    "next": _fields("next_attempt_at"),
    "expires": _fields("expires_at"),
    "heard": _fields("heard_at"),
    "group": _fields("group__name"),
    "site": _fields("site__name"),
}
ORDERS = tuple(_ORDERS)

_MAY_BE_MISSING = frozenset({"server", "next", "expires", "heard"})
"""Who has none comes last either way. Said only where it matters: it keeps an index from use."""


def ordered(rows: Shown, order: str) -> Shown:
    """Return rows in this order (`-` before its name: downwards), ties by id; else by name."""
    down, name = order.startswith("-"), order.removeprefix("-")
    if name not in _ORDERS:
        down, name = False, "name"
    last = True if name in _MAY_BE_MISSING else None
    by = [OrderBy(key(rows.now), descending=down, nulls_last=last) for key in _ORDERS[name]]
    return rows.order_by(*by, "-pk" if down else "pk")
