"""What each stranger may have: a burst, then a rate, whoever else asks."""

from registrations.sip.allowance import Allowance


def taken(allowance: Allowance, source: str, now: float, asks: int = 100) -> int:
    return sum(allowance.take(source, now) for _ in range(asks))


def test_a_source_has_its_burst_and_then_its_rate() -> None:
    allowance = Allowance(per_second=2, burst=10, most_sources=5)
    assert taken(allowance, "a", 100.0) == 10
    assert taken(allowance, "a", 101.5) == 3
    assert taken(allowance, "a", 1000.0) == 10, "never more than a burst"


def test_one_source_takes_nothing_from_another() -> None:
    allowance = Allowance(per_second=1, burst=3, most_sources=5)
    taken(allowance, "a", 0.0)
    assert taken(allowance, "b", 0.0) == 3


def test_a_clock_that_goes_back_gives_nothing() -> None:
    allowance = Allowance(per_second=1, burst=3, most_sources=5)
    taken(allowance, "a", 100.0)
    assert taken(allowance, "a", 50.0) == 0


def test_the_table_is_bounded_and_the_one_quiet_longest_is_forgotten() -> None:
    allowance = Allowance(per_second=0.001, burst=3, most_sources=100)
    taken(allowance, "busy", 0.0)
    for number in range(10_000):
        allowance.take(f"forged {number}", 1.0)
        assert not allowance.take("busy", 1.0)
    assert len(allowance) == 100
