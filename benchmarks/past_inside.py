"""What `benchmarks.past` measures, inside Django: one part a process, one figure a line as JSON."""

import json
import resource
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import django

django.setup()

import xlsxwriter  # noqa: E402 - after Django's set-up, as all below
from django.db import connection  # noqa: E402
from django.http import QueryDict  # noqa: E402
from django.utils import timezone  # noqa: E402

from benchmarks.figure import Figure  # noqa: E402
from benchmarks.history_rows import fill  # noqa: E402
from benchmarks.seed import seed  # noqa: E402
from fleet.models import Line  # noqa: E402
from registrations import exports, queries  # noqa: E402
from registrations.exports.transitions import COLUMNS  # noqa: E402
from registrations.exports.workbook import NOTHING_IS_RUN  # noqa: E402

TIMES = 5
MEGABYTE = 1 << 20
SHEET_DAYS = 2
FILTERS = (
    "",
    "state=secondary",
    "cause=forced_failback",
    "cause=overridden",
    "group=group-03",
    "group=group-03&cause=lost",
    "site=campus-2",
    "mac=00907a0000ff",
    "q=nurse+4711",
    "q=nobody+at+all",
)


def main() -> None:
    part, *numbers = sys.argv[1:]
    for figure in PARTS[part](*map(int, numbers)):
        told = {name: getattr(figure, name) for name in figure.__dataclass_fields__}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


def filled(handsets: int, changes: int, days: int) -> Iterator[Figure]:
    seed(handsets)
    Line.objects.update(created_at=timezone.now() - timedelta(days=days + 1))
    began = perf_counter()
    fill(changes, days)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    yield Figure("changes written", changes / (perf_counter() - began), "/s")


def filters() -> Iterator[Figure]:
    """Each filter of the history page: the leaf and its count."""
    for query in FILTERS:
        took = _milliseconds(lambda query=query: _leaf(query))
        yield Figure(f"history, {query or 'no filter'}", took, "ms", at_most=300.0)


def _leaf(query: str) -> None:
    asked = queries.TransitionFilter(QueryDict(query), queries.transitions())
    queries.leaf(asked.qs, 50)
    queries.count(asked.qs)


def travel() -> Iterator[Figure]:
    now = timezone.now()
    instants = iter([now - timedelta(days=days) for days in (1, 3, 7, 12, 18)] * 2)
    with queries.by_index():
        every = _milliseconds(lambda: list(queries.fleet_at(next(instants), now)))
    yield Figure("the fleet at an instant, every line", every, "ms", at_most=1000.0)
    instants = iter([now - timedelta(days=days) for days in (2, 4, 8, 11, 17)] * 2)
    counted = _milliseconds(lambda: queries.counts_at(next(instants), now))
    yield Figure("the fleet at an instant, counted", counted, "ms", at_most=1000.0)
    later = now - timedelta(days=5)
    took = _milliseconds(lambda: queries.between(later - timedelta(minutes=10), later, now))
    yield Figure("what changed within ten minutes", took, "ms", at_most=1000.0)


def reports() -> Iterator[Figure]:
    now = timezone.now()
    period = queries.Period(now - timedelta(days=19), now)
    for cut in ("group", "handset"):
        began = perf_counter()
        queries.report(cut, period, now)
        yield Figure(f"report of 19 days by {cut}", perf_counter() - began, "s")


def export() -> Iterator[Figure]:
    """Our CSV against a plain COPY of the same SELECT, in turn."""
    idle = _resident()
    plain, ours, first = [], [], []
    for _ in range(TIMES):
        plain.append(_seconds(_copy))
        began = perf_counter()
        parts = iter(exports.prepare("transitions", QueryDict("")))
        next(parts)
        next(parts)
        first.append(perf_counter() - began)
        for _part in parts:
            pass
        ours.append(perf_counter() - began)
    rows = exports.prepare("transitions", QueryDict("")).rows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    yield Figure("plain COPY of the same SELECT", rows / median(plain), "rows/s")
    yield Figure("CSV export, all of it", rows / median(ours), "rows/s")
    ratio = median(p / o for p, o in zip(plain, ours, strict=True))
    yield Figure("CSV export against COPY", ratio, "", at_least=0.5, goal=0.8)
    yield Figure("CSV export, first rows after", max(first) * 1000, "ms", at_most=1000.0)
    yield Figure("CSV export, memory above idle", (peak - idle) / MEGABYTE, "MB", at_most=30.0)


def _copy() -> None:
    columns = ", ".join(COLUMNS.values())
    with connection.cursor() as cursor, Path("/dev/null").open("wb") as nowhere:
        cursor.cursor.copy_expert(
            f"COPY (SELECT {columns} FROM registrations_transition "  # noqa: S608 - our own names
            "ORDER BY at DESC, id DESC) TO STDOUT WITH (FORMAT csv)",
            nowhere,
        )


def workbook() -> Iterator[Figure]:
    """Our XLSX against the bare library that writes the same values, which it is given."""
    since = (timezone.now() - timedelta(days=SHEET_DAYS)).isoformat()
    query = QueryDict(mutable=True)
    query.update({"format": "xlsx", "since": since})
    idle = _resident()
    export = exports.prepare("transitions", query)
    ours = _seconds(lambda: sum(len(part) for part in export))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    rows = [row for chunk in export.source.cells() for row in chunk]
    bare = _seconds(lambda: _bare(rows))
    yield Figure("XLSX export", len(rows) / ours, "rows/s")
    yield Figure("the bare library", len(rows) / bare, "rows/s")
    yield Figure("XLSX export against the bare library", bare / ours, "", at_least=0.7, goal=0.9)
    yield Figure("XLSX export, memory above idle", (peak - idle) / MEGABYTE, "MB", at_most=30.0)


def _bare(rows: list[Any]) -> None:
    with xlsxwriter.Workbook("/dev/null", NOTHING_IS_RUN) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate(rows):
            told = [value.isoformat() if isinstance(value, datetime) else value for value in row]
            sheet.write_row(number, 0, told)


def _seconds(work: Callable[[], Any]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


def _milliseconds(work: Callable[[], Any]) -> float:
    return median(_seconds(work) for _ in range(TIMES)) * 1000


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


PARTS: dict[str, Callable[..., Iterator[Figure]]] = {
    "fill": filled,
    "filters": filters,
    "travel": travel,
    "reports": reports,
    "export": export,
    "workbook": workbook,
}

if __name__ == "__main__":
    main()
