"""The history as a file: complete, bounded, safe to open, and the same from the command."""

import csv
import io
import json
import threading
import tracemalloc
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from django.core.management import CommandError, call_command
from django.http import QueryDict

from fleet.models import Line
from registrations import exports, queries
from registrations.exports import source, workbook
from registrations.exports.cells import csv_bytes
from registrations.models import State, Transition
from tests.support.rows import make_group, make_registration, make_transition

pytestmark = pytest.mark.usefixtures("database")

START = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


def made(query: str = "") -> exports.Export:
    return exports.prepare("transitions", QueryDict(query))


def rows_of(export: exports.Export) -> list[dict[str, str]]:
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
    monkeypatch.setattr(source, "CHUNK", 10)
    ids = [int(row["id"]) for row in rows_of(made())]
    expected = Transition.objects.order_by("-at", "-id").values_list("id", flat=True)
    assert ids == list(expected)


def test_a_row_made_during_the_download_is_not_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    fill(30)
    monkeypatch.setattr(source, "CHUNK", 10)
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
    make_group("icu")
    assert rows_of(made("group=icu")) == []


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


def test_every_wrong_parameter_is_named_at_once() -> None:
    with pytest.raises(exports.ExportRefused) as refused:
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

    few, many = peak(2 * source.CHUNK), peak(10 * source.CHUNK)
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
    with pytest.raises(CommandError, match="no format 'doc'"):
        call_command("export_history", "--format", "doc", "-o", str(file))
    with pytest.raises(CommandError, match="since"):
        call_command("export_history", "--format", "csv", "--since", "soon", "-o", str(file))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Cannot write"):
        call_command("export_history", "--format", "csv", "-o", str(tmp_path / "no" / "file"))


NASTY = [
    "",
    "plain",
    "0 begins with a digit",
    "/begins/before/the/digits",
    "!bang",
    "<less",
    "Ä",
    "'quoted",
    'He said "no", twice',
    "two\nlines",
    "two\r\nlines",
    " leads with a blank",
    "\\.",
    "\\N",
    *(f"{start}1+1" for start in "=+-@\t\r"),
]


def test_a_csv_is_the_same_to_the_byte_whether_python_or_postgresql_wrote_it() -> None:
    micros = (0, 1, 500_000, 123_000, 123_456, 120)
    for n, words in enumerate(NASTY):
        make_transition(
            at=START + timedelta(seconds=n, microseconds=micros[n % 6]),
            reason=words,
            extension=words,
            handset_name=words,
            asked_by=words,
            to_server=words,
            seconds=(None, 7.5, 7.0, 0.1, 1e-7, 123456.789)[n % 6],
            detect_seconds=(3540.0, None)[n % 2],
        )
    export = made()
    by_hand = csv_bytes([export.source.columns])
    by_hand += b"".join(csv_bytes(chunk) for chunk in export.source.cells())
    assert b"".join(export) == by_hand
    assert [row["reason"].removeprefix("'") for row in rows_of(export)] == [
        words.removeprefix("'") for words in NASTY[::-1]
    ]


def test_the_progress_of_an_export_ends_with_its_rows() -> None:
    fill(30)
    make_transition(reason="two\nlines")
    for wanted in exports.Format:
        export = made(f"format={wanted}")
        assert sum(len(part) for part in export) > 0
        assert export.done == export.rows == 31


def sheets(export: exports.Export) -> dict[str, list[list[Any]]]:
    """What a spreadsheet would show: the cells of each sheet, None where one is empty."""
    book = zipfile.ZipFile(io.BytesIO(b"".join(export)))
    main = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    listed = ElementTree.fromstring(book.read("xl/workbook.xml"))
    names = [sheet.get("name", "") for sheet in listed.iter(f"{main}sheet")]
    found = {}
    for number, name in enumerate(names, 1):
        sheet = ElementTree.fromstring(book.read(f"xl/worksheets/sheet{number}.xml"))
        assert not list(sheet.iter(f"{main}f")), "a formula"
        found[name] = [
            [("".join(cell.itertext()) or None) for cell in row.iter(f"{main}c")]
            for row in sheet.iter(f"{main}row")
        ]
    return found


def test_an_xlsx_holds_the_rows_and_on_its_last_sheet_what_they_are() -> None:
    make_transition(reason="=1+1", extension="0042", code=503)
    make_transition(group_name="lab")
    found = sheets(made("format=xlsx&group=ward&state=secondary&state=primary"))
    assert list(found) == ["Transitions", "About"]
    header, row = found["Transitions"]
    assert header[:4] == ["id", "at", "mac", "extension"]
    assert "=1+1" in row and "0042" in row
    assert "2026-11-23T02:13:00+00:00" in row
    about = {cells[0]: cells[1] for cells in found["About"]}
    assert about["filter"] == "group=ward&state=secondary&state=primary"
    assert about["rows"] == "1"
    assert {"since", "until", "made_at"} <= set(about)


def test_more_rows_than_a_sheet_holds_go_on_on_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    fill(7)
    monkeypatch.setattr(workbook, "SHEET_ROWS", 3)
    found = sheets(made("format=xlsx"))
    assert [len(rows) for rows in found.values()] == [4, 4, 2, 5]
    assert len({tuple(rows[0]) for name, rows in found.items() if name != "About"}) == 1


def test_an_empty_xlsx_has_its_header() -> None:
    assert len(sheets(made("format=xlsx"))["Transitions"]) == 1


def test_the_present_state_is_exported_as_the_filter_shows_it() -> None:
    group, other = make_group("ward"), make_group("lab")
    shown = make_registration(group, State.SECONDARY, name="=nurse")
    make_registration(group, State.PRIMARY)
    make_registration(other, State.SECONDARY)
    query = QueryDict(f"group={group.pk}&state=secondary")
    [row] = csv.DictReader(
        io.StringIO(b"".join(exports.prepare("registrations", query)).decode(), newline="")
    )
    assert (row["mac"], row["name"]) == (shown.line.handset.mac, "'=nurse")
    assert (row["state"], row["role"]) == ("secondary", "secondary")
    assert row["server"] == "127.0.0.3:5060"
    assert datetime.fromisoformat(row["since"]) == shown.since
    query = QueryDict(f"group={group.pk}&state=secondary&format=jsonl")
    meta, record = map(json.loads, b"".join(exports.prepare("registrations", query)).splitlines())
    assert meta["meta"]["rows"] == 1
    assert (record["id"], record["state"]) == (shown.pk, "secondary")


def test_no_secret_is_in_any_export() -> None:
    make_registration(make_group())
    for kind in exports.KINDS:
        for wanted in ("csv", "jsonl"):
            text = b"".join(exports.prepare(kind, QueryDict(f"format={wanted}")))
            assert b"a very secret password" not in text


def test_who_stops_reading_stops_the_export() -> None:
    fill(5000)
    parts = iter(made())
    next(parts)
    next(parts)
    parts.close()
    assert not [t for t in threading.enumerate() if t.name == "export-copy"]


def test_the_general_command_writes_any_kind(tmp_path: Path) -> None:
    fill(3)
    file = tmp_path / "it.jsonl"
    asked = ("--format", "jsonl", "--filter", "state=secondary")
    call_command("export", "transitions", *asked, "-o", str(file))
    assert len(file.read_bytes().splitlines()) == 4
    meta = json.loads((tmp_path / "it.jsonl.meta.json").read_text())
    assert meta["filter"] == {"state": "secondary"}


@pytest.mark.parametrize(
    ("kind", "query", "name"),
    [
        ("transitions", "stat=1", "stat"),
        ("registrations", "since=2026-11-23T00:00:00Z", "since"),
        ("registrations", "at=2026-11-23T03:00:00Z&tag=icu", "tag"),
        ("reports", "from_server=x&group=ward", "from_server"),
    ],
)
def test_a_misspelt_filter_exports_nothing(
    tmp_path: Path, kind: str, query: str, name: str
) -> None:
    file = tmp_path / "it.csv"
    with pytest.raises(CommandError, match=f"There is no filter {name}; there are .*group"):
        call_command("export", kind, "--format", "csv", "--filter", query, "-o", str(file))
    assert not file.exists()


def test_how_a_page_shows_a_list_does_not_keep_it_from_being_exported() -> None:
    make_transition()
    assert len(rows_of(made("size=100&page=2&before=x&state=secondary"))) == 1
    seen = exports.prepare("registrations", QueryDict("sort=-since&columns=name&size=50&from=ours"))
    assert seen.rows == 0


def test_a_report_is_exported_with_its_period() -> None:
    make_transition(make_registration(make_group()), at=START)
    Line.objects.update(created_at=START)
    query = QueryDict("by=group&since=2026-11-23T00:00:00Z&until=2026-11-24T00:00:00Z&format=jsonl")
    meta, record = map(json.loads, b"".join(exports.prepare("reports", query)).splitlines())
    assert meta["meta"]["since"] == "2026-11-23T00:00:00.000+00:00"
    assert meta["meta"]["until"] == "2026-11-24T00:00:00.000+00:00"
    assert meta["meta"]["filter"]["by"] == "group"
    assert record["group"] == "ward"
    shares = sum(record[f"{name}_seconds"] for name in queries.SHARES)
    assert shares == pytest.approx(86400, abs=0.01)


@pytest.mark.parametrize(
    "query", ["by=moon", "since=soon", "since=2026-11-24T00:00:00Z&until=2026-11-23T00:00:00Z"]
)
def test_a_report_that_cannot_be_is_refused(query: str) -> None:
    with pytest.raises(exports.ExportRefused):
        exports.prepare("reports", QueryDict(query))
