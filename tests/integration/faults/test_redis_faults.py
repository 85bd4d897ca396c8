"""Redis carries hints and news, never the truth: whatever befalls it, all stay registered."""

import pytest

from tests.support.chaos import EXPIRES_S, Fault
from tests.support.hospital import Hospital

pytestmark = pytest.mark.timeout(900)

SOON = 30.0
"""Nobody has to move, so all are in their places; what is awaited is a screen that is live."""

RENEWED = EXPIRES_S + 30.0


def test_redis_is_killed_and_replaced_by_an_empty_one(icu: Hospital) -> None:
    with (
        Fault(icu, "Redis killed, later an empty one in its place", within=SOON) as fault,
        icu.watch(all_bound=True),
    ):
        icu.redis.kill()
        fault.is_said("redis")
        icu.all_renew(RENEWED)
        icu.redis.start()
        fault.mended()


def test_redis_is_restarted(icu: Hospital) -> None:
    with Fault(icu, "Redis restarted", within=SOON), icu.watch(all_bound=True):
        icu.redis.kill()
        icu.redis.start()
        icu.all_renew(RENEWED)


def test_redis_is_flushed(icu: Hospital) -> None:
    with Fault(icu, "Redis flushed", within=SOON), icu.watch(all_bound=True):
        with icu.redis.client() as client:
            client.flushall()
        icu.all_renew(RENEWED)


def test_redis_is_out_of_memory(icu: Hospital) -> None:
    with (
        Fault(icu, "Redis out of memory", within=SOON) as fault,
        icu.watch(all_bound=True),
        icu.redis.client() as client,
    ):
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
        icu.all_renew(RENEWED)
        fault.is_said("beat", "redis")
        client.config_set("maxmemory", "0")
        fault.mended()
