"""Times and texts as parameters."""

import json
import random
from datetime import UTC, datetime

import pytest

from registrations.store.sql import document, stamp, text


def test_a_time_is_written_as_the_database_reads_it_back_to_the_microsecond() -> None:
    draw = random.Random(7)
    for _ in range(20_000):
        whole, micro = draw.randrange(2**32), draw.randrange(1_000_000)
        moment = datetime.fromtimestamp(whole, UTC).replace(microsecond=micro)
        assert stamp(moment.timestamp()) == str(moment)[:-6]


@pytest.mark.parametrize(
    ("at", "told"),
    [
        (0.0, "1970-01-01 00:00:00"),
        (1_800_000_000.0, "2027-01-15 08:00:00"),
        (1_800_000_000.5, "2027-01-15 08:00:00.500000"),
        (1_799_999_999.999_999_9, "2027-01-15 08:00:00"),
        (None, None),
    ],
)
def test_a_time_that_is_nearly_the_next_second_is_it(at: float | None, told: str | None) -> None:
    assert stamp(at) == told


def test_no_nul_and_no_lone_surrogate_reaches_a_database() -> None:
    assert text("b\x00\u00fcro\udc80") == "b\u00fcro?"
    assert json.loads(document({"a": "x\x00y", "b": ["\u00fc", "\udc80"]})) == {
        "a": "xy",
        "b": ["\u00fc", "?"],
    }
