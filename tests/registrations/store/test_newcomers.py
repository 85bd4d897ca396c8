"""Many registrations at once are those that one by one would be."""

from datetime import UTC, datetime

import pytest

from fleet.models import Line
from registrations import store
from registrations.models import Registration, State
from tests.support.rows import make_group, make_line

SINCE = datetime(2026, 11, 27, 20, 0, 0, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "first",
    [
        {"state": State.REGISTERING, "since": SINCE, "reason": "Waits for its turn, it's said."},
        {"state": State.DISABLED, "since": SINCE, "next_attempt_at": SINCE, "snapshot": {"a": [1]}},
    ],
)
def test_many_made_at_once_are_as_one_made_alone(database: str, first: dict[str, object]) -> None:
    group = make_group()
    lines = [make_line(group, supervision="off") for _ in range(3)]
    Registration.objects.all().delete()
    alone = Registration.objects.create(
        line=lines[0], group=group, site=lines[0].handset.site, **first
    )
    store.create([line.pk for line in lines[1:]], first)

    def facts(row: Registration) -> dict[str, object]:
        row.refresh_from_db()
        return {
            field.attname: getattr(row, field.attname)
            for field in row._meta.concrete_fields
            if field.attname not in ("id", "line_id")
        }

    made = list(Registration.objects.exclude(pk=alone.pk))
    assert {row.line_id for row in made} == {line.pk for line in lines[1:]}
    assert [facts(row) for row in made] == [facts(alone)] * 2


def test_nobody_is_made_of_nothing(database: str) -> None:
    store.create([], {"state": State.REGISTERING, "since": SINCE})
    assert not Line.objects.exists()
