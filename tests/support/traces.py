"""Tries put into the ring as a worker would, for tests of what is made of them."""

from registrations import ring
from registrations.models import Registration
from registrations.sip.timers import ladder
from registrations.trace import endings, pack
from registrations.values import Target
from tests.registrations.trace.wire import NOW, Exchange


def keep(row: Registration, *faults: tuple[str, ...], now: float = NOW) -> None:
    """Keep a try of this line: each server of its group asked in turn, with this fault or none.

    A fault is a status and headers; an empty status is silence.
    """
    exchange = Exchange()
    exchange.now = now
    for server, fault in zip(row.group.servers.all(), faults, strict=False):
        target = Target(server.pk, server.address, server.port)
        exchange.registrars[target] = exchange.registrars.pop(next(iter(exchange.registrars)))
        if fault:
            exchange.fault(target, *fault)
        exchange.attempt(target, schedule=ladder(3, 500))
    packed = pack(exchange.noted, exchange.ended)
    kept = ring.Kept(row.pk, packed, endings(exchange.noted, exchange.ended))
    ring.Writer().write([kept], now)
