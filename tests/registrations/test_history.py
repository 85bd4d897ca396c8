"""The history as a file: complete, bounded, safe to open, and the same from the command."""

import csv
import io
import json
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.http import QueryDict

from registrations import history
from registrations.models import State, Transition
from tests.support.rows import make_transition

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


def made(query: str = "") -> history.Export:
    return history.prepare(QueryDict(query))


def rows_of(export: history.Export) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(export).decode(), newline="")))


def fill(rows: int, **more: Any) -> None:
    template = make_transition(at=START, **more)
    Transition.objects.bulk_create(
        Transition(
            **{
                field.attname: getattr(template, field.attname)
                for field in Transition._meta.concrete_fields
                if not field.primary_key and field.name != "at"
            },
            # Several rows share each moment, so that chunks end between equal times.
            at=START + timedelta(seconds=n // 7),
        )
        for n in range(1, rows)
    )


def test_the_header_row_comes_first_and_names_every_column() -> None:
    first = b"".join(made()).decode().splitlines()[0]
    assert first == (
        "id,at,mac,extension,name,group,site,from_state,from_server,to_state,to_server,"
        "cause,code,reason,detect_seconds,seconds,asked_by"
    )


def test_a_change_is_written_with_its_time_and_offset() -> None:
    make_transition(asked_by="olga")
    [row] = rows_of(made())
    assert datetime.fromisoformat(row["at"]) == datetime(2026, 11, 23, 2, 13, tzinfo=UTC)
    assert row["at"].endswith("+00:00")
    assert row["extension"] == "4101"
    assert (row["from_state"], row["to_state"]) == ("primary", "secondary")
    assert (row["code"], row["seconds"], row["asked_by"]) == ("503", "7.5", "olga")


def test_what_is_not_known_is_an_empty_cell() -> None:
    make_transition(code=None, seconds=None)
    [row] = rows_of(made())
    assert (row["code"], row["seconds"]) == ("", "")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_cell_that_a_spreadsheet_would_run_gets_an_apostrophe(start: str) -> None:
    make_transition(reason=f"{start}SUM(A1)", extension=f"{start}49", handset_name=f"{start}x")
    [row] = rows_of(made())
    assert row["reason"] == f"'{start}SUM(A1)"
    assert row["extension"] == f"'{start}49"
    assert row["name"] == f"'{start}x"


def test_quotes_commas_and_line_ends_survive() -> None:
    reason = 'He said "no", twice\r\nand left'
    make_transition(reason=reason)
    [row] = rows_of(made())
    assert row["reason"] == reason


def test_every_row_is_there_once_newest_first_across_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(100)
    monkeypatch.setattr(history, "CHUNK", 10)
    ids = [int(row["id"]) for row in rows_of(made())]
    expected = Transition.objects.order_by("-at", "-id").values_list("id", flat=True)
    assert ids == list(expected)


def test_a_row_made_during_the_download_is_not_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    fill(30)
    monkeypatch.setattr(history, "CHUNK", 10)
    export = made()
    parts = iter(export)
    text = next(parts) + next(parts)
    make_transition(at=START)
    text += b"".join(parts)
    assert len(text.splitlines()) - 1 == export.rows == 30


def test_only_what_the_filter_shows_is_exported() -> None:
    make_transition(mac="00907a000001", group_name="ward")
    make_transition(mac="00907a000002", group_name="lab", to_state=State.PRIMARY)
    make_transition(mac="00907a000003", group_name="lab")
    assert [r["mac"] for r in rows_of(made("group=ward"))] == ["00907a000001"]
    assert [r["mac"] for r in rows_of(made("mac=00:90:7A:00:00:02"))] == ["00907a000002"]
    assert [r["mac"] for r in rows_of(made("group=lab&state=secondary"))] == ["00907a000003"]
    assert rows_of(made("group=nowhere")) == []


def test_the_range_includes_its_start_and_not_its_end() -> None:
    for minute in (0, 1, 2):
        make_transition(at=START + timedelta(minutes=minute))
    query = "since=2026-11-23T02:00:00Z&until=2026-11-23T02:02:00Z"
    assert len(rows_of(made(query))) == 2


def test_headers_say_filter_range_and_rows() -> None:
    make_transition(at=START, group_name="Ward Ä")
    make_transition(at=START + timedelta(hours=1), group_name="Ward Ä")
    headers = made("group=Ward+%C3%84&state=secondary&state=primary&q=").headers
    assert headers["X-Rollcall-Filter"] == "group=Ward+%C3%84&state=secondary&state=primary"
    assert headers["X-Rollcall-Rows"] == "2"
    assert headers["X-Rollcall-Since"] == "2026-11-23T02:00:00.000+00:00"
    made_at = datetime.fromisoformat(headers["X-Rollcall-Made-At"])
    assert datetime.fromisoformat(headers["X-Rollcall-Until"]) == made_at
    assert headers["Content-Disposition"].startswith('attachment; filename="rollcall-transitions-')
    asked = made("since=2026-01-01T00:00:00Z&until=2026-12-01T00:00:00Z").headers
    assert asked["X-Rollcall-Since"] == "2026-01-01T00:00:00.000+00:00"
    assert asked["X-Rollcall-Until"] == "2026-12-01T00:00:00.000+00:00"


def test_json_lines_begin_with_what_they_are() -> None:
    make_transition(extension="=4101", asked_by="olga")
    lines = [json.loads(line) for line in b"".join(made("format=jsonl&group=ward")).splitlines()]
    assert lines[0]["meta"]["filter"] == {"group": "ward"}
    assert lines[0]["meta"]["rows"] == 1
    assert {"since", "until", "made_at"} <= set(lines[0]["meta"])
    [row] = lines[1:]
    assert row["from"] == {"state": "primary", "server": "127.0.0.2:5060"}
    assert row["to"] == {"state": "secondary", "server": "127.0.0.3:5060"}
    assert row["extension"] == "=4101"


def test_xlsx_is_refused_with_a_sentence() -> None:
    with pytest.raises(history.ExportRefused, match="comes with a later release"):
        made("format=xlsx")


def test_every_wrong_parameter_is_named_at_once() -> None:
    with pytest.raises(history.ExportRefused) as refused:
        made("format=doc&since=yesterday&state=asleep")
    assert set(refused.value.errors) == {"format", "since", "state"}


def test_memory_does_not_grow_with_the_rows() -> None:
    def peak(rows: int) -> int:
        fill(rows)
        parts = iter(made())
        tracemalloc.start()
        for _ in parts:
            pass
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    few, many = peak(2 * history.CHUNK), peak(10 * history.CHUNK)
    assert many < few * 1.5


def test_the_command_writes_the_same_bytes_and_says_what_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(20)
    make_transition(group_name="lab", mac="00907a0000ff")
    file = tmp_path / "history.csv"
    call_command("export_history", "--format", "csv", "--group", "ward", "-o", str(file))
    assert file.read_bytes() == b"".join(made("group=ward"))
    meta = json.loads((tmp_path / "history.csv.meta.json").read_text())
    assert meta["filter"] == {"group": "ward"}
    assert meta["rows"] == 20
    assert {"since", "until", "made_at"} <= set(meta)
    assert "20 rows" in capsys.readouterr().out
    assert {p.name for p in tmp_path.iterdir()} == {"history.csv", "history.csv.meta.json"}


def test_the_command_refuses_what_the_api_refuses(tmp_path: Path) -> None:
    file = tmp_path / "history"
    with pytest.raises(CommandError, match="later release"):
        call_command("export_history", "--format", "xlsx", "-o", str(file))
    with pytest.raises(CommandError, match="since"):
        call_command("export_history", "--format", "csv", "--since", "soon", "-o", str(file))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Cannot write"):
        call_command("export_history", "--format", "csv", "-o", str(tmp_path / "no" / "file"))
