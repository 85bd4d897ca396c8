"""Asking a real DNS server: what is kept, for how long, and what a dead one costs."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator

import pytest

from registrations.runtime import resolver as room
from registrations.runtime.addressing import Addressing
from registrations.runtime.clock import steady
from registrations.runtime.resolver import Resolver, has_way
from registrations.sip.targets import (
    Address,
    Answer,
    Kind,
    Pointer,
    Question,
    Record,
    Service,
)
from registrations.store import GroupFacts
from registrations.values import GroupMode, Policy, Target
from tests.support.dns import Dns, dns
from tests.support.processes import free_port

PBX = Question("pbx.test", Kind.A)
RECORDS = (
    "naptr-record=pbx.test,10,5,S,SIP+D2U,,_sip._udp.pbx.test",
    "srv-host=_sip._udp.pbx.test,b.test,5062,2,0",
    "srv-host=_sip._udp.pbx.test,a.test,5061,1,0",
    "host-record=a.test,192.0.2.1",
    "host-record=b.test,192.0.2.2,::1",
    "host-record=pbx.test,192.0.2.9",
    "cname=alias.test,pbx.test",
)


def group(*names: str, records: dict[Question, tuple[Record, ...]] | None = None) -> GroupFacts:
    wanted = {
        number: Target(number, name, 0, "dns_naptr") for number, name in enumerate(names, start=1)
    }
    return GroupFacts(1, GroupMode.FAILOVER, Policy(), (), wanted, records or {})


async def ask(resolver: Resolver, question: Question) -> Answer:
    return (await resolver.ask([question]))[question]


async def places(addressing: Addressing, facts: GroupFacts, seed: int = 1) -> list[str]:
    located = await addressing.located(facts, seed)
    return [str(target) for target in located[1].targets] or [located[1].unresolved]


async def until(condition: Callable[[], bool], deadline: float) -> None:
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


@pytest.fixture
def server() -> Iterator[Dns]:
    with dns(*RECORDS) as running:
        yield running


@pytest.mark.asyncio
async def test_every_kind_of_record_is_read(server: Dns) -> None:
    resolver = Resolver([server.place])
    found = await resolver.ask(
        [
            Question("pbx.test", Kind.NAPTR),
            Question("_sip._udp.pbx.test", Kind.SRV),
            Question("b.test", Kind.A),
            Question("b.test", Kind.AAAA),
            Question("alias.test", Kind.A),
        ]
    )
    naptr, srv, a, aaaa, alias = (answer.records for answer in found.values())
    assert naptr == (Pointer(10, 5, "S", "SIP+D2U", "_sip._udp.pbx.test", 60),)
    assert set(srv) == {Service(1, 0, 5061, "a.test", 60), Service(2, 0, 5062, "b.test", 60)}
    assert a == (Address("192.0.2.2", 60),)
    assert aaaa == (Address("::1", 60),)
    assert alias == (Address("192.0.2.9", 60),)
    await resolver.close()


@pytest.mark.asyncio
async def test_a_name_becomes_targets_by_naptr_srv_and_address(server: Dns) -> None:
    resolver = Resolver([server.place])
    found = await places(Addressing(resolver), group("pbx.test"))
    assert found == ["192.0.2.1:5061", "192.0.2.2:5062", "[::1]:5062"]
    await resolver.close()


@pytest.mark.asyncio
async def test_many_who_want_the_same_at_once_ask_once(server: Dns) -> None:
    resolver = Resolver([server.place])
    addressing = Addressing(resolver)
    facts = group("pbx.test")
    await asyncio.gather(*(addressing.located(facts, seed) for seed in range(500)))
    kinds = [("NAPTR", "pbx.test"), ("SRV", "_sip._udp.pbx.test"), ("A", "a.test")]
    assert [server.asked(*each) for each in kinds] == [1, 1, 1]
    await addressing.located(facts, 7)
    assert server.asked("A", "a.test") == 1, "what is known is not asked again"
    await resolver.close()


@pytest.mark.asyncio
async def test_one_that_gives_up_waiting_leaves_the_question_to_the_others(server: Dns) -> None:
    resolver = Resolver([server.place])
    server.freeze()
    first = asyncio.create_task(ask(resolver, PBX))
    second = asyncio.create_task(ask(resolver, PBX))
    await asyncio.sleep(0.1)
    first.cancel()
    server.thaw()
    assert (await second).records == (Address("192.0.2.9", 60),)
    await resolver.close()


@pytest.mark.asyncio
async def test_an_answer_is_forgotten_when_its_ttl_is_over() -> None:
    with dns("host-record=pbx.test,192.0.2.9", ttl=1) as server:
        resolver = Resolver([server.place])
        assert (await ask(resolver, PBX)).records == (Address("192.0.2.9", 1),)
        assert resolver.known(PBX) is not None
        server.start(["host-record=pbx.test,192.0.2.10"], ttl=1)
        await until(lambda: resolver.known(PBX) is None, 30)
        assert (await ask(resolver, PBX)).records == (Address("192.0.2.10", 1),)
        await resolver.close()


@pytest.mark.asyncio
async def test_a_name_that_does_not_exist_is_said_so_and_not_asked_for_again(server: Dns) -> None:
    resolver = Resolver([server.place])
    gone = Question("gone.test", Kind.A)
    answer = await ask(resolver, gone)
    assert answer == Answer(why="DNS says that there is no name gone.test.")
    await ask(resolver, gone)
    assert server.asked("A", "gone.test") == 1
    [said] = await places(Addressing(resolver), group("gone.test"))
    assert said == "DNS says that there is no name gone.test."
    await resolver.close()


@pytest.mark.asyncio
async def test_a_name_without_such_a_record_is_told_from_one_that_does_not_exist(
    server: Dns,
) -> None:
    resolver = Resolver([server.place])
    answer = await ask(resolver, Question("a.test", Kind.AAAA))
    assert answer == Answer(why="DNS has no address for a.test.")
    await resolver.close()


@pytest.mark.asyncio
async def test_a_dead_dns_costs_three_seconds_once_and_is_asked_again_later(
    server: Dns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "UNANSWERED_S", 1.0)
    resolver = Resolver([server.place])
    server.freeze()
    begin = steady()
    answer = await ask(resolver, PBX)
    assert 2.5 < steady() - begin < 10
    assert answer.records == ()
    assert answer.why == "DNS did not answer within 3 s when asked for pbx.test."
    begin = steady()
    assert await ask(resolver, PBX) == answer
    assert steady() - begin < 2
    server.thaw()
    await until(lambda: resolver.known(PBX) is None, 30)
    assert (await ask(resolver, PBX)).records
    await resolver.close()


@pytest.mark.asyncio
async def test_a_dns_server_that_is_not_there_is_told_in_a_sentence() -> None:
    resolver = Resolver([("127.0.0.53", free_port("127.0.0.53"))])
    answer = await ask(resolver, PBX)
    assert "DNS did not answer" in answer.why
    await resolver.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".test", "." * 3])
async def test_a_name_that_cannot_be_asked_for_raises_nothing(name: str) -> None:
    resolver = Resolver([("127.0.0.53", 9)])
    assert "cannot be asked" in (await ask(resolver, Question(name, Kind.A))).why
    await resolver.close()


@pytest.mark.asyncio
async def test_what_is_kept_is_bounded(server: Dns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_KEPT", 5)
    resolver = Resolver([server.place])
    await ask(resolver, PBX)
    await resolver.ask(Question(f"n{number}.test", Kind.A) for number in range(9))
    assert resolver.known(PBX) is None
    assert len(resolver._known) == 5
    await resolver.close()


OWN: dict[Question, tuple[Record, ...]] = {
    Question("_sip._udp.pbx.test", Kind.SRV): (Service(1, 0, 5070, "own.test", 300),),
    Question("own.test", Kind.A): (Address("192.0.2.77", 300),),
}


@pytest.mark.asyncio
async def test_3_3_own_records_stand_in_where_dns_has_nothing() -> None:
    with dns() as server:
        resolver = Resolver([server.place])
        addressing = Addressing(resolver)
        assert await places(addressing, group("pbx.test", records=OWN)) == ["192.0.2.77:5070"]
        assert await places(addressing, group("pbx.test")) != ["192.0.2.77:5070"], "of that group"
        await resolver.close()


@pytest.mark.asyncio
async def test_3_3_own_records_stand_in_where_dns_does_not_answer(server: Dns) -> None:
    resolver = Resolver([server.place])
    server.freeze()
    located = await Addressing(resolver).located(group("pbx.test", records=OWN), 1)
    [target] = located[1].targets
    assert (str(target), target.ttl) == ("192.0.2.77:5070", 300)
    await resolver.close()


@pytest.mark.asyncio
async def test_3_3_what_dns_says_beats_the_own_records(server: Dns) -> None:
    resolver = Resolver([server.place])
    found = await places(Addressing(resolver), group("pbx.test", records=OWN))
    assert found[0] == "192.0.2.1:5061"
    await resolver.close()


@pytest.mark.asyncio
async def test_3_3_dns_is_asked_again_after_the_records_ttl(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "NOTHING_S", 1.0)
    own = Question("own.test", Kind.A)
    facts = group("own.test", records={own: (Address("192.0.2.77", 6),)})
    with dns() as server:
        resolver = Resolver([server.place])
        addressing = Addressing(resolver)
        assert await places(addressing, facts) == ["192.0.2.77:5060"]
        in_use_since = steady()
        server.start(["host-record=own.test,192.0.2.78"])
        await until(lambda: resolver.known(own) is None, 30)
        assert await places(addressing, facts) == ["192.0.2.77:5060"]
        assert server.asked("A", "own.test") == 1, "while it holds, DNS is left alone"
        await until(lambda: steady() - in_use_since > 6.1, 30)
        assert await places(addressing, facts) == ["192.0.2.78:5060"]
        await resolver.close()


@pytest.mark.asyncio
async def test_3_3_without_a_dns_server_only_the_own_records_count() -> None:
    resolver = Resolver([])
    addressing = Addressing(resolver)
    assert await places(addressing, group("pbx.test", records=OWN)) == ["192.0.2.77:5070"]
    assert await places(addressing, group("pbx.test")) == ["No DNS server is configured."]


@pytest.mark.asyncio
async def test_s5_a_line_keeps_its_order_and_a_fleet_follows_the_weights() -> None:
    weights = ("srv-host=_sip._udp.pbx.test,a.test,5061,1,90", "host-record=a.test,192.0.2.1")
    others = ("srv-host=_sip._udp.pbx.test,b.test,5061,1,10", "host-record=b.test,192.0.2.2")
    with dns(*weights, *others) as server:
        resolver = Resolver([server.place])
        addressing, facts = Addressing(resolver), group("pbx.test")
        lines = random.Random(1).sample(range(10**6), 1000)
        first = [(await places(addressing, facts, line))[0] for line in lines]
        assert first.count("192.0.2.1:5061") == pytest.approx(900, abs=40)
        assert [(await places(addressing, facts, line))[0] for line in lines] == first
        await resolver.close()


def test_an_address_no_server_can_have_is_left_out() -> None:
    assert has_way("192.0.2.1")
    assert has_way("::1")
    assert not has_way("0.0.0.0")
    assert not has_way("224.0.0.5")
    assert not has_way("ff02::1")
