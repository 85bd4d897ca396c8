"""A group's policy told as what its handsets do, step by step, with the machine's own numbers.

Every figure comes from the functions the agents themselves wait by; every step names the
parameters that make it so. Words only: no query, no decision.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from fleet.formats.policy import PARAMETERS
from fleet.models import Server, ServerGroup
from registrations import store
from registrations.intervals import back_off, renewal_delay
from registrations.judging import patience
from registrations.redundancy import REFUSAL_RETRY_BASE_S, REFUSAL_RETRY_MAX_S
from registrations.sip.timers import TIMER_F

LATEST, EARLIEST = 0.0, 1.0
"""The ends of the jitter that `intervals` takes."""


def duration(seconds: float) -> str:
    """Seconds as a person says them: `0.5 s`, `20 s`, `1 min`, `1 h`, `1 h 30 min`."""
    if seconds < 60:
        return f"{seconds:g} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    hours, minutes = whole // 3600, whole % 3600 // 60
    return " ".join([f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes))


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(words[:-1])] * (len(words) > 1) + list(words[-1:]))


@dataclass(frozen=True, slots=True)
class Step:
    """One thing these handsets do."""

    title: str
    sentences: tuple[str, ...]
    because: tuple[str, ...] = ()
    """The parameters that make it so, by the guide's names where it has them."""


def _because(*names: str) -> tuple[str, ...]:
    return tuple(PARAMETERS[name].guide or name for name in names)


def steps(group: ServerGroup, servers: Sequence[Server], lines: int) -> list[Step]:
    """Return what a handset of this group does, from its start to its way home.

    `lines` is how many lines the group registers.
    """
    registering = [server for server in servers if server.register]
    if not registering:
        return []
    is_failover = group.mode == ServerGroup.Mode.FAILOVER
    found = [
        _start(group, servers, registering),
        _finding(registering),
        _renewal(group),
        _silence(group, registering),
        _answers(group),
    ]
    if is_failover and _can_move(registering):
        found.append(_failover(group))
    if not is_failover and len(registering) > 1:
        found.append(_fallback(group, registering))
    found.append(_no_server(group))
    if _can_move(registering):
        found.append(_home(group, registering))
    found.append(_pace(group, registering, lines))
    return [step for step in found if step.sentences]


def _can_move(registering: Sequence[Server]) -> bool:
    return len(registering) > 1 or not is_literal(registering[0].address)


def is_literal(address: str) -> bool:
    """Whether this is an IP address, so that no DNS is asked."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def _start(group: ServerGroup, servers: Sequence[Server], registering: Sequence[Server]) -> Step:
    first = str(registering[0])
    asked = f"It asks for {duration(group.expires)}; what the server grants counts."
    if group.mode == ServerGroup.Mode.FAILOVER:
        rest = [str(server) for server in registering[1:]]
        said = [f"Registers with {first} alone."]
        if rest:
            said[0] = f"Registers with {first} alone; {listed(rest)} hear nothing until it fails."
            if len(rest) == 1:
                said[0] = f"Registers with {first} alone; {rest[0]} hears nothing until it fails."
    elif len(registering) == 1:
        said = [f"Registers with {first}."]
    else:
        names = listed([str(server) for server in registering])
        said = [
            f"Registers with every one of {names}: each holds a registration of its own, and the "
            "first in this order that does is the working server."
        ]
    said.append(asked)
    call_only = [str(server) for server in servers if not server.register]
    if call_only:
        verb = "gets" if len(call_only) == 1 else "get"
        said.append(f"{listed(call_only)} {verb} calls only, never a REGISTER.")
    because = _because("expires") + (("register",) if call_only else ())
    return Step("Start", tuple(said), because)


_WAYS = {
    "udp": "over UDP",
    "tcp": "over TCP",
    "tls": "over TLS; a failed handshake is a failed server, never a reason to take another way",
    "tcp_preferred": "over TCP, and where TCP fails over UDP before the server counts as failed",
    "dns_naptr": "over UDP",
}


def _finding(registering: Sequence[Server]) -> Step:
    said = []
    for server in registering:
        way, name = _WAYS[server.transport], str(server)
        if is_literal(server.address):
            if server.transport != "udp":
                said.append(f"Reaches {name} {way}.")
            continue
        look = "A and AAAA records"
        if not server.port:
            look = f"SRV records, then {look}"
            if server.transport == "dns_naptr":
                look, way = f"NAPTR, then {look}", "by the transport DNS names, else over UDP"
        said.append(
            f"Asks DNS for {server.address}: {look}. The answers, in their order, are the servers "
            f"it tries, {way}. Where DNS has none, the group's own records stand in (dns.cache); "
            "with none there either, it counts as a server that failed."
        )
    return Step("Finding the servers", tuple(said), ("address", "port", "transport"))


def _renewal(group: ServerGroup) -> Step:
    granted, overlap = group.expires, group.expires_overlap
    latest = renewal_delay(granted, overlap, None, LATEST)
    earliest = renewal_delay(granted, overlap, None, EARLIEST)
    rule = f"{duration(overlap)} before the granted time ends"
    if granted <= overlap:
        rule = "half-way through the granted time, which is no longer than the overlap"
    return Step(
        "Renewal",
        (
            f"Renews at the latest {rule}. Granted {duration(granted)}, that is "
            f"{duration(earliest)} to {duration(latest)} after the last answer; the span keeps "
            "handsets from renewing all at once.",
        ),
        _because("expires_overlap"),
    )


def _seconds(times: Sequence[float]) -> str:
    if len(times) > 6:
        return f"{listed([f'{at:g}' for at in times[:3]])} s and so on, {len(times)} times"
    return f"{listed([f'{at:g}' for at in times])} s"


def _ladder(group: ServerGroup, registering: Sequence[Server]) -> str:
    short = patience(store.policy_of(group))
    repeats = f"Sends again after {_seconds(short.sends[1:])}"
    whole = duration(TIMER_F)
    if group.mode == ServerGroup.Mode.FAILOVER or group.register_list_scope == "all":
        last = "The last server left" if _can_move(registering) else "As it is the last server, it"
        return (
            f"{repeats} and gives the server up at {duration(short.give_up_after)}. "
            f"{last} gets the whole {whole} of RFC 3261."
        )
    said = f"Each server is the last of its own list, so it gets the whole {whole} of RFC 3261."
    if all(is_literal(server.address) for server in registering):
        return said
    return (
        f"{said} Where its name stands for several addresses: {repeats[0].lower()}{repeats[1:]}, "
        f"the next address at {duration(short.give_up_after)}."
    )


def _silence(group: ServerGroup, registering: Sequence[Server]) -> Step:
    short = patience(store.policy_of(group))
    whole = duration(TIMER_F)
    # Over a connection nothing is sent twice.
    is_datagram = any(server.transport not in ("tcp", "tls") for server in registering)
    said = [_ladder(group, registering)] if is_datagram else []
    said.append("A port that is closed, an unreachable network or a failed send counts at once.")
    over_streams = {"tcp", "tls", "tcp_preferred", "dns_naptr"}
    if any(server.transport in over_streams for server in registering):
        held = f"after {duration(short.give_up_after)}, as over UDP"
        said.append(
            "Connected over TCP or TLS but not answered, it gives up "
            + (f"{held}." if group.tcp_fast_failover else f"after {whole}.")
        )
    because = ["retry_max_count", "retry_timeout", "retry_waits_after_last"]
    if group.mode == ServerGroup.Mode.FALLBACK:
        because.append("register_list_scope")
    if said[-1].startswith("Connected"):
        because.append("tcp_fast_failover")
    return Step("A server that does not answer", tuple(said), _because(*because))


def _answers(group: ServerGroup) -> Step:
    next_one = "server" if group.mode == ServerGroup.Mode.FAILOVER else "address of its name"
    said = [
        f"503: goes on to the next {next_one}; a Retry-After keeps all handsets off that one so "
        "long. Where no other takes it, the registration it has stands to its end."
        if group.failover_on_503
        else "503: stays on the same server and asks it again, after its Retry-After if it "
        "gave one."
    ]
    said.append(
        "408, or silence after 100 Trying: as no answer at all."
        if group.failover_on_408
        else "408, or silence after 100 Trying: stays, as the server is alive."
    )
    said += [
        "Another 5xx or 6xx: the same server again while the registration lasts.",
        "A refused password or address (401, 403, 404): moves nowhere and keeps what it holds "
        f"elsewhere; that server is asked again after {duration(REFUSAL_RETRY_BASE_S)} to "
        f"{duration(2 * REFUSAL_RETRY_BASE_S)}, doubling to {duration(REFUSAL_RETRY_MAX_S)}.",
        "423: asks at once for the longer time the server wants, and remembers it.",
    ]
    if group.on_mass_rejection == "failover":
        said.append("A server that suddenly refuses many it accepted before: they all move on.")
    else:
        said.append(
            "A server that suddenly refuses many it accepted before: nobody follows them, and "
            "nobody is brought home to it."
        )
    because = ["failover_on_503", "failover_on_408", "on_mass_rejection"]
    if group.refuse_md5:
        said.append("A challenge that offers only MD5 is not answered.")
        because.append("refuse_md5")
    return Step("A server that answers otherwise", tuple(said), _because(*because))


def _failover(group: ServerGroup) -> Step:
    if not group.re_register_on:
        said = (
            "Uses the next server at once without registering there: the servers are taken to "
            "share one set of registrations.",
            "Its next renewal goes to that server when the failed one does not answer; only that "
            "answer is a registration there. Until then Rollcall says: assumed, not confirmed.",
        )
        because = ["re_register_on"]
    elif not group.fail_registration_on:
        said = (
            "Registers with the next server and uses it when it answers 200 with a time above "
            "zero.",
            "The registration on the failed server still counts until its time ends; nothing is "
            "taken back there.",
        )
        because = ["re_register_on", "fail_registration_on"]
    else:
        strict = group.only_signal_with_registered
        said = (
            "Registers with the next server and uses it when it answers 200 with a time above "
            "zero.",
            "The registration on the failed server counts as gone at that moment, silently: no "
            "REGISTER takes it back.",
            "Nothing more is sent to the failed server or accepted from it until the way home."
            if strict
            else "Calls that ran through the failed server may go on signalling with it.",
        )
        because = ["re_register_on", "fail_registration_on", "only_signal_with_registered"]
    return Step("Failover", (*said, _alone(group)), _because(*because, "fast_failover"))


def _alone(group: ServerGroup) -> str:
    if group.fast_failover:
        return (
            "When the workers find the server silent, all its handsets move at once, at the pace "
            "below."
        )
    return "Each handset finds out for itself, at its own renewal."


def _fallback(group: ServerGroup, registering: Sequence[Server]) -> Step:
    told = []
    for server in registering[1:]:
        lost = [str(feature) for feature in server.lost_features]
        if lost:
            told.append(f"On {server} it does without {listed(lost)}.")
    return Step(
        "Fallback",
        (
            "The next server in order that holds its registration takes over; there is nothing to "
            "register, as it is registered already.",
            "The server that failed is asked again without end, while the others stay registered.",
            *told,
            _alone(group),
        ),
        _because("fast_failover"),
    )


def _no_server(group: ServerGroup) -> Step:
    base, most = group.register_retry_base, group.register_retry_max
    low, high = (back_off(base, most, 1, jitter) for jitter in (LATEST, EARLIEST))
    said = f"Waits {duration(low)} to {duration(high)}, then starts again with the first server"
    if back_off(base, most, 2, EARLIEST) > high:
        said += f"; each time twice as long, up to {duration(most)}"
    return Step(
        "No server takes it",
        (f"{said}. It never gives up.",),
        _because("register_retry_base", "register_retry_max"),
    )


def homeward(group: ServerGroup) -> str:
    """How a handset of this group comes home to its primary by itself."""
    if group.mode == ServerGroup.Mode.FALLBACK:
        return (
            "Every server of this group holds a registration of its own; the handset is home "
            "again as soon as the primary accepts it."
        )
    if is_called_home(group):
        return (
            "Rollcall brings the group home when its primary has been up again for a while: a "
            "canary first, then wave after wave."
        )
    return _by_mode(group)


def is_called_home(group: ServerGroup) -> bool:
    """Whether its handsets wait for a job instead of going home one by one."""
    modes = ServerGroup.FailBackMode
    is_never = group.fail_back_mode == modes.DURATION and not group.fail_back_timeout
    return group.mode == ServerGroup.Mode.FAILOVER and group.fast_failover and not is_never


def _by_mode(group: ServerGroup) -> str:
    modes = ServerGroup.FailBackMode
    if group.fail_back_mode == modes.DURATION:
        if not group.fail_back_timeout:
            return "Stays where it is until that server fails too."
        wait = duration(group.fail_back_timeout)
        return f"Tries the primary again {wait} after it moved away."
    if group.fail_back_mode == modes.NEW_REQUESTS:
        return "Offers every new request, so each renewal, to the primary first."
    if group.fail_back_mode == modes.DNS_TTL:
        return "Tries the primary again when the DNS record of the server it is on runs out."
    return "Offers its next renewal to the primary first."


def _home(group: ServerGroup, registering: Sequence[Server]) -> Step:
    modes, mode = ServerGroup.FailBackMode, group.fail_back_mode
    if group.mode == ServerGroup.Mode.FALLBACK:
        if all(is_literal(server.address) for server in registering):
            return Step("The way home", (homeward(group),))
        among = (
            f"Among the addresses of one name: {_by_mode(group)[0].lower()}{_by_mode(group)[1:]}"
        )
        return Step("The way home", (homeward(group), among), _because("fail_back_mode"))
    if mode == modes.DURATION and not group.fail_back_timeout:
        said = [homeward(group)]
    else:
        said = [
            homeward(group),
            "The server it is on stays in service meanwhile. If the primary does not take it, it "
            "stays there, and the same rule starts anew.",
        ]
    if mode in (modes.REGISTRATION, modes.NEW_REQUESTS):
        said.append("Such a renewal starts early enough to be repeated where it is.")
    names = ("fail_back_mode", "fail_back_timeout")
    return Step("The way home", tuple(said), _because(*names[: 1 + (mode == modes.DURATION)]))


def _pace(group: ServerGroup, registering: Sequence[Server], lines: int) -> Step:
    cap = group.max_registrations_per_second
    if not cap:
        said = ["No limit, and no spreading: all may register at the same moment."]
    else:
        said = [f"At most {cap} new registrations a second go to each server, whatever the cause."]
        if lines:
            said.append(
                f"Moving all {lines} lines of this group takes at least "
                f"{duration(max(1, round(lines / cap)))}."
                if lines > cap
                else f"All {lines} lines of this group can move within a second."
                if lines > 1
                else ""
            )
    return Step("Pace", tuple(s for s in said if s), _because("max_registrations_per_second"))
