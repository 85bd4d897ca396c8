"""What is left of an import when what has faults is left out."""

from fleet.formats.faults import Fault, Place
from fleet.formats.leaving_out import without
from fleet.formats.rows import FleetRows, HandsetRow, SiteRow

ROWS = FleetRows(
    sites=(SiteRow(Place("a.yaml", 1), "main"),),
    handsets=tuple(HandsetRow(Place("a.csv", row), f"00907a00000{row}") for row in (2, 3, 5)),
)


def left(*faults: Fault, rows: FleetRows = ROWS) -> list[int | None]:
    return [row.place.row for row in without(rows, faults).handsets]


def test_a_fault_takes_its_record_and_no_other() -> None:
    assert left(Fault("a.csv", 3, "name", "")) == [2, 5]
    # It may stand further down in it.
    assert left(Fault("a.csv", 4, "name", "")) == [2, 5]
    assert left(Fault("b.csv", 3, "name", "")) == [2, 3, 5]


def test_a_fault_before_all_records_or_of_the_file_takes_them_all() -> None:
    assert left(Fault("a.csv", 1, "colour", "")) == []
    assert left(Fault("a.csv", None, "", "")) == []
    assert without(ROWS, [Fault("a.csv", None, "", "")]).sites == ROWS.sites


def test_a_row_that_could_not_be_read_goes_wherever_its_fault_stands() -> None:
    wrong = HandsetRow(Place("c.csv", 9), "00907a000009", wrong=frozenset({"extension"}))
    rows = FleetRows(handsets=(*ROWS.handsets, wrong))
    assert left(rows=rows) == [2, 3, 5]
