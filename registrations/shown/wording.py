"""Policies and a handset's situation in sentences, for pages. Words only: no query, no decision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fleet.formats.dns_cache import DnsRow
from fleet.formats.policy import PARAMETERS, Parameter, Value
from fleet.models import Line, Server, ServerGroup
from registrations.intervals import renewal_delay
from registrations.models import State
from registrations.shown import behaviour
from registrations.sip.targets import SERVICES


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """One policy parameter as the group page shows it."""

    name: str
    guide_name: str
    """In full, as the handset's guide has it; '' for one of Rollcall's own."""
    value: str
    is_default: bool
    default: str
    meaning: str
    permitted: str
    idle: str
    """Why it has no effect here; '' where it has one."""


def policy(group: ServerGroup, servers: Sequence[Server]) -> list[ParameterRow]:
    """The group's policy in the order of the fleet file: values as the guide writes them."""
    idle = _idle(group, all(behaviour.is_literal(server.address) for server in servers))
    return [
        ParameterRow(
            name=parameter.name,
            guide_name=parameter.guide_name,
            value=_value(parameter, getattr(group, parameter.name)),
            is_default=getattr(group, parameter.name) == parameter.default,
            default=_value(parameter, parameter.default),
            meaning=parameter.meaning,
            permitted=parameter.permitted,
            idle=idle.get(parameter.name, ""),
        )
        for parameter in PARAMETERS.values()
    ]


def _value(parameter: Parameter, value: Value) -> str:
    if isinstance(value, bool) and not parameter.guide:
        return "on" if value else "off"
    unit = {"seconds": " s", "ms": " ms"}.get(parameter.unit, "")
    return f"{parameter.written(value)}{unit}"


def _idle(group: ServerGroup, is_literal: bool) -> dict[str, str]:
    """Say of each parameter without effect in this group why it has none.

    `is_literal`: no server is a name, so that each stands for one address.
    """
    idle: dict[str, str] = {}
    if group.fail_back_mode != ServerGroup.FailBackMode.DURATION:
        idle["fail_back_timeout"] = "Only failBack.mode duration uses it."
    if group.mode == ServerGroup.Mode.FAILOVER:
        idle["register_list_scope"] = "Only fallback groups use it."
    else:
        only = "Only failover groups use it."
        idle |= {"re_register_on": only, "shares_registrations": only}
        if is_literal:
            only = "Each server of this fallback group is one address."
            idle |= {"fail_back_mode": only, "fail_back_timeout": only}
    if not group.re_register_on:
        why = "Needs reRegisterOn."
        idle |= {"fail_registration_on": why, "only_signal_with_registered": why}
    elif not group.fail_registration_on:
        idle["only_signal_with_registered"] = "Needs failRegistrationOn."
    return idle


def warnings(
    group: ServerGroup, servers: Sequence[Server], lines: int, records: Sequence[DnsRow]
) -> list[str]:
    """Say what the guide, or arithmetic, warns of in this group.

    `lines` it registers; `records` of DNS are its own.
    """
    registering = [server for server in servers if server.register]
    is_failover = group.mode == ServerGroup.Mode.FAILOVER
    found = [_no_way(registering), _unasked(servers, records) if records else _names(servers)]
    if is_failover:
        found += [_unshared(group), _homeless(group, registering)]
    elif len(registering) > 2:
        found.append(
            f"{len(registering)} servers each hold a registration of every line: all of them are "
            "refreshed and retried for themselves, the more so while some are down. The guide "
            "advises two."
        )
    found.append(_too_slow(group, registering, lines))
    return [sentence for sentence in found if sentence]


def _no_way(registering: Sequence[Server]) -> str:
    if registering:
        return ""
    return "No server of this group takes registrations: its handsets have nowhere to go."


def one_place(servers: Sequence[Server], found: Mapping[int, set[str]]) -> str:
    """Say where redundancy is on paper only: servers of one address fail together.

    `found` has the addresses behind names, by server id, as they were found last.
    """
    by_address: dict[str, list[str]] = {}
    for server in servers:
        if server.register:
            for address in found.get(server.pk) or {server.address.lower()}:
                by_address.setdefault(address, []).append(str(server))
    return " ".join(
        f"{behaviour.listed(names)} are at one address, {address}: what takes one of them down is "
        "likely to take the other too."
        for address, names in sorted(by_address.items())
        if len(names) > 1
    )


def _names(servers: Sequence[Server]) -> str:
    names = [s.address for s in servers if not behaviour.is_literal(s.address)]
    if not names:
        return ""
    return (
        f"{behaviour.listed(names)} must be asked of DNS, and a record that ran out delays calls: "
        "use DNS on the site, long TTLs, or the group's static DNS cache."
    )


def _unasked(servers: Sequence[Server], records: Sequence[DnsRow]) -> str:
    """Name the group's own records that no look-up of its servers comes to."""
    asked: set[str] = set()
    more = {server.address.lower().removesuffix(".") for server in servers}
    while more:
        asked |= more | {f"{service}.{name}" for name in more for service in SERVICES.values()}
        told = {each for r in records if r.name in asked for each in (r.target, r.replacement)}
        more = {name for name in told if name} - asked
    idle = sorted({record.name for record in records} - asked)
    if not idle:
        return ""
    return (
        f"No server of this group asks for {behaviour.listed(idle)}: the records of its own by "
        f"{'that name' if len(idle) == 1 else 'those names'} are never used."
    )


def _unshared(group: ServerGroup) -> str:
    if group.re_register_on or group.shares_registrations:
        return ""
    return (
        "failOver.reRegisterOn is 0, so a handset uses the next server without registering there. "
        "That only works where the servers share their registrations, and shares_registrations "
        "is off."
    )


def _homeless(group: ServerGroup, registering: Sequence[Server]) -> str:
    modes, mode = ServerGroup.FailBackMode, group.fail_back_mode
    literal = all(behaviour.is_literal(server.address) for server in registering)
    if mode == modes.DNS_TTL and literal and len(registering) > 1:
        return (
            "failOver.failBack.mode is DNSTTL, but every server is a literal address: no record "
            "runs out, so the primary is tried again only when the current server fails."
        )
    if mode == modes.NEW_REQUESTS:
        return "newRequests is a mode of Polycom's UCS; the 84-Series does not offer it."
    return ""


def _too_slow(group: ServerGroup, registering: Sequence[Server], lines: int) -> str:
    cap, period = (
        group.max_registrations_per_second,
        renewal_delay(group.expires, group.expires_overlap, None, 0.5),
    )
    if not cap or not registering or lines / period <= cap:
        return ""
    return (
        f"{lines} lines renew about {lines / period:.0f} times a second, and "
        f"max_registrations_per_second lets {cap} through: registrations will run out."
    )


@dataclass(frozen=True, slots=True)
class Explanation:
    """A handset's situation."""

    next_words: str
    """Followed on the page by the time of the next step."""
    knows_less: bool
    """What its agent waits for says more."""
    advice: str


def explain(row: dict[str, Any], supervision: str) -> Explanation:
    """Say what happens next to the registration of this row (`queries.row`) and what to do."""
    planned = bool(row["next_attempt_at"])
    return Explanation(
        next_words=_next_words(row["state"], supervision, planned),
        knows_less=planned and row["state"] not in (State.UNKNOWN, State.DISABLED),
        advice=_advice(row),
    )


def _next_words(state: str, supervision: str, planned: bool) -> str:
    if state == State.DISABLED:
        return {
            Line.Supervision.OBSERVE: "Each of its servers is asked where it is bound.",
        }.get(Line.Supervision(supervision), "Nothing: supervision is off for this line.")
    if supervision == Line.Supervision.OBSERVE:
        return "Its servers are asked again" if state != State.UNKNOWN else "A look was due"
    if not planned:
        return "Rollcall is working on it now."
    if state == State.UNKNOWN:
        return "Nothing heard since; the next step was due"
    if state in (State.PRIMARY, State.SECONDARY, State.FALLBACK):
        return "Renews its registration"
    return "Tries again"


def _advice(row: dict[str, Any]) -> str:
    if row["silent"]:
        return (
            "The server that holds this registration no longer answers. Calls may not arrive "
            "until the handset moves or the server is back."
        )
    if row["state"] == State.UNKNOWN and row["supervision"] == Line.Supervision.OBSERVE:
        return (
            "None of its servers has said of late where it is: see what each of them answered. If "
            "none was asked, check that a worker runs for this site."
        )
    return {
        State.REJECTED: "No server takes this line. Check user name and password here and on the "
        "servers, then resume it; it tries again by itself too.",
        State.HELD: "Register the phone elsewhere or switch this line's supervision to observe. "
        "Override only if that contact is not a phone in use.",
        State.UNREGISTERED: "No server holds this line: it cannot be called now.",
        State.UNKNOWN: "Rollcall has heard nothing of its own worker about this line. Check that "
        "a worker runs for this site.",
    }.get(row["state"], "")
