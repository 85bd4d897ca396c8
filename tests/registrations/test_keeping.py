"""The targets of a binding between two claims, whatever DNS says meanwhile."""

from typing import Any

from registrations.keeping import Entry, kept_targets, targets_of
from registrations.values import Target


def at(host: str, rank: int = 0, server: int = 1, ttl: int = 60) -> Target:
    return Target(server, host, 5060, ttl=ttl, rank=rank)


def entry(*targets: Target, server: int = 1, unresolved: str = "") -> Entry:
    return Entry(server, server, True, targets, "pbx.test", unresolved)


def kept(*targets: Target, current: int | None = None) -> dict[str, Any]:
    return {"targets": kept_targets(targets), "binding": {"current": current}}


def hosts(targets: tuple[Target, ...]) -> list[str]:
    return [target.address for target in targets]


def test_addresses_that_a_dns_server_rotates_stay_where_they_were() -> None:
    found = targets_of([entry(at("b"), at("a"))], kept(at("a"), at("b")))
    assert hosts(found) == ["a", "b"]


def test_a_change_of_srv_priority_takes_effect() -> None:
    found = targets_of([entry(at("b", 0), at("a", 1))], kept(at("a", 0), at("b", 1)))
    assert hosts(found) == ["b", "a"]


def test_a_new_ttl_is_taken_over() -> None:
    [found] = targets_of([entry(at("a", ttl=90))], kept(at("a", ttl=60)))
    assert found.ttl == 90


def test_a_name_stands_in_its_entrys_place() -> None:
    entries = [
        entry(at("z", server=1), server=1),
        entry(at("b", 0, 2), at("a", 1, 2), server=2),
        entry(at("c", server=3), server=3),
    ]
    assert hosts(targets_of(entries, {})) == ["z", "b", "a", "c"]


def test_a_name_that_no_longer_resolves_keeps_the_target_that_holds_the_binding() -> None:
    before = kept(at("a"), at("b"), at("c", server=2), current=1)
    gone = entry(unresolved="No such name.")
    found = targets_of([gone, entry(at("c", server=2), server=2)], before)
    assert hosts(found) == ["b", "c"]


def test_a_target_that_comes_from_the_row_is_trusted_by_what_the_group_says_now() -> None:
    gone = Entry(1, 1, True, (), "pbx.test", "No such name.", tls_ca="authority")
    [found] = targets_of([gone], kept(at("a"), current=0))
    assert found.tls_ca == "authority"


def test_a_name_that_never_resolved_has_no_target() -> None:
    assert targets_of([entry(unresolved="No such name.")], {}) == ()
