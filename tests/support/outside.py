"""A fleet whose world is under the test's hand: the network, DNS, and the machine's clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import kamailio, product, stores
from tests.support.chaos import POLICY
from tests.support.dns import Dns, dns
from tests.support.fleet import fleet_file, users
from tests.support.hospital import Hospital
from tests.support.processes import free_port
from tests.support.relay import Relay, relay

CLOCK = Path(__file__).with_name("wall_clock")
NAMES = ("primary.test", "secondary.test")
TTL_S = 2
CAP = POLICY["max_registrations_per_second"]


@dataclass(frozen=True, slots=True)
class Outside:
    """A hospital, what lies between it and its registrars, and the clock all its processes read."""

    hospital: Hospital
    to_primary: Relay
    to_secondary: Relay
    dns: Dns
    records: tuple[str, ...]
    clock: Path

    def set_clock(self, seconds: float) -> None:
        """Let all processes of the product be so many seconds off, the others not."""
        self.clock.write_text(str(seconds))

    def dns_again(self) -> None:
        self.dns.start(self.records, TTL_S)


@contextmanager
def outside(
    home: Path, *, addresses: tuple[str, str], count: int, database_url: str
) -> Iterator[Outside]:
    """A running product with its fleet imported; its servers are names, each with one address.

    The group's own records know the secondary, so that it is found without any DNS.
    """
    home.mkdir(parents=True, exist_ok=True)
    clock = home / "clock"
    clock.write_text("0")
    port = free_port(*addresses)
    with (
        kamailio.running(addresses[0], port, home) as primary,
        kamailio.running(addresses[1], port, home) as secondary,
        relay("127.0.0.12", (addresses[0], port)) as to_primary,
        relay("127.0.0.13", (addresses[1], port)) as to_secondary,
        stores.redis() as redis,
    ):
        relays = (to_primary, to_secondary)
        records = tuple(
            f"host-record={name},{each.address}" for name, each in zip(NAMES, relays, strict=True)
        )
        with dns(*records, ttl=TTL_S) as server:
            env = {
                "PYTHONPATH": str(CLOCK),
                "WALL_CLOCK": str(clock),
                "DNS_SERVERS": f"{server.place[0]}:{server.place[1]}",
            }
            with product.running(
                home, redis_url=redis.url, database_url=database_url, env=env
            ) as running:
                extensions = users(count)
                running.import_fleet(_fleet(extensions, relays))
                hospital = Hospital(
                    primary, secondary, running, redis, "ward", extensions, database_url
                )
                yield Outside(hospital, to_primary, to_secondary, server, records, clock)


def _fleet(extensions: list[str], relays: tuple[Relay, Relay]) -> dict[str, Any]:
    fleet = fleet_file("ward", extensions, [], POLICY)
    fleet["groups"][0]["servers"] = [
        {"address": name, "port": each.port, "transport": "udp"}
        for name, each in zip(NAMES, relays, strict=True)
    ]
    fleet["groups"][0]["dns_cache"] = [
        {"type": "A", "name": NAMES[1], "address": relays[1].address}
    ]
    return fleet
