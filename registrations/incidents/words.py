"""What is said of a trouble: who, what happened, what to do. One true sentence each."""

from collections.abc import Sequence
from dataclasses import dataclass

from registrations.incidents.facts import (
    DrillFact,
    FlapFact,
    ProcessFact,
    ProofFact,
    ServerFact,
    SiteFact,
    Unserved,
)

MOST_NAMES = 4
MINUTE, HOUR, DAY = 60, 3600, 86400


@dataclass(frozen=True, slots=True)
class Said:
    """A title, what happened, and what to do about it.

    The title stays to the end: it names the cause, and no count that changes.
    """

    title: str
    happened: str
    remedy: str


def counted(n: int, thing: str = "handset") -> str:
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Return names as a list in a sentence; of many the first ones and how many more."""
    if len(names) > MOST_NAMES + 1:
        return f"{', '.join(names[:MOST_NAMES])} and {len(names) - MOST_NAMES} more"
    *first, last = list(names) or [""]
    return f"{', '.join(first)} and {last}" if first else last


def lasting(seconds: float) -> str:
    """Return a length of time as people say it: `40 s`, `12 min`, `2 h 5 min`, `3 d 4 h`."""
    minutes = round(seconds / MINUTE)
    if seconds < MINUTE:
        return f"{max(seconds, 0):.0f} s"
    if minutes * MINUTE < HOUR:
        return f"{minutes} min"
    if minutes * MINUTE < DAY:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440} d {minutes % 1440 // 60} h"


def site(found: SiteFact) -> Said:
    return Said(
        f"Network of {found.name} suspected",
        f"All servers fell silent at once as seen from {found.name}; where its "
        f"{counted(found.handsets)} are is not known.",
        f"Check the network and the uplink of {found.name}, and that of Rollcall's worker for it. "
        "Nothing is moved there until a server answers.",
    )


def silent(server: ServerFact, sites: Sequence[str]) -> Said:
    where = "" if set(sites) >= server.asked else f" as seen from {listed(sites)}"
    groups = listed(server.groups)
    named = f"{server.name} of {groups}"
    if server.held:
        verb = "is" if server.held == 1 else "are"
        whom = f"{counted(server.held)} {verb} still registered there and may miss calls"
    else:
        whom = "no handset is registered there"
    if server.others_answer:
        remedy = f"Bring {server.name} back; its handsets go to the other servers of {groups} "
        remedy += "meanwhile, each by its own rule."
    else:
        remedy = f"Bring any server of {groups} back: no other one answers."
    return Said(
        f"{named} silent",
        f"{server.name} does not answer{where}: {whom}.",
        remedy,
    )


def horizon(server: ServerFact) -> Said:
    verb = "binding ends" if server.lapsing == 1 else "bindings end"
    return Said(
        f"Bindings on {server.name} of {listed(server.groups)} running out",
        f"{server.lapsing:,} {verb} within {lasting(server.horizon_s)} on {server.name}, which is "
        "silent.",
        "Bring the server back, or see why these handsets find no other one.",
    )


def sick(server: ServerFact) -> Said:
    return Said(
        f"{server.name} of {listed(server.groups)} refusing handsets",
        f"{server.name} answers but refuses handsets it had accepted before: "
        f"{counted(server.refused)} so far.",
        f"Look at the user data of {server.name}: a restore, an expired licence or a lost database "
        "does this. Nobody is sent back to it until it accepts them again.",
    )


def drill(found: DrillFact) -> Said:
    verb = "is" if found.away == 1 else "are"
    return Said(
        f"Handsets not home after drill {found.id}",
        f"{found.away:,} of {counted(found.moved)} that drill {found.id} moved {verb} not back on "
        "the primary.",
        "See the last answers of these handsets, and bring them home.",
    )


def batch(found: Unserved) -> Said:
    group, where = found.group, f"{found.group} at {found.site}"
    verb = "is" if found.count == 1 else "are"
    if found.is_refused:
        return Said(
            f"Handsets of {where} refused",
            f"{found.count:,} of {counted(found.of)} in {where} {verb} refused by every server "
            "that answers.",
            f"Compare the passwords and users last changed in {group} with those of its servers.",
        )
    return Said(
        f"Handsets of {where} without a server",
        f"{found.count:,} of {counted(found.of)} in {where} {verb} registered nowhere.",
        f"See the last answers of these handsets, and whether the servers of {group} take them.",
    )


def handset(name: str, found: Unserved, reason: str) -> Said:
    state = "is refused by every server" if found.is_refused else "is registered nowhere"
    return Said(
        f"{name} without a server",
        f"{name} of {found.group} at {found.site} {state}. {reason}".rstrip(),
        "Compare its user and password with those of its servers."
        if found.is_refused
        else "See its last answers and its trace.",
    )


def process(found: ProcessFact) -> Said:
    names = listed(found.names)
    last = f" ({names} was the last)" if names else ""
    whose = f" of {found.site}" if found.site else ""
    if found.kind == "beat":
        return Said(
            "Beat not heard",
            "Rollcall's beat is not heard: workers look for due work themselves, but jobs, exports "
            "and counts stand still.",
            "Start beat again, and look at its log and at Redis.",
        )
    if found.others:
        others = "another worker does" if found.others == 1 else f"{found.others} others do"
        return Said(
            f"Worker {names} not heard",
            f"{names} is not heard any more; {others} its work.",
            "Start it again, and look at its log.",
        )
    return Said(
        f"No worker{whose} heard",
        f"No worker{whose} is heard{last}: nothing registers or renews there.",
        "Start a worker now: bindings run out one after the other.",
    )


def proof(found: ProofFact) -> Said:
    return Said(
        f"Standby proof lost on {found.server} of {listed(found.groups)}",
        f"{found.server} would not take {found.lost:,} of {counted(found.of)} any more that it "
        "would have taken before.",
        f"Compare their users and passwords on {found.server}: they would be lost in a failover.",
    )


def flap(found: FlapFact) -> Said:
    who = found.one[1] if found.one is not None else counted(found.handsets)
    return Said(
        f"Handsets at {found.site} flapping",
        f"{who} at {found.site} changed server or state up to {found.most_changes} times within "
        f"{lasting(found.within_s)}.",
        "Look for what comes and goes: an access point, a link, a server that restarts.",
    )
