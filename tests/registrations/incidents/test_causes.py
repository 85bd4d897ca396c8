"""From facts to troubles, and from looks at them to incidents: one for each common cause."""

from collections.abc import Collection, Iterable, Mapping

import pytest

from registrations.incidents.causes import Trouble, troubles
from registrations.incidents.course import (
    Better,
    Decision,
    Folded,
    Known,
    Opened,
    Resolved,
    Went,
    decide,
)
from registrations.incidents.facts import (
    Facts,
    FlapFact,
    ProcessFact,
    ProofFact,
    ServerFact,
    SiteFact,
    Unserved,
    merged,
)
from registrations.incidents.limits import FEW, LIMITS, RELAPSES, Limit

T = 1_000_000.0
LONG_AGO = T - 3600

SILENT = ServerFact(1, "1", "A", ("ward",), {"main": LONG_AGO}, held=10_000, calls_it_home=10_000)
SUSPECTED = SiteFact(7, "main", LONG_AGO, ("ward",), 40)
WORKER = ProcessFact("worker", "", ("worker@b",), LONG_AGO, others=1)
PROOFS = ProofFact(2, "2", "B", ("ward",), ("main",), 50, 100, LONG_AGO)
FLAPS = FlapFact(7, "main", ("ward",), 100, 400, 12, 1800, LONG_AGO)


def unserved(count: int, *, named: Iterable[int] = (), refused: bool = True) -> Unserved:
    each = tuple((pk, f"Nurse {pk}", LONG_AGO, "Every server refused it.") for pk in named)
    return Unserved(3, "ward", 7, "main", refused, count, 100, LONG_AGO, each)


def opened(facts: Facts, known: Iterable[Known] = (), now: float = T) -> list[str]:
    decisions = decide(list(known), found(facts, known), now)
    return [d.trouble.cause for d in decisions if isinstance(d, Opened)]


def found(facts: Facts, known: Iterable[Known] = ()) -> list[Trouble]:
    return troubles(facts, [each.cause for each in known])


def known(cause: str, **more: object) -> Known:
    kind = cause.partition(":")[0]
    given = {"id": 1, "severity": "critical", "handsets": 5, "most_handsets": 5}
    return Known(cause=cause, kind=kind, **(given | more))  # type: ignore[arg-type]


def kinds(decisions: Collection[Decision]) -> list[str]:
    return [type(decision).__name__ for decision in decisions]


@pytest.mark.parametrize(
    ("facts", "causes"),
    [
        (Facts(), []),
        (Facts(servers=(SILENT,)), ["server_silent:1"]),
        (Facts(sites=(SUSPECTED,)), ["site_network:7"]),
        (Facts(processes=(WORKER,)), ["worker_silent:"]),
        (Facts(proofs=(PROOFS,)), ["proof_lost:2"]),
        (Facts(flaps=(FLAPS,)), ["flapping:7"]),
        (Facts(unserved=(unserved(60),)), ["credentials:3:7"]),
        (Facts(unserved=(unserved(60, refused=False),)), ["handset:3:7"]),
        (Facts(unserved=(unserved(2, named=(8, 9)),)), ["handset:8", "handset:9"]),
    ],
)
def test_each_common_cause_is_one_incident(facts: Facts, causes: list[str]) -> None:
    assert opened(facts) == causes


def test_handsets_of_a_group_whose_server_is_silent_are_part_of_its_incident() -> None:
    facts = Facts(servers=(SILENT,), unserved=(unserved(9_000), unserved(3, named=(4, 5, 6))))
    assert opened(facts) == ["server_silent:1"]


def test_a_single_handset_that_was_an_incident_is_folded_under_its_servers() -> None:
    single = known("handset:4")
    facts = Facts(servers=(SILENT,), unserved=(unserved(9_000, named=(4,)),))
    decisions = decide([single], found(facts, [single]), T)
    assert [d.into for d in decisions if isinstance(d, Folded)] == ["server_silent:1"]
    again = known("handset:4", id=2, folded_into=1)
    server = known("server_silent:1", id=1)
    assert "Folded" not in kinds(decide([server, again], found(facts, [server, again]), T))


def test_all_servers_of_a_site_silent_at_once_are_the_sites_incident_alone() -> None:
    second = ServerFact(2, "2", "B", ("ward",), {"main": LONG_AGO}, held=3)
    assert opened(Facts(servers=(SILENT, second), sites=(SUSPECTED,))) == ["site_network:7"]


def test_a_server_silent_from_a_healthy_site_too_is_an_incident_of_its_own() -> None:
    silent_at = {"main": LONG_AGO, "north": LONG_AGO}
    asked = frozenset({"main", "north", "west"})
    both = ServerFact(1, "1", "A", ("ward",), silent_at, asked)
    facts = Facts(servers=(both,), sites=(SUSPECTED,))
    assert opened(facts) == ["site_network:7", "server_silent:1"]
    silent = next(t for t in found(facts) if t.kind == "server_silent")
    assert silent.sites == ("north",)
    assert silent.said.happened == (
        "A does not answer as seen from north: no handset is registered there."
    )


def test_bindings_that_run_out_are_told_apart_and_follow_from_their_server() -> None:
    server = ServerFact(1, "1", "A", ("ward",), {"main": LONG_AGO}, held=90, lapsing=12)
    decisions = decide([], found(Facts(servers=(server,))), T)
    assert [d.trouble.cause for d in decisions if isinstance(d, Opened)] == [
        "server_silent:1",
        "horizon:1",
    ]
    assert decisions[-1].trouble.under == "server_silent:1"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("count", "of", "lasted", "is_one"),
    [(6, 100, 61, True), (6, 100, 59, False), (6, 1000, 61, False), (4, 4, 61, False)],
)
def test_a_batch_needs_a_count_and_a_percentage_and_a_while(
    count: int, of: int, lasted: float, is_one: bool
) -> None:
    assert LIMITS["credentials"].is_passed(count, of, lasted) is is_one


def test_a_batch_stays_a_batch_until_the_last_of_it_is_well() -> None:
    batch = known("credentials:3:7")
    few = Facts(unserved=(unserved(2, named=(8, 9)),))
    assert opened(few, [batch]) == []
    assert opened(Facts(unserved=(unserved(FEW + 1),))) == ["credentials:3:7"]


def test_it_is_over_only_when_nothing_was_wrong_for_a_while() -> None:
    first = known("server_silent:1")
    assert kinds(decide([first], [], T)) == ["Better"]
    better = known("server_silent:1", good_since=T - 59)
    assert decide([better], [], T) == []
    assert kinds(decide([better], [], T + 1)) == ["Resolved"]


def test_what_comes_back_meanwhile_is_the_same_incident_and_flaps_at_last() -> None:
    better = known("server_silent:1", good_since=T - 30)
    (went,) = decide([better], found(Facts(servers=(SILENT,))), T)
    assert isinstance(went, Went) and went.relapsed
    assert went.entries[0][0] == "relapsed"
    flaps = known("server_silent:1", good_since=T - 61, relapses=RELAPSES)
    assert decide([flaps], [], T) == []
    assert kinds(decide([flaps], [], T - 61 + LIMITS["flapping"].good_s)) == ["Resolved"]


def test_of_what_nobody_could_look_at_nothing_is_over() -> None:
    worker = known("worker_silent:", good_since=LONG_AGO)
    assert decide([worker], [], T, frozenset({"worker_silent"})) == []


def test_growth_and_worse_are_lines_of_the_timeline_not_incidents() -> None:
    small = known("server_silent:1", severity="warning", most_handsets=2)
    (went,) = decide([small], found(Facts(servers=(SILENT,))), T)
    assert isinstance(went, Went) and [what for what, _ in went.entries] == ["worse"]
    bigger = known("server_silent:1", most_handsets=100)
    (went,) = decide([bigger], found(Facts(servers=(SILENT,))), T)
    assert isinstance(went, Went) and [what for what, _ in went.entries] == ["grew"]
    same = known("server_silent:1", most_handsets=10_000)
    (went,) = decide([same], found(Facts(servers=(SILENT,))), T)
    assert isinstance(went, Went) and went.entries == ()


def test_each_says_who_what_and_what_to_do_in_a_sentence() -> None:
    facts = Facts(
        servers=(SILENT, ServerFact(2, "2", "B", ("icu",), sick_since=T, refused=40)),
        sites=(SiteFact(9, "south", T, (), 1),),
        unserved=(unserved(60), unserved(1, named=(8,), refused=False)),
        processes=(WORKER, ProcessFact("beat", "", ("beat@a",), T)),
        proofs=(PROOFS,),
        flaps=(FLAPS,),
    )
    for trouble in found(facts):
        said = trouble.said
        assert said.title and not said.title.endswith(".")
        assert said.happened.endswith("."), said.happened
        assert said.remedy.endswith("."), said.remedy
    silent = found(facts)[1].said
    assert silent.title == "A of ward silent"
    assert silent.happened == (
        "A does not answer: 10,000 handsets are still registered there and may miss calls."
    )


def test_resolved_and_better_name_what_they_are_about() -> None:
    one = known("beat_silent:")
    (better,) = decide([one], [], T)
    assert isinstance(better, Better) and better.known is one
    old = known("beat_silent:", good_since=LONG_AGO)
    (over,) = decide([old], [], T)
    assert isinstance(over, Resolved) and over.known is old


def test_a_machine_that_serves_several_groups_is_one_server() -> None:
    for_icu = ServerFact(9, "1", "A", ("icu",), {"north": T}, held=5, others_answer=False)
    (both,) = merged([SILENT, for_icu])
    assert (both.groups, both.held) == (("icu", "ward"), 10_005)
    assert both.silent == {"main": LONG_AGO, "north": T} and not both.others_answer
    other_place = ServerFact(9, "7", "A", ("icu",), {"north": T})
    assert len(merged([SILENT, other_place])) == 2


def test_what_follows_from_less_than_an_incident_is_told_itself() -> None:
    """A limit may say that few handsets on a silent server are none: they are without one then."""
    server = ServerFact(1, "1", "A", ("ward",), {"main": LONG_AGO}, held=0, others_answer=False)
    facts = Facts(servers=(server,), unserved=(unserved(20, refused=False),))
    limits = {**LIMITS, "server_silent": Limit(at_least=500)}

    def first(limits: Mapping[str, Limit]) -> list[str]:
        decisions = decide([], found(facts), T, limits=limits)
        return [d.trouble.cause for d in decisions if isinstance(d, Opened)]

    assert first(LIMITS) == ["server_silent:1"]
    assert first(limits) == ["handset:3:7"]
    (_, folded) = decide([known("handset:3:7")], found(facts), T)[1:]
    assert isinstance(folded, Folded) and folded.into == "server_silent:1"
