"""What is said when it is over: in the past tense, how long, and whom it hit at most."""

import pytest

from registrations.incidents.limits import LIMITS
from registrations.incidents.past import Past, happened
from registrations.incidents.words import lasting

SAID = [
    (
        ("server_silent", "A of ward silent", 40),
        "A did not answer for 12 min: up to 40 handsets were still registered there.",
    ),
    (
        ("server_silent", "A of ward silent", 1),
        "A did not answer for 12 min: 1 handset was still registered there.",
    ),
    (("server_silent", "A of ward silent", 0), "A did not answer for 12 min: it held no handset."),
    (
        ("server_sick", "", 40),
        "A refused handsets it had accepted before, for 12 min: up to 40 handsets.",
    ),
    (
        ("site_network", "", 40),
        "No server answered at main and north for 12 min: nobody knew where its 40 handsets were.",
    ),
    (("horizon", "", 40), "While A was silent up to 40 bindings were about to end, for 12 min."),
    (
        ("credentials", "", 40),
        "Up to 40 handsets of ward at main and north were refused by every server for 12 min.",
    ),
    (
        ("handset", "", 40),
        "Up to 40 handsets of ward at main and north were without a server for 12 min.",
    ),
    (
        ("proof_lost", "", 40),
        "For 12 min A would have refused up to 40 handsets that it would have taken before.",
    ),
    (
        ("drill", "Handsets not home after drill 3", 40),
        "Up to 40 handsets were not home after drill 3, for 12 min.",
    ),
    (
        ("flapping", "", 40),
        "Up to 40 handsets at main and north changed server or state again and again, for 12 min.",
    ),
    (("worker_silent", "Worker w1 not heard", 0), "Worker w1 was not heard for 12 min."),
    (("worker_silent", "No worker of main heard", 0), "No worker of main was heard for 12 min."),
    (("beat_silent", "Beat is not heard", 0), "Beat was not heard for 12 min."),
]


@pytest.mark.parametrize(("told", "said"), SAID)
def test_each_kind_says_what_was_wrong_for_how_long(told: tuple[str, str, int], said: str) -> None:
    kind, title, most = told
    past = Past(kind, title, "A", ["ward"], ["main", "north"], most, 720)
    assert happened(past) == said


def test_no_kind_is_forgotten() -> None:
    assert {told[0] for told, _ in SAID} == set(LIMITS)


def test_one_handset_is_named() -> None:
    past = Past("handset", "Nurse 7 (107) without a server", "", ["w"], ["m"], 1, 45, is_one=True)
    assert happened(past) == "Nurse 7 (107) was without a server for 45 s."


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (61, "1 min"),
        (3599, "1 h 0 min"),
        (7500, "2 h 5 min"),
        (273600, "3 d 4 h"),
    ],
)
def test_a_length_of_time_is_said_as_people_say_it(seconds: float, said: str) -> None:
    assert lasting(seconds) == said
