"""A report as an export: one row for each handset, group, site or server."""

from collections.abc import Iterator
from typing import Any

from django.http import QueryDict
from django.utils import timezone

from registrations import queries
from registrations.exports import source

KEYS = {
    "handset": ("registration", "mac", "extension", "name"),
    "group": ("group",),
    "site": ("site",),
    "server": ("server",),
    "all": (),
}


def reports(params: QueryDict) -> source.Source:
    """Return the report that `params` (those of ReportForm) ask for.

    Raises ExportRefused.
    """
    now = timezone.now()
    asked = queries.ReportForm(params, now)
    source.refuse_if_wrong(asked)
    try:
        rows = queries.report(asked.cut, asked.period, now, **asked.part)
    except queries.TooLong as too_long:
        why = "This takes too long; ask for a shorter period or a part of the fleet."
        raise source.ExportRefused({"since": [why]}) from too_long
    records = [_record(asked.cut, row) for row in rows]
    columns = tuple(_record(asked.cut, _EMPTY))
    return source.Source(
        kind="reports",
        columns=columns,
        asked=source.asked_of(params, asked.fields),
        since=asked.period.start,
        until=asked.period.end,
        made_at=now,
        rows=len(rows),
        cells=lambda: ([tuple(r.values()) for r in chunk] for chunk in _chunks(records)),
        records=lambda: _chunks(records),
    )


_EMPTY = queries.whole([], key=(None,) * 4)


def _record(cut: str, row: queries.ReportRow) -> dict[str, Any]:
    return {
        **dict(zip(KEYS[cut], row.key, strict=False)),
        **{f"{name}_seconds": round(row.seconds[name], 3) for name in queries.SHARES},
        **{f"{name}_share": round(row.share(name), 6) for name in queries.SHARES},
        "failovers": row.failovers,
        "recoveries": row.recoveries,
        "mean_recovery_seconds": _rounded(row.mean_recovery),
        "worst_recovery_seconds": _rounded(row.worst_recovery),
        "longest_outage_seconds": _rounded(row.longest_outage),
        "stuck": row.stuck,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _chunks(records: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(records), source.CHUNK):
        yield records[start : start + source.CHUNK]
