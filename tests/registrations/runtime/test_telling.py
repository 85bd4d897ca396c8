"""What is counted of REGISTERs: summed on the loop's thread, handed over in one go."""

import pytest

from registrations.runtime.telling import CHALLENGE, NETWORK, OTHER, TIMEOUT, Tally, class_of
from registrations.vitals import counters


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"SIP/2.0 200 OK\r\n", "2xx"),
        (b"SIP/2.0 401 Unauthorized\r\n", CHALLENGE),
        (b"SIP/2.0 407 Proxy Authentication Required\r\n", CHALLENGE),
        (b"SIP/2.0 403 Forbidden\r\n", "4xx"),
        (b"SIP/2.0 699 What\r\n", "6xx"),
        (b"SIP/2.0 099 No\r\n", OTHER),
        (b"SIP/2.0 2o0 No\r\n", OTHER),
        (b"", OTHER),
    ],
)
def test_an_answer_is_counted_by_the_class_of_its_code(answer: bytes, said: str) -> None:
    assert class_of(answer) == said


def test_all_is_handed_over_once_and_only_answers_say_how_long_they_took() -> None:
    counters.take()
    tally = Tally()
    for _ in range(3):
        tally.left(7)
    tally.ended(7, "2xx", 0.02)
    tally.ended(7, "2xx", 0.3)
    tally.ended(7, TIMEOUT, 32.0)
    tally.ended(8, NETWORK, 0.0)
    assert counters.take() == {}, "nothing before it is told"
    tally.tell()
    tally.tell()
    assert counters.take() == {
        ("registers", "7"): 3,
        ("register_answers", "7", "2xx"): 2,
        ("register_answers", "7", TIMEOUT): 1,
        ("register_answers", "8", NETWORK): 1,
        ("register_round_trip_seconds", "7", "2"): 1,
        ("register_round_trip_seconds", "7", "6"): 1,
        ("register_round_trip_seconds", "7", "sum"): pytest.approx(0.32),
    }
