"""How values are written: as cells no spreadsheet runs, as JSON, as times with their offset.

A CSV is the same to the byte whether it was written here or by PostgreSQL (see `copying`).
"""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fleet.formats.spreadsheet import FORMULA_STARTS


def iso(at: datetime) -> str:
    """Return `at` as ISO 8601 with milliseconds and offset, in UTC."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def iso_cell(at: datetime) -> str:
    """Return `at` as ISO 8601 with offset, in UTC, and as many decimals as it has."""
    text = at.astimezone(UTC).isoformat()
    if not at.microsecond:
        return text
    return f"{text[:-6].rstrip('0')}{text[-6:]}"


def safe_cell(text: str) -> str:
    """Return `text` so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def csv_bytes(rows: Iterable[Sequence[Any]]) -> bytes:
    """Return rows of values as lines of CSV (RFC 4180, but for the line ends: LF)."""
    lines = _Lines()
    csv.writer(lines).writerows([_cell(v) for v in row] for row in rows)
    return "".join(lines.written).encode()


class _Lines:
    """Ends lines in LF: a writer that was told to would not quote a CR."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, line: str) -> None:
        self.written.append(f"{line[:-2]}\n")


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return safe_cell(value)
    if isinstance(value, datetime):
        return iso_cell(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value


def json_line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
