"""`python -m benchmarks.sustained`: 100,000 real agents against a real Kamailio for ten minutes.

Looks every ten seconds at what each part of the product uses, at what the registrar holds and at
how many rows are late; draws it into docs/scale and prints the sums as JSON.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2

from benchmarks import graph
from benchmarks.installation import bare_installation, cpu_by_part, ordered, resident_mb
from benchmarks.registrars import bound, registrars, requests
from tests.support.kamailio import Kamailio
from tests.support.product import Product

PAGE = Path(__file__).resolve().parents[1] / "docs" / "scale"
EVERY_S = 10.0
POLICY = {"expires": 300, "max_registrations_per_second": 0}
LATE = (
    "SELECT count(*) FILTER (WHERE expires_at < now() AND heard_at IS NOT NULL), "
    "count(*) FILTER (WHERE state <> 'primary') FROM registrations_registration"
)

Look = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(prog="sustained", description=__doc__)
    parser.add_argument("--handsets", type=int, default=100_000)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--expires", type=int, default=300)
    parser.add_argument("--into", type=Path, default=PAGE, help="the folder of the graphs")
    asked = parser.parse_args()
    looks = watch(asked.handsets, asked.minutes * 60, asked.expires)
    asked.into.mkdir(parents=True, exist_ok=True)
    for name, drawn in GRAPHS.items():
        (asked.into / f"{name}.svg").write_text(drawn(looks))
    sys.stdout.write(json.dumps(told(looks), indent=1) + "\n")


def watch(handsets: int, seconds: float, expires: int) -> list[Look]:
    """Let the fleet renew, due evenly over its period, as if it had long been bound."""
    with registrars() as (registrar,), bare_installation() as product:
        ordered(product, "make", handsets, [[registrar.address, registrar.port]], POLICY)
        ordered(product, "start", 1)
        ordered(product, "settle", expires, handsets)
        began = time.monotonic()
        looks = [_look(product, registrar, 0.0)]
        while (at := time.monotonic() - began) < seconds:
            time.sleep(EVERY_S - at % EVERY_S)
            looks.append(_look(product, registrar, time.monotonic() - began))
    return looks


def _look(product: Product, registrar: Kamailio, at: float) -> Look:
    with psycopg2.connect(product.env["DATABASE_URL"]) as connection, connection.cursor() as cursor:
        cursor.execute(LATE)
        (lapsed, elsewhere) = cursor.fetchone() or (0, 0)
    connection.close()
    return {
        "at": at,
        "requests": requests(registrar),
        "bound": bound(registrar),
        "lapsed": lapsed,
        "elsewhere": elsewhere,
        "cpu": cpu_by_part(product),
        "mb": resident_mb(product),
    }


def told(looks: list[Look]) -> dict[str, Any]:
    """Sums of the whole time, without the first minute."""
    steady = [look for look in looks if look["at"] >= 60.0] or looks
    first, last = steady[0], steady[-1]
    took = (last["at"] - first["at"]) or 1.0
    shares = {
        part: round(100 * (used - first["cpu"][part]) / took, 2)
        for part, used in last["cpu"].items()
    }
    return {
        "seconds": round(last["at"]),
        "requests": last["requests"],
        "requests_per_second": round((last["requests"] - first["requests"]) / took, 1),
        "bound_at_the_end": last["bound"],
        "most_lapsed": max(look["lapsed"] for look in looks),
        "elsewhere_at_the_end": last["elsewhere"],
        "percent_of_a_core": shares,
        "percent_of_a_core_all": round(sum(shares.values()), 2),
        "worker_mb": [round(first["mb"]["worker"], 1), round(last["mb"]["worker"], 1)],
    }


def _rates(looks: list[Look], of: Callable[[Look], float]) -> list[tuple[float, float]]:
    pairs = zip(looks, looks[1:], strict=False)
    return [
        (new["at"] / 60, (of(new) - of(old)) / (new["at"] - old["at"]))
        for old, new in pairs
        if new["at"] > old["at"]
    ]


def _requests(looks: list[Look]) -> str:
    drawn = {"REGISTERs a second": _rates(looks, lambda look: look["requests"])}
    return graph.lines("What the registrar got", "minutes", drawn)


def _shares(looks: list[Look]) -> str:
    drawn = {
        part: _rates(looks, lambda look, part=part: 100 * look["cpu"][part])  # type: ignore[misc]
        for part in looks[0]["cpu"]
    }
    return graph.lines("Percent of a core", "minutes", drawn)


def _held(looks: list[Look]) -> str:
    drawn = {
        "bound at the registrar": [(look["at"] / 60, look["bound"]) for look in looks],
        "of ours, run out": [(look["at"] / 60, look["lapsed"]) for look in looks],
    }
    return graph.lines("Handsets", "minutes", drawn)


def _memory(looks: list[Look]) -> str:
    drawn = {
        part: [(look["at"] / 60, look["mb"][part]) for look in looks] for part in looks[0]["mb"]
    }
    return graph.lines("Memory, MB", "minutes", drawn)


GRAPHS = {"requests": _requests, "cpu": _shares, "handsets": _held, "memory": _memory}

if __name__ == "__main__":
    main()
