"""Standby proofs by the whole runtime, against a real registrar and against odd ones."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from fleet.models import Line
from registrations import proving, queries, store
from registrations.models import Registration, ServerHealth, StandbyProof
from registrations.sip import message
from tests.registrations.runtime.test_engine import place, runtime, states
from tests.support.claims import at, make_due, make_group, make_lines
from tests.support.kamailio import NO_PASSWORD, SILENCE, Kamailio, running
from tests.support.peer import Peer, accept, peer
from tests.support.processes import free_port
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("database")

PRIMARY, SECONDARY = "127.0.0.69", "127.0.0.70"


@pytest.fixture
def registrars(tmp_path: Path) -> Iterator[tuple[Kamailio, Kamailio]]:
    with (
        running(PRIMARY, free_port(PRIMARY), tmp_path, max_contacts=1) as primary,
        running(SECONDARY, free_port(SECONDARY), tmp_path, max_contacts=1) as secondary,
    ):
        yield primary, secondary


def ward(n: int, *servers: Kamailio | Peer, **policy: object) -> list[Line]:
    """Lines whose next renewal is far off, with a question due for each of their servers."""
    addresses = tuple(place(s) if isinstance(s, Peer) else f"{s.address}:{s.port}" for s in servers)
    policy = {"max_registrations_per_second": 0} | policy
    lines = make_lines(n, make_group(addresses=addresses, **policy), domain="rollcall.test")
    make_due(lines, time.time() + 900)
    ask_now(lines)
    return lines


def ask_now(lines: list[Line]) -> None:
    store.ensure_proofs([line.pk for line in lines], time.time())
    StandbyProof.objects.filter(lease_token=None).update(due_at=at(0))


def proofs(priority: int = 2) -> dict[str, str]:
    """By extension."""
    there = StandbyProof.objects.filter(server__priority=priority)
    return dict(there.values_list("registration__line__extension", "proof"))


def ask(lines: list[Line], done: Callable[[], bool], what: str, seconds: float = 30) -> None:
    site = lines[0].handset.site_id
    with runtime() as worker:

        def look() -> bool:
            worker.kick(site)
            return done()

        wait_until(look, seconds, what, every=0.2, seen=lambda: (proofs(1), proofs()))


def all_asked() -> bool:
    return not StandbyProof.objects.filter(proof="unasked").exists()


def test_each_way_in_which_a_standby_fails_is_told_and_nothing_is_bound(
    registrars: tuple[Kamailio, Kamailio],
) -> None:
    primary, secondary = registrars
    lines = ward(6, primary, secondary)
    make_registered(lines)
    before = primary.locations(), secondary.locations()
    secondary.set_password("4001", "changed on one side only")
    secondary.set_fault(404, "4002")
    secondary.set_fault(SILENCE, "4003")
    secondary.set_fault(NO_PASSWORD, "4004")
    secondary.set_fault(405, "4005")
    ask_now(lines)
    ask(lines, all_asked, "all asked")
    assert proofs(1) == dict.fromkeys(proofs(1), "proved")
    assert proofs() == {
        "4000": "proved",
        "4001": "refused",
        "4002": "unknown_aor",
        "4003": "silent",
        "4004": "open",
        "4005": "unclear",
    }
    after = primary.locations(), secondary.locations()
    assert [uris(held) for held in after] == [uris(held) for held in before]
    assert len(after[0]) == 6 and not after[1]
    refused = StandbyProof.objects.get(proof="refused")
    assert (refused.code, refused.refusals, refused.proved_at) == (403, 1, None)
    assert "403 Wrong password" in refused.reason
    assert refused.due_at > at(time.time() + 3000), "asked again later than the others"


def make_registered(lines: list[Line]) -> None:
    StandbyProof.objects.all().delete()
    Registration.objects.update(due_at=at(0))
    with runtime() as worker:
        worker.kick(lines[0].handset.site_id)
        wait_until(lambda: states() == {"primary": len(lines)}, 30, "registered", seen=states)


def uris(held: dict[str, list[object]]) -> dict[str, list[tuple[str, str, int]]]:
    """Who is bound, by whose request: neither may have changed."""
    return {
        user: [(c.uri, c.call_id, c.cseq) for c in contacts]  # type: ignore[attr-defined]
        for user, contacts in held.items()
    }


def test_a_server_that_refuses_all_is_left_alone_before_it_shuts_us_out() -> None:
    def refuse(request: message.Request) -> bytes:
        return accept(request, "403 Forbidden")

    with peer() as first, peer("127.0.0.65", refuse) as second:
        lines = ward(30, first, second)
        ask(lines, lambda: len([p for p in proofs(1).values() if p == "open"]) == 30, "the first")
        asked = len(second.registers())
    assert asked == proving.BRAKE_AT
    assert sorted(proofs().values()) == ["refused"] * asked + ["unasked"] * (30 - asked)
    StandbyProof.objects.filter(proof="refused").update(refused_at=at(time.time() - 601))
    claimed = store.claim_proofs([lines[0].handset.site_id], 100, 30)
    assert len(claimed) == 30 - asked, "asked again once its guards have forgotten"


def test_whom_a_server_knew_yesterday_is_not_refused_by_the_dozen_either() -> None:
    def refuse(request: message.Request) -> bytes:
        return accept(request, "403 Forbidden")

    with peer(answer=refuse) as registrar:
        lines = ward(60, registrar, max_registrations_per_second=200)
        StandbyProof.objects.update(proof="proved", since=at(0), asked_at=at(0))
        refused = lambda: list(proofs(1).values()).count("refused")  # noqa: E731
        ask(lines, lambda: refused() >= proving.BRAKE_AT, "it refuses")
        asked = len(registrar.registers())
    assert asked == refused() == proving.BRAKE_AT, "those that waited were taken back"


def test_whom_a_server_left_without_an_answer_is_not_asked_two_by_two_when_it_is_back() -> None:
    held: dict[str, bytes] = {}

    def answer(request: message.Request) -> bytes | None:
        held[request.headers["call-id"][0]] = accept(request)
        if len(held) < proving.BRAKE_AT:
            return None
        for each in held.values():
            registrar.send(each)
        return None

    with peer(answer=answer) as registrar:
        lines = ward(9, registrar, max_registrations_per_second=200)
        StandbyProof.objects.update(proof="silent", since=at(0), asked_at=at(0))
        ask(lines, lambda: set(proofs(1).values()) == {"open"}, "all asked")
    assert len(held) == 9


def test_our_own_contact_is_told_from_somebody_elses_though_no_instance_is_listed() -> None:
    phone = "sip:4000@10.1.2.3:5060"

    def list_both(request: message.Request) -> bytes:
        listed = f"Contact: <sip:4000@127.0.0.1:9000>;expires=120, <{phone}>;expires=300\r\n"
        return accept(request).replace(b"Content-Length", listed.encode() + b"Content-Length")

    with peer(answer=list_both) as registrar:
        lines = ward(1, registrar)
        ask(lines, all_asked, "asked")
    found = StandbyProof.objects.get()
    assert [uri for uri, _ in found.contacts] == [phone]
    assert found.own_until is not None and found.asked_at is not None
    assert round((found.own_until - found.asked_at).total_seconds()) == 120
    assert found.others_until is not None
    assert round((found.others_until - found.asked_at).total_seconds()) == 300


def test_a_renewal_that_lists_somebody_else_is_a_finding_at_once(settings: Any) -> None:
    settings.PROVE_EVERY = 0
    phone = "sip:4000@10.1.2.3:5060"

    def list_both(request: message.Request) -> bytes:
        listed = f"Contact: <{phone}>;expires=300\r\n" if "contact" in request.headers else ""
        return accept(request).replace(b"Content-Length", listed.encode() + b"Content-Length")

    with peer(answer=list_both) as registrar:
        lines = ward(1, registrar)
        assert not queries.findings(timezone.now()).exists()
        Registration.objects.update(due_at=at(0))
        with runtime() as worker:
            worker.kick(lines[0].handset.site_id)
            wait_until(lambda: states() == {"primary": 1}, 30, "registered", seen=states)
    [found] = queries.findings(timezone.now())
    assert (found.kind, [uri for uri, _ in found.contacts]) == ("foreign", [phone])
    assert (found.proof, found.asked_at) == ("unasked", None), "nobody was asked"


def test_a_grant_of_far_less_than_was_asked_is_a_finding_at_once_and_a_usual_one_is_none(
    settings: Any,
) -> None:
    settings.PROVE_EVERY = 0
    with peer() as registrar:
        lines = ward(1, registrar, expires=3600)
        other = ward_beside(registrar, expires=60)
        Registration.objects.update(due_at=at(0))
        with runtime() as worker:
            worker.kick(lines[0].handset.site_id)
            wait_until(lambda: states() == {"primary": 2}, 30, "registered", seen=states)
    [found] = queries.findings(timezone.now())
    assert (found.kind, found.granted_s) == ("brief", 60)
    assert found.registration.line_id == lines[0].pk != other.pk
    assert found.proof == "unasked", "nobody was asked"


def ward_beside(registrar: Peer, **policy: object) -> Line:
    """One more line, in a group of its own on the same server."""
    policy = {"max_registrations_per_second": 0} | policy
    group = make_group("beside", (place(registrar),), **policy)
    [line] = make_lines(1, group, domain="rollcall.test", first=100)
    make_due([line])
    store.ensure_proofs([line.pk], time.time())
    return line


def test_a_refused_registration_is_no_proof_that_it_would_be_taken_any_more() -> None:
    def forbid(request: message.Request) -> bytes:
        return accept(request).replace(b"200 OK", b"403 Forbidden")

    with peer(answer=forbid) as registrar:
        lines = ward(1, registrar)
        asked = timezone.now() - timedelta(minutes=20)
        StandbyProof.objects.update(
            proof="proved", asked_at=asked, proved_at=asked, since=asked, due_at=at(900)
        )
        Registration.objects.update(due_at=at(0))
        with runtime() as worker:
            worker.kick(lines[0].handset.site_id)
            wait_until(lambda: states() == {"rejected": 1}, 30, "refused", seen=states)
    proof = StandbyProof.objects.get()
    assert (proof.proof, proof.code, proof.refusals) == ("refused", 403, 1)
    assert proof.asked_at is not None and proof.asked_at > asked and "403" in proof.reason
    assert proof.proved_at == asked, "when it last took the password stays known"


def test_a_silent_server_is_not_asked_for_every_handset() -> None:
    lines = ward(3)
    group = lines[0].handset.group
    with peer() as first, peer("127.0.0.65", None) as second:
        for priority, registrar in enumerate((first, second), 1):
            group.servers.create(
                priority=priority, address=registrar.address[0], port=registrar.address[1]
            )
        ask_now(lines)
        store.ensure_health()
        dead = ServerHealth.objects.filter(server__priority=2)
        dead.update(condition="silent", due_at=at(time.time() + 900))
        ask(lines, lambda: list(proofs(1).values()) == ["open"] * 3, "the first")
        assert not second.registers()
    assert set(proofs().values()) == {"unasked"}


def test_questions_keep_to_a_part_of_the_cap() -> None:
    with peer() as registrar:
        lines = ward(12, registrar, max_registrations_per_second=16)
        ask(lines, lambda: not set(proofs(1).values()) - {"open"}, "all asked")
        times = sorted(when for when, _ in registrar.registers())
    # A question counts as two REGISTERs: a quarter of 16 a second is two questions a second.
    gaps = [later - earlier for earlier, later in zip(times, times[1:], strict=False)]
    assert sum(gaps) / len(gaps) > 0.45


def test_a_line_that_is_switched_off_or_moves_to_another_group_is_followed() -> None:
    lines = ward(2)
    other = make_group("other", ("127.0.0.71", "127.0.0.72", "127.0.0.73"))
    group = lines[0].handset.group
    group.servers.create(priority=1, address="127.0.0.64")
    ask_now(lines)
    assert StandbyProof.objects.count() == 2
    Registration.objects.filter(line=lines[0]).update(group=other)
    Line.objects.filter(pk=lines[1].pk).update(supervision="off")
    ask_now(lines)
    assert (
        list(StandbyProof.objects.values_list("registration__line", "server__group"))
        == [(lines[0].pk, other.pk)] * 3
    )


def test_an_answer_that_comes_after_its_lease_is_dropped() -> None:
    lines = ward(1, *())
    lines[0].handset.group.servers.create(priority=1, address="127.0.0.64")
    ask_now(lines)
    site = lines[0].handset.site_id
    [late] = store.claim_proofs([site], 10, 5)
    StandbyProof.objects.update(due_at=at(0))
    [mine] = store.claim_proofs([site], 10, 5)
    finding = proving.Finding(proving.Proof.PROVED, "It took them.")
    store.save_proofs([store.Proved(late, finding, time.time(), 200)])
    assert all(word == "unasked" for word in proofs(1).values())
    store.save_proofs([store.Proved(mine, finding, time.time(), 200)])
    assert list(proofs(1).values()) == ["proved"]


def test_nothing_is_asked_where_it_is_switched_off(settings: object) -> None:
    lines = ward(1, *())
    lines[0].handset.group.servers.create(priority=1, address="127.0.0.64")
    ask_now(lines)
    settings.PROVE_EVERY = 0  # type: ignore[attr-defined]
    assert store.claim_proofs([lines[0].handset.site_id], 10, 5) == []
