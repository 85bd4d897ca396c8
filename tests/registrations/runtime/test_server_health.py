"""What the whole runtime makes of servers that fall silent, refuse users, or half come back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from registrations import store
from registrations.models import (
    Registration,
    ServerAcceptance,
    ServerHealth,
    ServerPace,
    SiteNetwork,
)
from registrations.runtime.engine import Name
from registrations.runtime.loop import LoopThread
from registrations.sip import message
from registrations.sip.probe import PROBE_SCHEDULE
from tests.registrations.runtime.test_engine import place, states
from tests.support.cap import metronome
from tests.support.claims import at, make_due, make_group, make_lines
from tests.support.peer import Peer, accept, peer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("database")


class Ward:
    """Handsets of one group, a worker, and an impatient clock: probes are always due."""

    def __init__(self, worker: LoopThread, rows: list[Registration]) -> None:
        self._worker = worker
        self.site = rows[0].site_id
        self.size = len(rows)

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
        def look() -> bool:
            ServerHealth.objects.filter(lease_token=None).update(due_at=at(0))
            self._worker.kick(self.site)
            return condition()

        wait_until(look, seconds, what, every=0.2, seen=lambda: (states(), self.conditions()))

    def conditions(self) -> list[str]:
        return list(
            ServerHealth.objects.order_by("server__priority").values_list("condition", flat=True)
        )

    def on(self, priority: int) -> int:
        return Registration.objects.filter(server__priority=priority).count()


@contextmanager
def ward(n: int, *registrars: Peer, **policy: object) -> Iterator[Ward]:
    policy = {"max_registrations_per_second": 0, "expires": 3600} | policy
    rows = make_due(make_lines(n, make_group(addresses=tuple(map(place, registrars)), **policy)))
    store.ensure_health()
    worker = LoopThread(lambda site: None, Name("worker@test", ""))
    worker.start()
    try:
        made = Ward(worker, rows)
        made.until(lambda: made.on(1) == n, "all on the primary")
        yield made
    finally:
        worker.stop()


def make_renewals_due() -> None:
    """As if an hour had passed: every binding's renewal is due now."""
    for row in Registration.objects.all():
        for course in row.snapshot["courses"].values():
            course["binding"]["renew_at"] = 1.0
        row.due_at = at(0)
        row.save(update_fields=["snapshot", "due_at"])


def let_pass(seconds: float) -> None:
    """As if the refusals so far had come so much earlier."""
    for row in ServerAcceptance.objects.filter(refused_at__isnull=False):
        assert row.refused_at is not None
        ServerAcceptance.objects.filter(pk=row.pk).update(
            refused_at=at(row.refused_at.timestamp() - seconds)
        )


def only_options(request: message.Request) -> bytes | None:
    return accept(request) if request.method == "OPTIONS" else None


def refuse_users(request: message.Request) -> bytes:
    return accept(request, "200 OK" if request.method == "OPTIONS" else "403 Forbidden")


@pytest.mark.parametrize("half", [only_options, refuse_users])
def test_a_server_is_not_up_again_before_it_serves_users(
    half: Callable[[message.Request], bytes | None],
) -> None:
    with peer() as one, peer("127.0.0.65") as two, ward(3, one, two) as fleet:
        one.answer = None
        fleet.until(lambda: fleet.conditions() == ["silent", "up"], "the primary is silent")
        one.answer = half
        asked = len(one.registers())
        fleet.until(lambda: len(one.registers()) >= asked + 4, "it was asked by fetches")
        assert all("contact" not in request.headers for _, request in one.registers()[asked:])
        assert fleet.conditions()[0] == "silent"
        one.answer = accept
        fleet.until(lambda: fleet.conditions() == ["up", "up"], "the primary is up")


def test_a_silence_is_dated_by_when_the_unanswered_request_last_left() -> None:
    """Not by when it was given up: whoever was taken in between has later news."""
    with peer() as one, peer("127.0.0.65") as two, ward(1, one, two) as here:
        one.answer = None
        here.until(lambda: here.conditions()[0] == "silent", "silence")
        health = ServerHealth.objects.get(server__priority=1)
        assert health.silent_at is not None
        assert health.noticed_at is not None
        waited = (health.noticed_at - health.silent_at).total_seconds()
        assert waited >= PROBE_SCHEDULE.give_up_after - PROBE_SCHEDULE.sends[-1] - 0.01


def test_a_fast_group_leaves_a_silent_server_at_once_and_not_at_its_renewals() -> None:
    with (
        peer() as one,
        peer("127.0.0.65") as two,
        ward(30, one, two, fast_failover=True, max_registrations_per_second=20) as fleet,
        metronome() as meter,
    ):
        one.answer = None
        # Their renewals are an hour away.
        fleet.until(lambda: fleet.on(2) == 30, "all on the secondary")
        assert meter.most_in_a_second([when for when, _ in two.registers()]) <= 20


def test_a_group_that_emulates_its_handsets_stays_until_each_finds_out_by_itself() -> None:
    with peer() as one, peer("127.0.0.65") as two, ward(5, one, two) as fleet:
        one.answer = None
        fleet.until(lambda: fleet.conditions() == ["silent", "up"], "the primary is silent")
        asked = len(two.registers())
        fleet.until(lambda: len(one.heard) > 10, "some time")
        assert (fleet.on(1), len(two.registers())) == (5, asked)


def test_those_a_sick_server_refuses_go_elsewhere_where_the_group_says_so() -> None:
    with (
        peer() as one,
        peer("127.0.0.65") as two,
        ward(20, one, two, on_mass_rejection="failover") as fleet,
    ):

        def is_sick() -> bool:
            return ServerPace.objects.filter(sick_since__isnull=False).exists()

        one.answer = refuse_users
        make_renewals_due()
        fleet.until(is_sick, "the primary is sick")
        assert fleet.conditions()[0] == "up", "it answers: sick is not silent"
        fleet.until(lambda: fleet.on(2) == 20, "all on the secondary")
        one.answer = accept
        let_pass(61)
        fleet.until(lambda: not is_sick(), "the primary is well")


def test_silence_of_all_servers_at_once_moves_nobody_and_the_first_answer_ends_it() -> None:
    with peer() as one, peer("127.0.0.65") as two, ward(5, one, two) as fleet:
        fleet.until(lambda: fleet.conditions() == ["up", "up"], "both are up")
        one.answer = two.answer = None
        fleet.until(
            lambda: SiteNetwork.objects.filter(suspected_since__isnull=False).exists(), "suspicion"
        )
        make_renewals_due()
        bound = [r for _, r in (*one.registers(), *two.registers()) if "contact" in r.headers]
        asked = len(one.heard)
        fleet.until(lambda: len(one.heard) > asked + 3, "the primary is asked again and again")
        after = [r for _, r in (*one.registers(), *two.registers()) if "contact" in r.headers]
        assert len(after) == len(bound), "nobody renews, nobody moves"
        assert states() == {"primary": 5}
        one.answer = accept
        fleet.until(
            lambda: sum("contact" in r.headers for _, r in one.registers()) >= len(bound) + 5,
            "all renew",
        )
        assert fleet.on(1) == 5
