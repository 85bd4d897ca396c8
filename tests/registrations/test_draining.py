"""How a drain goes on: every kind of facts at every time of its window."""

from dataclasses import replace
from itertools import product

import pytest

from registrations.draining import Act, Facts, decide

WINDOW = Facts(begins_at=100.0, ends_at=200.0)
FLAGS = (
    *("has_emptied", "is_emptying", "has_late"),
    *("has_called_home", "is_calling_home", "comes_home"),
)


def emptied(**more: bool) -> Facts:
    return replace(WINDOW, has_emptied=True, **more)


@pytest.mark.parametrize(
    ("facts", "now", "act"),
    [
        (WINDOW, 99.0, Act.WAIT),
        (WINDOW, 100.0, Act.EMPTY),
        (replace(WINDOW, is_expected=True), 150.0, Act.WAIT),
        (emptied(is_emptying=True), 150.0, Act.WAIT),
        (emptied(), 150.0, Act.WAIT),
        (emptied(has_late=True), 150.0, Act.SWEEP),
        (emptied(has_late=True, is_emptying=True), 150.0, Act.WAIT),
        (emptied(has_late=True), 200.0, Act.BRING_HOME),
        (replace(WINDOW, has_late=True), 150.0, Act.EMPTY),
        (emptied(is_emptying=True), 200.0, Act.STOP),
        (emptied(), 200.0, Act.BRING_HOME),
        (emptied(comes_home=False), 200.0, Act.FINISH),
        (emptied(has_called_home=True, is_calling_home=True), 300.0, Act.WAIT),
        (emptied(has_called_home=True), 300.0, Act.FINISH),
        # Nobody looked while it lasted, or it was called off before it began.
        (WINDOW, 300.0, Act.FINISH),
        (replace(WINDOW, ends_at=100.0), 50.0, Act.FINISH),
    ],
)
def test_a_drain_takes_its_steps_in_their_order(facts: Facts, now: float, act: Act) -> None:
    assert decide(facts, now) is act


@pytest.mark.parametrize("now", [50.0, 100.0, 199.0, 200.0, 300.0])
def test_no_facts_order_anything_twice(now: float) -> None:
    for values in product((False, True), repeat=len(FLAGS)):
        facts = replace(WINDOW, **dict(zip(FLAGS, values, strict=True)))
        act = decide(facts, now)
        if act is Act.EMPTY:
            assert not facts.has_emptied and 100.0 <= now < 200.0
        if act is Act.SWEEP:
            assert facts.has_emptied and not facts.is_emptying and facts.has_late and now < 200.0
        if act is Act.BRING_HOME:
            assert not facts.has_called_home and facts.has_emptied and now >= 200.0
        if act is Act.FINISH:
            assert now >= 200.0 and not facts.is_emptying and not facts.is_calling_home
