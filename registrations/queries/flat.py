"""Registrations as shown, read without models: for the hub, ten times a second, and for exports.

The query is compiled once, and only ids and time are put in anew. To compile it takes 4 ms of CPU,
and six models for each row 40 us: more than all that is done with them.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.db import connection

from fleet import reach
from fleet.models import Line, Server
from fleet.sql import listed, within
from registrations.queries.rows import plain, row, shown
from registrations.values import record

STAMP = (
    *("shown_state", "shown_since", "silent_since", "server_id", "group_id", "site_id"),
    *("expires_at", "next_attempt_at", "heard_at", "reason", "last_answer"),
)
"""What time and workers change of a row. While they are the same it need not be told again."""

_FIELDS = (
    *STAMP,
    *("pk", "line_id", "stuck_since", "line__handset_id"),
    *("line__extension", "line__domain", "line__supervision"),
    *("line__handset__mac", "line__handset__name", "line__handset__model", "line__handset__tags"),
    *("group__name", "group__mode", "site__name", "site__time_zone"),
    *("server__name", "server__address", "server__port", "server__priority"),
    *("server__lost_features", "assumed_on_id", "assumed_on__name", "assumed_on__address"),
    *("assumed_on__port", "assumed_on__priority"),
)


def rows(ids: Iterable[int], now: datetime) -> list[dict[str, Any]]:
    """Return the rows of these ids in one query, by id; ids that are gone are left out."""
    return [found for _, found in stamped(ids, now)]


def seen(ids: Iterable[int], now: datetime) -> Iterator["Seen"]:
    """Yield what `row` and `state_word` read of these ids, by id, as a model has it."""
    return (_seen(values) for values in _within_reach(ids, now))


def stamped(ids: Iterable[int], now: datetime) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Yield the rows of these ids, by id, each after its stamp: the values of STAMP."""
    for values in _within_reach(ids, now):
        yield tuple(values[: len(STAMP)]), row(_seen(values))


def _within_reach(ids: Iterable[int], now: datetime) -> Iterator[Sequence[Any]]:
    """Ask for those that are within reach: the query is compiled for all, and knows nobody."""
    if reach.sites() is not None:
        ids = plain(now).filter(pk__in=list(ids)).values_list("pk", flat=True)
    return _asked(connection.vendor, _FIELDS).of(ids, now)


def stamps(ids: Iterable[int], now: datetime) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield these ids with their stamps, those that are gone left out: a tenth of a row's cost."""
    for *stamp, pk in _asked(connection.vendor, (*STAMP, "pk")).of(ids, now):
        yield pk, tuple(stamp)


class _Asked:
    """The query, compiled. Of its parameters one is ids, and some lie so far before now."""

    def __init__(self, fields: Sequence[str]) -> None:
        some, other = datetime(2001, 1, 1, tzinfo=UTC), datetime(2002, 2, 2, tzinfo=UTC)
        self._compiler, sql, self._params = _compiled(fields, some)
        *_, later = _compiled(fields, other)
        # Whatever speaks of time is another at another time.
        self._before_now = {
            place: some - _moment(value)
            for place, value in enumerate(self._params)
            if value != later[place]
        }
        self._ids = self._params.index(_NOBODY)
        self._sql = sql.replace('"id" = %s', within('"id"'))
        self._converters = self._compiler.get_converters(
            [expression for expression, *_ in self._compiler.select]
        )

    def of(self, ids: Iterable[int], now: datetime) -> Iterator[Any]:
        params = self._params.copy()
        params[self._ids] = listed(ids)
        for place, before in self._before_now.items():
            params[place] = connection.ops.adapt_datetimefield_value(now - before)
        with connection.cursor() as cursor:
            cursor.execute(self._sql, params)
            found = cursor.fetchall()
        return iter(self._compiler.apply_converters(found, self._converters))


_NOBODY = -1


def _compiled(fields: Sequence[str], now: datetime) -> tuple[Any, str, list[Any]]:
    # Whoever asks first must not narrow it for all who ask later.
    with reach.everything():
        found = plain(now).annotate(**shown(now)).filter(pk=_NOBODY).order_by("pk")
        compiler = found.values_list(*fields).query.get_compiler(connection=connection)
        sql, params = compiler.as_sql()
    return compiler, sql, list(params)


def _moment(value: Any) -> datetime:
    """Return a point in time as a database is told it: SQLite as text, in UTC."""
    return datetime.fromisoformat(f"{value}+00:00") if isinstance(value, str) else value


@cache
def _asked(vendor: str, fields: tuple[str, ...]) -> _Asked:
    return _Asked(fields)


@record
class _Handset:
    mac: str
    name: str
    model: str
    tags: list[str]


@record
class _Line:
    handset_id: int
    extension: str
    domain: str
    supervision: str
    handset: _Handset

    __str__ = Line.__str__


@record
class _Server:
    pk: int
    name: str
    address: str
    port: int
    priority: int
    lost_features: Sequence[str] = ()

    place = Server.place
    __str__ = Server.__str__


@record
class _Group:
    name: str
    mode: str


@record
class _Site:
    name: str
    time_zone: str


@record
class Seen:
    """What `row` reads of a registration."""

    shown_state: str
    shown_since: datetime
    silent_since: datetime | None
    server_id: int | None
    group_id: int
    site_id: int
    expires_at: datetime | None
    next_attempt_at: datetime | None
    heard_at: datetime | None
    reason: str
    last_answer: str
    pk: int
    line_id: int
    stuck_since: datetime | None
    line: _Line
    group: _Group
    site: _Site
    server: _Server | None
    assumed_on: _Server | None


def _seen(values: Sequence[Any]) -> Seen:
    """Put the values of _FIELDS where a model has them."""
    server_id, assumed_id = values[3], values[31]
    return Seen(
        *values[:14],
        _Line(*values[14:18], _Handset(*values[18:22])),
        _Group(*values[22:24]),
        _Site(*values[24:26]),
        None if server_id is None else _Server(server_id, *values[26:31]),
        None if assumed_id is None else _Server(assumed_id, *values[32:36]),
    )
