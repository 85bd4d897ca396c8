"""The SIP engine alone: agents, redundancy, REGISTER client and sockets, no database.

Its CPU, and that of SIPp with the same users at the same registrar, by the operating system's
account; in turn, the registrar empty each time and on a core of its own. Each registers with a
challenge, once.
"""

import os
from collections.abc import Iterator
from statistics import median

from benchmarks.figure import Figure
from benchmarks.installation import told
from benchmarks.registrars import CORES, OnOwnCore, cores_kept, registrars, sipp, users
from benchmarks.sizes import size
from tests.support.kamailio import Kamailio

HANDSETS, TIMES = size("HANDSETS", 100_000), 5
RATIO, GOAL = 0.5, 0.8


def measure() -> Iterator[Figure]:
    """Yield registrations per second of CPU, ours and SIPp's, and the ratio of each pair."""
    ours, theirs = [], []
    with registrars(kind=OnOwnCore) as (registrar,), cores_kept(CORES[:-1] or CORES):
        for _ in range(TIMES):
            theirs.append(sipp(registrar, users(HANDSETS)).cpu)
            registrar.restart_empty()
            ours.append(spent(registrar, HANDSETS))
    yield Figure("the engine alone", HANDSETS / median(ours), "/CPU s")
    yield Figure("SIPp", HANDSETS / median(theirs), "/CPU s")
    ratio = median(their / our for our, their in zip(ours, theirs, strict=True))
    yield Figure("engine / SIPp", ratio, "x", at_least=RATIO, goal=GOAL)


def spent(registrar: Kamailio, handsets: int) -> float:
    """Seconds of CPU for so many, at a registrar that is empty."""
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "fleet.config.settings",
        "SECRET_KEY": "only for the benchmark",
        "CREDENTIALS_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    }
    place = registrar.address, str(registrar.port)
    (found,) = told(env, "benchmarks.engine_inside", *place, str(handsets))
    return float(found["cpu"])
