"""The ring of traces in a real Redis: bounded, honest about what it lost, readable by anybody."""

import time
from typing import Any

import pytest
import redis

from registrations import ring
from registrations.trace import pack
from tests.registrations.trace.wire import NOW, PRIMARY, SECONDARY, Exchange


def kept(n: int, took: dict[int, bool] | None = None, line: int = 1) -> ring.Kept:
    """The n-th try of a line, at second n."""
    exchange = Exchange()
    exchange.now = NOW + n
    exchange.attempt()
    return ring.Kept(
        line, pack(exchange.noted, exchange.ended), {1: True} if took is None else took
    )


def seconds(traces: ring.Traces) -> list[int]:
    return [round(record.at - NOW) for record in traces.tries]


@pytest.fixture
def client(live_redis: str) -> redis.Redis:
    return redis.Redis.from_url(live_redis)


def test_the_last_tries_are_kept_newest_first_and_no_more(client: redis.Redis) -> None:
    writer = ring.Writer()
    for n in range(ring.DEPTH + 5):
        writer.write([kept(n)], NOW)
    found = ring.read(1)
    assert seconds(found) == list(range(ring.DEPTH + 4, 4, -1))
    assert found.pairs == ()
    assert 0 < client.ttl(ring.key_of(1)) <= ring.KEPT_S


def test_one_write_serves_many_lines_and_keeps_each_ones_order(live_redis: str) -> None:
    ring.Writer().write([kept(1), kept(2, line=2), kept(3), kept(4, line=2)], NOW)
    assert (seconds(ring.read(1)), seconds(ring.read(2))) == ([3, 1], [4, 2])
    assert ring.read(3).tries == ()


def test_the_first_failure_stays_with_the_success_before_it_through_an_outage(
    live_redis: str,
) -> None:
    writer = ring.Writer()
    tries = [kept(0), kept(1)] + [kept(n, {1: False, 2: True}) for n in range(2, 60)]
    writer.write(tries, NOW)
    found = ring.read(1)
    assert 2 not in seconds(found), "the ring itself has turned"
    [pair] = found.pairs
    assert pair.server_id == PRIMARY.server_id
    assert pair.success is not None
    assert [round(each.at - NOW) for each in (pair.success, pair.failure)] == [1, 2]


def test_another_outage_is_another_pair(live_redis: str) -> None:
    writer = ring.Writer()
    bad = {1: False}
    writer.write([kept(0), kept(1, bad), kept(2, bad), kept(3), kept(4, bad), kept(5, bad)], NOW)
    [pair] = ring.read(1).pairs
    assert pair.success is not None
    assert [round(each.at - NOW) for each in (pair.success, pair.failure)] == [3, 4]


def test_a_success_that_is_kept_no_longer_is_not_made_up(live_redis: str) -> None:
    writer = ring.Writer()
    there = {SECONDARY.server_id: True}
    rest = [kept(n) for n in range(1, ring.DEPTH + 2)]
    gone = {SECONDARY.server_id: False}
    writer.write([kept(0, there), *rest, kept(99, gone)], NOW)
    [pair] = ring.read(1).pairs
    assert pair.success is None


def test_nothing_is_written_into_a_full_redis(
    live_redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = ring.Writer()
    writer.write([kept(0)], NOW)
    monkeypatch.setattr(ring, "MOST_REDIS_BYTES", 1)
    with pytest.raises(ring.Full):
        writer.write([kept(1)], NOW)
    assert seconds(ring.read(1)) == [0]


def test_readers_know_since_when_tries_are_kept_and_what_was_lost(client: redis.Redis) -> None:
    writer = ring.Writer()
    assert (ring.read(1).since, ring.read(1).lost) == (None, None)
    writer.write([kept(0)], NOW)
    writer.write([kept(1)], NOW + 50)
    writer.tell_lost(ring.Lost(NOW + 10, NOW + 40, 7, "Redis did not answer"))
    found = ring.read(1)
    assert found.since == NOW
    assert found.lost == ring.Lost(NOW + 10, NOW + 40, 7, "Redis did not answer")
    client.flushall()
    writer.write([kept(2)], NOW + 90)
    assert (ring.read(1).since, ring.read(1).lost) == (NOW + 90, None)


def test_without_redis_it_is_unavailable_since_it_was_first_noticed(settings: Any) -> None:
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    before = time.time()
    with pytest.raises(ring.Unavailable) as first:
        ring.read(1)
    with pytest.raises(ring.Unavailable) as second:
        ring.read(1)
    assert before <= first.value.since == second.value.since <= time.time()


def test_what_another_version_packed_is_left_out(client: redis.Redis) -> None:
    ring.Writer().write([kept(0)], NOW)
    client.hset(ring.key_of(1), mapping={"7": b"9something else", "bad:1": b"9as well"})
    found = ring.read(1)
    assert (seconds(found), found.pairs) == ([0], ())
