"""How the fleet stood over a period: shares of time, failovers, recoveries, by any cut.

Time in a state is a sum, not a walk: what the period's start had brought lasts to its end, and each
change takes the rest of the period from the state it left and gives it to the one it led to. So one
pass over the period's changes is enough, and the shares of a line sum to the period whatever the
history says. Only outages are paired, of the few changes that begin or end one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q

from registrations.models import Registration, State
from registrations.queries.limits import at_most
from registrations.queries.past import fleet_at, server_label
from registrations.queries.rows import shown

STUCK = timedelta(hours=1)
"""Who is away from the primary for longer than this at the end of a period is stuck there."""

LONGEST_S = 60.0
"""A report that takes longer is not made."""

CUTS = {
    "handset": ("l.registration", "l.mac", "l.extension", "l.name"),
    "group": ("l.grp",),
    "site": ("l.site",),
    "server": ("e.server",),
    "all": (),
}
"""What a report has a row for, and the columns that make one."""

SHARES = ("primary", "secondary", "fallback", "none", "unknown", "off")
"""`none`: registered nowhere. `off`: switched off, or not in the fleet."""

_SHARE_OF = {
    State.PRIMARY: "primary",
    State.SECONDARY: "secondary",
    State.FALLBACK: "fallback",
    State.UNKNOWN: "unknown",
    State.DISABLED: "off",
}
_NONE = tuple(state.value for state in State if state not in _SHARE_OF)
_AWAY = (State.SECONDARY.value, State.FALLBACK.value)


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` up to `end`, which is not in the future."""

    start: datetime
    end: datetime

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a report. Times are in seconds; None where there was nothing to measure."""

    key: tuple[Any, ...]
    seconds: Mapping[str, float]
    """By share: the lines' seconds together. They sum to lines times period, but by server."""
    failovers: int
    recoveries: int
    mean_recovery: float | None
    """To be registered again: from the first request that failed, or from the outage's start."""
    worst_recovery: float | None
    longest_outage: float | None
    stuck: int

    @property
    def total(self) -> float:
        return sum(self.seconds.values())

    def share(self, name: str) -> float:
        """Return a share of the time that the lines were supervised; of `off`, of all time."""
        whole = self.total if name == "off" else self.total - self.seconds["off"]
        return self.seconds[name] / whole if whole > 0 else 0.0


def report(
    cut: str, period: Period, now: datetime, *, group: str = "", site: str = "", mac: str = ""
) -> list[Row]:
    """Return the rows of a report, those first that were longest registered nowhere.

    Lines are counted under the group and site they have now; removed ones under those they had.
    Raises TooLong.
    """
    sql, params = _sql(cut, period, now, {"grp": group, "site": site, "mac": mac})
    with at_most(LONGEST_S), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SET LOCAL work_mem = '64MB'; SET LOCAL max_parallel_workers_per_gather = 2"
            )
        cursor.execute(sql, params)
        return [_row(found, len(CUTS[cut])) for found in cursor.fetchall()]


def whole(rows: Sequence[Row], key: tuple[Any, ...] = ()) -> Row:
    """Return the rows of a report as one."""
    recovering = sum((row.mean_recovery or 0.0) * row.recoveries for row in rows)
    recoveries = sum(row.recoveries for row in rows)
    worst = [row.worst_recovery for row in rows if row.worst_recovery is not None]
    outages = [row.longest_outage for row in rows if row.longest_outage is not None]
    return Row(
        key=key,
        seconds={name: sum(row.seconds[name] for row in rows) for name in SHARES},
        failovers=sum(row.failovers for row in rows),
        recoveries=recoveries,
        mean_recovery=recovering / recoveries if recoveries else None,
        worst_recovery=max(worst, default=None),
        longest_outage=max(outages, default=None),
        stuck=sum(row.stuck for row in rows),
    )


def _row(found: Sequence[Any], keys: int) -> Row:
    seconds = [max(0.0, float(value or 0)) for value in found[keys : keys + len(SHARES)]]
    failovers, recoveries, recovering, worst, longest, stuck = found[keys + len(SHARES) :]
    return Row(
        key=tuple(found[:keys]),
        seconds=dict(zip(SHARES, seconds, strict=True)),
        failovers=int(failovers or 0),
        recoveries=int(recoveries or 0),
        mean_recovery=float(recovering) / int(recoveries) if recoveries else None,
        worst_recovery=None if worst is None else float(worst),
        longest_outage=None if longest is None else float(longest),
        stuck=int(stuck or 0),
    )


def _epoch(column: str) -> str:
    if connection.vendor == "postgresql":
        return f"date_part('epoch', {column})"
    return f"((julianday({column}) - 2440587.5) * 86400.0)"


def _compiled(rows: Any) -> tuple[str, tuple[Any, ...]]:
    sql, params = rows.query.sql_with_params()
    return sql, tuple(params)


def _listed(values: Sequence[str]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _sql(
    cut: str, period: Period, now: datetime, wanted: Mapping[str, str]
) -> tuple[str, tuple[Any, ...]]:
    """Return the statement: CTEs from lines and changes to events, and the sum of those."""
    parts: dict[str, tuple[str, tuple[Any, ...]]] = {
        "bounds": (
            f"SELECT {_epoch('t.started')} AS started, {_epoch('t.ended')} AS ended FROM "
            f"(SELECT {_moment()} AS started, {_moment()} AS ended) t",
            (_stamp(period.start), _stamp(period.end)),
        ),
        "lines": _lines(period, wanted),
        "begun": _begun(period, now),
        "changes": _changes(period, now, is_whole=not any(wanted.values())),
        "stuck": _stuck(period, now),
    }
    parts |= {name: (sql, ()) for name, sql in _DERIVED.items()}
    keys = CUTS[cut]
    columns = ", ".join([*keys, *(_share_sql(name) for name in SHARES), *_MEASURES])
    # Kept whole, a month's changes would be written to disk and read again.
    ctes = ", ".join(
        f"{name} AS {'NOT MATERIALIZED ' if name == 'changes' else ''}({body})"
        for name, (body, _) in parts.items()
    )
    grouping = f"GROUP BY {', '.join(keys)}" if keys else ""
    statement = (
        f"WITH {ctes} SELECT {columns} FROM events e JOIN lines l ON l.registration = e.r "
        f"{grouping} ORDER BY {len(keys) + 4} DESC{''.join(f', {n + 1}' for n in range(len(keys)))}"
    )
    return statement, tuple(value for _, values in parts.values() for value in values)


def _moment() -> str:
    return "CAST(%s AS timestamptz)" if connection.vendor == "postgresql" else "%s"


def _stamp(at: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(at)


def _lines(period: Period, wanted: Mapping[str, str]) -> tuple[str, tuple[Any, ...]]:
    """Return the lines a report is about, under their present or last names."""
    sql = (
        "SELECT * FROM (SELECT r.id AS registration, h.mac AS mac, n.extension AS extension, "
        "h.name AS name, g.name AS grp, s.name AS site FROM registrations_registration r "
        "JOIN fleet_line n ON n.id = r.line_id JOIN fleet_handset h ON h.id = n.handset_id "
        "JOIN fleet_servergroup g ON g.id = r.group_id JOIN fleet_site s ON s.id = r.site_id "
        "WHERE n.created_at < %s "
        "UNION ALL SELECT registration_id, mac, extension, handset_name, group_name, site_name "
        "FROM registrations_transition WHERE cause = 'removed' AND at > %s) t WHERE 1 = 1"
    )
    params: list[Any] = [_stamp(period.end), _stamp(period.start)]
    for column, value in wanted.items():
        if value:
            sql += f" AND {column} = %s"
            params.append(value)
    return sql, tuple(params)


def _begun(period: Period, now: datetime) -> tuple[str, tuple[Any, ...]]:
    """Return where lines stood at the start; `known` is 0 where no change tells that.

    A line that came later was off until then.
    """
    there, params = _compiled(fleet_at(period.start, now))
    return (
        "SELECT then_registration AS r, then_state AS state, then_server AS server, "
        "CASE WHEN then_cause = '' THEN 0 ELSE 1 END AS known FROM "
        f"({there}) t UNION ALL "
        "SELECT l.registration, 'disabled', '', 0 FROM lines l LEFT JOIN fleet_line n ON n.id = "
        "(SELECT line_id FROM registrations_registration WHERE id = l.registration) "
        "WHERE n.created_at > %s OR (n.id IS NULL AND NOT EXISTS (SELECT 1 FROM "
        "registrations_transition o WHERE o.registration_id = l.registration AND o.at <= %s))",
        (*params, _stamp(period.start), _stamp(period.start)),
    )


def _stuck(period: Period, now: datetime) -> tuple[str, tuple[Any, ...]]:
    away = Q(then_state__in=_AWAY, then_since__lte=period.end - STUCK)
    there, params = _compiled(fleet_at(period.end, now, away))
    return f"SELECT then_registration AS r, then_server AS server FROM ({there}) t", params


def _changes(period: Period, now: datetime, *, is_whole: bool) -> tuple[str, tuple[Any, ...]]:
    """Return the period's changes, and for lines not heard of any more that they became unknown."""
    unheard = Registration.objects.annotate(**shown(now), label=server_label()).filter(
        shown_state=State.UNKNOWN, shown_since__gt=period.start, shown_since__lt=period.end
    )
    fields = ("pk", "shown_since", "state", "label")
    ours = " AND registration_id IN (SELECT registration FROM lines)"
    sql, params = _compiled(unheard.order_by().values_list(*fields))
    return (
        f"SELECT registration_id AS r, id AS n, {_epoch('at')} AS t, from_state, "
        "from_server, to_state, to_server, cause, seconds FROM registrations_transition "
        f"WHERE at > %s AND at < %s{'' if is_whole else ours} "
        f"UNION ALL SELECT u.r, {2**62}, {_epoch('u.since')}, u.state, u.label, 'unknown', '', "
        f"'gap', NULL FROM ({_named(sql, ('r', 'since', 'state', 'label'))}) u",
        (_stamp(period.start), _stamp(period.end), *params),
    )


def _named(sql: str, names: Sequence[str]) -> str:
    """Return a query's columns under names of ours, whatever the query calls them."""
    blank = ", ".join(f"NULL AS {name}" for name in names)
    return f"SELECT {blank} WHERE 1 = 0 UNION ALL SELECT * FROM ({sql}) q"


_NOTHING = "CAST(NULL AS double precision)"

_DERIVED = {
    # Where nothing was known before, a line's first change takes from that, not from its own word.
    "firsts": (
        "SELECT c.r, c.n, c.t, c.from_state, c.from_server, c.to_state, c.to_server, b.state "
        "FROM begun b JOIN (SELECT *, "
        "ROW_NUMBER() OVER (PARTITION BY r ORDER BY t, n) AS place FROM changes "
        "WHERE r IN (SELECT r FROM begun WHERE known = 0)) c ON c.r = b.r AND c.place = 1 "
        "WHERE b.known = 0"
    ),
    "moved": (
        "SELECT r, from_state, from_server, to_state, to_server, SUM(ended - t) AS secs, "
        "SUM(CASE WHEN cause IN ('failover', 'fallback') THEN 1 ELSE 0 END) AS failovers, "
        "COUNT(CASE WHEN cause IN ('failover', 'fallback') THEN seconds END) AS recoveries, "
        "SUM(CASE WHEN cause IN ('failover', 'fallback') THEN seconds END) AS recovering, "
        "MAX(CASE WHEN cause IN ('failover', 'fallback') THEN seconds END) AS worst "
        "FROM changes, bounds GROUP BY r, from_state, from_server, to_state, to_server"
    ),
    "edges": (
        f"SELECT r, 0 AS n, started AS t, 1 AS is_out, state AS st, server FROM begun, bounds "
        f"WHERE state IN ({_listed(_NONE)}) UNION ALL "
        f"SELECT r, n, t, CASE WHEN to_state IN ({_listed(_NONE)}) THEN 1 ELSE 0 END, to_state, "
        f"to_server FROM changes WHERE (to_state IN ({_listed(_NONE)})) <> "
        f"(from_state IN ({_listed(_NONE)})) UNION ALL "
        f"SELECT r, n, t, 1, to_state, to_server FROM firsts WHERE to_state IN ({_listed(_NONE)}) "
        f"AND from_state IN ({_listed(_NONE)})"
    ),
    "outages": (
        "SELECT r, is_out, LEAD(t, 1, ended) OVER w - t AS lasted, LEAD(st) OVER w AS ends_in, "
        "LEAD(server) OVER w AS ends_at FROM edges, bounds "
        "WINDOW w AS (PARTITION BY r ORDER BY t, n)"
    ),
    "events": (
        "SELECT r, state, server, ended - started AS secs, 0 AS failovers, 0 AS recoveries, "
        f"0.0 AS recovering, {_NOTHING} AS worst, {_NOTHING} AS outage, 0 AS stuck "
        "FROM begun, bounds "
        "UNION ALL SELECT r, to_state, to_server, secs, failovers, recoveries, recovering, worst, "
        "NULL, 0 FROM moved "
        "UNION ALL SELECT r, from_state, from_server, -secs, 0, 0, 0.0, NULL, NULL, 0 FROM moved "
        "UNION ALL SELECT r, from_state, from_server, ended - t, 0, 0, 0.0, NULL, NULL, 0 "
        "FROM firsts, bounds "
        "UNION ALL SELECT r, state, '', t - ended, 0, 0, 0.0, NULL, NULL, 0 FROM firsts, bounds "
        "UNION ALL SELECT r, 'unregistered', CASE WHEN ends_in IN ('primary', 'secondary', "
        "'fallback') THEN ends_at ELSE '' END, 0.0, 0, "
        "CASE WHEN ends_in IN ('primary', 'secondary', 'fallback') THEN 1 ELSE 0 END, "
        "CASE WHEN ends_in IN ('primary', 'secondary', 'fallback') THEN lasted ELSE 0.0 END, "
        "CASE WHEN ends_in IN ('primary', 'secondary', 'fallback') THEN lasted END, lasted, 0 "
        "FROM outages WHERE is_out = 1 "
        "UNION ALL SELECT r, 'secondary', server, 0.0, 0, 0, 0.0, NULL, NULL, 1 FROM stuck"
    ),
}

_MEASURES = (
    "SUM(e.failovers)",
    "SUM(e.recoveries)",
    "SUM(e.recovering)",
    "MAX(e.worst)",
    "MAX(e.outage)",
    "SUM(e.stuck)",
)


def _share_sql(name: str) -> str:
    states = [state.value for state, share in _SHARE_OF.items() if share == name] or _NONE
    return f"SUM(CASE WHEN e.state IN ({_listed(states)}) THEN e.secs ELSE 0.0 END)"
