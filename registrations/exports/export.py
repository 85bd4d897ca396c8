"""One export: what was asked, in one of the formats, as bytes that come one after the other."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import QueryDict

from registrations.exports.cells import csv_bytes, iso, json_line
from registrations.exports.copying import copied
from registrations.exports.incidents import incidents
from registrations.exports.present import registrations
from registrations.exports.readiness import readiness
from registrations.exports.reports import reports
from registrations.exports.source import ExportRefused, Source
from registrations.exports.transitions import transitions
from registrations.exports.workbook import workbook_bytes

KINDS: dict[str, Callable[[QueryDict], Source]] = {
    "transitions": transitions,
    "registrations": registrations,
    "incidents": incidents,
    "reports": reports,
    "readiness": readiness,
}
"""What can be exported, by the name the API has for it."""


class Format(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"
    XLSX = "xlsx"

    @property
    def content_type(self) -> str:
        return _CONTENT_TYPES[self]


_CONTENT_TYPES = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.JSONL: "application/jsonl",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(slots=True)
class Export:
    """One export, counted and bounded: rows that come to be later are not in it."""

    format: Format
    source: Source
    done: int = field(default=0, compare=False)
    """How many rows have been written so far."""

    @property
    def made_at(self) -> datetime:
        return self.source.made_at

    @property
    def rows(self) -> int:
        return self.source.rows

    @property
    def filename(self) -> str:
        return f"rollcall-{self.source.kind}-{self.made_at:%Y%m%dT%H%M%SZ}.{self.format}"

    @property
    def meta(self) -> dict[str, Any]:
        """Return what was asked and what this is, for the first JSON line and `.meta.json`."""
        return {
            "filter": dict(self.source.asked),
            "since": iso(self.source.since),
            "until": iso(self.source.until),
            "rows": self.rows,
            "made_at": iso(self.made_at),
        }

    @property
    def headers(self) -> dict[str, str]:
        """Return `meta` as response headers; the filter as a query string, so that it is ASCII."""
        return {
            "X-Rollcall-Filter": urlencode(self.source.asked, doseq=True),
            "X-Rollcall-Rows": str(self.rows),
            "X-Rollcall-Since": iso(self.source.since),
            "X-Rollcall-Until": iso(self.source.until),
            "X-Rollcall-Made-At": iso(self.made_at),
            "Content-Disposition": f'attachment; filename="{self.filename}"',
        }

    def __iter__(self) -> Iterator[bytes]:
        for part in self.steps():
            if part:
                yield part

    def steps(self) -> Iterator[bytes]:
        """Yield the bytes; b"" where there is progress and nothing to hand out yet."""
        if self.format is Format.XLSX:
            chunks = self._counted(self.source.cells())
            title = self.source.kind.capitalize()
            yield from workbook_bytes(title, self.source.columns, chunks, self.meta)
        elif self.format is Format.JSONL:
            yield json_line({"meta": self.meta})
            for records in self._counted(self.source.records()):
                yield b"".join(json_line(record) for record in records)
        else:
            yield csv_bytes([self.source.columns])
            yield from self._csv()

    def _csv(self) -> Iterator[bytes]:
        if self.source.formatted is None or connection.vendor != "postgresql":
            for chunk in self._counted(self.source.cells()):
                yield csv_bytes(chunk)
            return
        for data in copied(self.source.formatted):
            # A line end within a cell counts too: this is for the progress, not for the books.
            self.done = min(self.rows, self.done + data.count(b"\n"))
            yield data
        self.done = self.rows

    def _counted(self, chunks: Iterator[Any]) -> Iterator[Any]:
        for chunk in chunks:
            self.done += len(chunk)
            yield chunk


async def in_threads(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the parts of a generator, none of them empty, without holding up the event loop."""
    try:
        while part := await sync_to_async(next)(parts, b""):
            yield part
    finally:
        await sync_to_async(parts.close)()  # type: ignore[attr-defined]


def prepare(kind: str, params: QueryDict) -> Export:
    """Return the export of that kind that `params` ask for: `format` (csv) and those of its filter.

    Raises ExportRefused.
    """
    wanted, errors = params.get("format") or Format.CSV, {}
    if wanted not in list(Format):
        errors["format"] = [f"There is no format {wanted!r}; there are csv, jsonl and xlsx."]
    if kind not in KINDS:
        errors["kind"] = [f"There is no {kind!r}; there are {', '.join(KINDS)}."]
    try:
        source = KINDS[kind](params) if kind in KINDS else None
    except ExportRefused as refused:
        errors |= refused.errors
    if errors or source is None:
        raise ExportRefused(errors)
    return Export(Format(wanted), source)
