"""The world outside: the network, DNS, and registrars that answer what they should not."""

from collections.abc import Iterator
from itertools import cycle

import pytest

from tests.support import relay
from tests.support.chaos import EXPIRES_S, Fault
from tests.support.outside import Outside
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(900)

MOVED_S = EXPIRES_S + 25.0
"""In which all have left a server that gives no answer: a renewal, a ladder, and patience."""


@pytest.fixture(autouse=True)
def _as_it_was(world: Outside) -> Iterator[None]:
    yield
    world.to_primary.is_cut = False
    world.to_primary.mangle = None
    world.to_primary.passed = 0


def renewed_everybody(world: Outside) -> None:
    """Wait until the primary has heard each handset again."""
    ward = world.hospital
    before = ward.primary.requests()
    wait_until(
        lambda: all(ward.primary.requests()[e] > before[e] for e in ward.extensions),
        EXPIRES_S + 25,
        "all have renewed",
        every=0.5,
    )


def changes(world: Outside) -> int:
    [[n]] = world.hospital.sql("SELECT count(*) FROM registrations_transition")
    return int(n)


def test_the_network_between_the_worker_and_one_registrar_is_cut(world: Outside) -> None:
    ward = world.hospital
    with Fault(ward, "network cut between the worker and the primary") as fault:
        world.to_primary.is_cut = True
        ward.wait_for(ward.secondary, MOVED_S)
        ward.wait_for_state("secondary", 30)
        world.to_primary.is_cut = False
        fault.mended()


def test_a_registrar_answers_twice(world: Outside) -> None:
    with Fault(world.hospital, "the primary answers everything three times"):
        before = changes(world)
        world.to_primary.mangle = relay.twice
        renewed_everybody(world)
        assert changes(world) == before, "an answer too many moved somebody"


def test_a_registrar_answers_garbage_too_late_and_other_handsets_requests(world: Outside) -> None:
    """No such answer may bind, refuse or break anything; a server that gives no other is left."""
    ward = world.hospital
    kinds = cycle([relay.garbage, relay.Crossed(), relay.late_by(4.0)])
    with Fault(ward, "the primary answers garbage, other handsets' requests, or too late") as fault:
        world.to_primary.mangle = lambda reply: next(kinds)(reply)
        ward.wait_for(ward.secondary, MOVED_S)
        ward.wait_for_state("secondary", 30)
        assert ward.states()["rejected"] == 0
        world.to_primary.mangle = None
        fault.mended()


def test_a_registrar_is_restarted_with_an_empty_location_table(world: Outside) -> None:
    ward = world.hospital
    before = changes(world)
    # Nobody can know it before the next renewal: not the screen either.
    with Fault(ward, "the primary restarted with an empty table", blind_s=EXPIRES_S + 15):
        ward.primary.restart_empty()
        assert len(ward.primary.locations()) < len(ward.extensions), "it forgot nothing"
    rejected = ward.sql("SELECT count(*) FROM registrations_transition WHERE cause = 'refused'")
    assert rejected == [(0,)]
    assert changes(world) - before <= len(ward.extensions), "a restart of half a second moved many"


def test_dns_is_dead(world: Outside) -> None:
    """Who is bound needs no DNS; the group's own records lead on where its server dies too."""
    ward = world.hospital
    with Fault(ward, "DNS dead, and then the primary too") as fault:
        before = changes(world)
        world.dns.stop()
        renewed_everybody(world)
        assert changes(world) == before, "the death of DNS alone moved somebody"
        world.to_primary.is_cut = True
        ward.wait_for(ward.secondary, MOVED_S)
        world.to_primary.is_cut = False
        world.dns_again()
        fault.mended()
