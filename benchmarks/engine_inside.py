"""What `benchmarks.engine` measures: the worker's agents and sockets, without its database."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import django

django.setup()

from benchmarks.registrars import users  # noqa: E402 - after Django's set-up, as all below
from registrations.keeping import Entry  # noqa: E402
from registrations.report import Heard  # noqa: E402
from registrations.runtime import memory  # noqa: E402
from registrations.runtime.clock import Lease, steady  # noqa: E402
from registrations.runtime.pacer import Pacer  # noqa: E402
from registrations.runtime.runner import Runner  # noqa: E402
from registrations.runtime.switchboard import Switchboard  # noqa: E402
from registrations.store import Claimed, Finished, GroupFacts, Slots  # noqa: E402
from registrations.trace.record import Noted  # noqa: E402
from registrations.values import (  # noqa: E402
    QUIET,
    Account,
    GroupMode,
    HostPort,
    Policy,
    Target,
)
from tests.support.kamailio import REALM  # noqa: E402

AT_ONCE = 50
IN_FLIGHT = 500
"""As many as one claim brings."""
LEASE_S = 600.0
CLEARED = {"courses": {"group": {"is_cleared": True}}}
"""A line that was bound before: it need not ask first who is."""


class Fleet:
    """Takes what agents came to, and starts the next ones."""

    def __init__(self, loop: asyncio.AbstractEventLoop, group: GroupFacts) -> None:
        self._group = group
        self._loop = loop
        switchboard = Switchboard(loop, lambda data, source: None)
        self._runner = Runner(switchboard, Pacer(loop, _reserve), self, self, _contact_for)
        self._left: Iterator[Claimed] = iter(())
        self._is_asked = False
        """It was said that there is room: nobody looks for it again and again."""
        self._is_over = asyncio.Event()
        self._refused: list[str] = []

    async def run(self, claimed: Iterator[Claimed]) -> dict[str, float]:
        self._left = claimed
        self._is_over.clear()
        cpu, began = time.process_time(), time.perf_counter()
        self._start()
        await self._is_over.wait()
        took = {"cpu": time.process_time() - cpu, "seconds": time.perf_counter() - began}
        if self._refused:
            raise RuntimeError(f"{len(self._refused)} were not bound: {self._refused[:3]}")
        return took

    def _start(self) -> None:
        """Start as many as there is room for, a claim's share at a time."""
        self._is_asked = False
        lease = Lease.taken(time.time() + LEASE_S, LEASE_S, steady())
        while len(self._runner) <= IN_FLIGHT - AT_ONCE:
            batch = list(islice(self._left, AT_ONCE))
            if not batch:
                break
            for claimed in batch:
                self._runner.add(claimed, lease)
        if not len(self._runner):
            self._is_over.set()

    def add(self, finished: Finished) -> None:
        if finished.result.state != "primary":
            self._refused.append(finished.result.reason)
        if not self._is_asked and len(self._runner) <= IN_FLIGHT - AT_ONCE:
            self._is_asked = True
            self._loop.call_soon(self._start)

    def give_back(self, claimed: Claimed, due_at: float) -> None:
        raise RuntimeError(f"the agent of {claimed.account.user} failed")

    def pause(self, server_id: int, place: HostPort, until: float) -> None:
        raise RuntimeError("the registrar asked to be left alone")

    def keep(
        self, pk: int, noted: list[Noted], heard: tuple[Heard, ...], note: str, is_calm: bool
    ) -> None:
        """Traces are the worker's matter."""


async def _reserve(*_: Any) -> Slots:
    raise RuntimeError("there is no cap")


def _contact_for(user: str, local: tuple[str, int], spoken: str) -> str:
    return f"sip:{user}@127.0.0.1:9000"


def _claimed(who: list[str], group: GroupFacts) -> Iterator[Claimed]:
    for n, user in enumerate(who):
        account = Account(user, REALM, user, f"pw-{user}", f"urn:uuid:{n:032x}")
        yield Claimed(
            registration_id=n,
            token="",
            lease_until=time.time() + LEASE_S,
            site_id=1,
            server_id=1,
            cseq_offset=0,
            wish="",
            wish_version=0,
            wish_by="",
            snapshot=CLEARED | {"aor": account.aor},
            account=account,
            group=group,
            news=QUIET,
        )


async def _measure(address: str, port: int, who: list[str]) -> dict[str, float]:
    target = Target(1, address, port)
    policy = Policy(expires=3600, max_registrations_per_second=0)
    group = GroupFacts(1, GroupMode.FAILOVER, policy, (Entry(1, 1, True, (target,), "primary"),))
    fleet = Fleet(asyncio.get_running_loop(), group)
    return await fleet.run(_claimed(who, group))


def main() -> None:
    address, port, count = sys.argv[1:]
    memory.settle()
    found = asyncio.run(_measure(address, int(port), users(int(count))))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
