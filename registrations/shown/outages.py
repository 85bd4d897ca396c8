"""What would happen if a server died now: gathered, reckoned and said in sentences.

The figures are those the machine itself goes by: the renewals as its agents planned them, the
ladder a handset of the group waits, the cap. An estimate, and said to be one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import QuerySet, prefetch_related_objects

from fleet.models import Server, ServerGroup
from registrations import proving, queries, store
from registrations.judging import patience
from registrations.landing import Landing, Other, Rules, horizon, land
from registrations.shown.behaviour import duration, is_literal, listed
from registrations.shown.together import shared_fate
from registrations.sip.probe import PROBE_SCHEDULE
from registrations.sip.timers import TIMER_F

TOLD_AFTER_S = store.PROBE_EVERY_S + store.DOUBT_EVERY_S + 2 * PROBE_SCHEDULE.give_up_after
"""When the workers know of a silence at the latest: a probe each 10 s, and a second look."""
CAVEAT = (
    "Estimated from the renewals as planned now, the group's policy and its cap. A server that is "
    "slow, refuses or asks for a pause makes it longer; a port that is closed makes it shorter."
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the server where they would land last said of them; of the others nobody can tell."""

    proved: int = 0
    not_taken: int = 0


@dataclass(frozen=True, slots=True)
class Outage:
    """What would become of one group's handsets on a server that died now."""

    group: ServerGroup
    server: Server
    """The group's own entry for the place that died."""
    landing: Landing
    target: Server | None
    first_end: datetime | None
    half_end: datetime | None
    last_end: datetime | None
    """When the bindings there end, if nobody moves."""
    standing: Standing
    calls_it_primary: int
    """Handsets of the group, wherever they are now, where it is the group's primary."""
    silent_since: datetime | None
    """The countdown runs: since when it is silent, from some site."""
    sentences: list[str]

    def as_json(self) -> dict[str, Any]:
        """Return it as the API sends it."""
        landing = self.landing
        return {
            "group": self.group.pk,
            "group_name": self.group.name,
            "server": self.server.pk,
            "handsets": landing.handsets,
            "calls_it_primary": self.calls_it_primary,
            "lands_on": landing.server_id,
            "in_vain": list(landing.in_vain),
            "proved_there": self.standing.proved,
            "not_taken_there": self.standing.not_taken,
            "registers_at_most": landing.registers,
            "at_cap_seconds": landing.at_cap_s,
            "first_seconds": landing.first_s,
            "half_seconds": landing.half_s,
            "last_seconds": landing.last_s,
            "first_binding_ends_at": queries.moment(self.first_end),
            "half_of_bindings_ended_at": queries.moment(self.half_end),
            "last_binding_ends_at": queries.moment(self.last_end),
            "sentences": self.sentences,
        }


def at_place_of(server: Server) -> QuerySet[Server]:
    """Return the entries of all groups that name the same place as `server`: they die together."""
    place = {"address": server.address, "port": server.port, "transport": server.transport}
    return Server.objects.filter(**place)


def outages(
    servers: QuerySet[Server], now: datetime, by: ServerGroup | None = None
) -> list[Outage]:
    """Return what the death of each of these servers would do to its group.

    The one with most handsets first. A constant number of queries. `by` is their group with a
    policy that is not stored yet, to see what would happen by that.
    """
    there = list(servers.select_related("group").order_by("group__name", "priority"))
    for server in there:
        server.group = by or server.group
    prefetch_related_objects([server.group for server in there], "servers__health__site")
    ids = [each.pk for each in there]
    asked, proofs = queries.renewals(ids, now), queries.proofs_of_held(ids, now)
    groups = {each.group.pk: each.group for each in there}
    places, lines = _places(groups.values()), queries.lines_on(groups)
    found = [
        _outage(each, _Known(asked.get(each.pk, queries.Renewals()), proofs, places, lines), now)
        for each in there
    ]
    return sorted(found, key=lambda each: -each.landing.handsets)


@dataclass(frozen=True, slots=True)
class _Known:
    renewals: queries.Renewals
    proofs: Mapping[tuple[int, int], Mapping[str, int]]
    """By who holds them and who was asked, how many by proof."""
    places: Mapping[int, set[str]]
    """The addresses behind names, by server."""
    lines: Mapping[int, int]
    """Handsets that are not switched off, by group."""


def _places(groups: Iterable[ServerGroup]) -> Mapping[int, set[str]]:
    """One query for each group that names a server."""
    found: dict[int, set[str]] = {}
    for group in groups:
        if any(not is_literal(server.address) for server in group.servers.all()):
            found |= queries.addresses(group)
    return found


def _outage(server: Server, known: _Known, now: datetime) -> Outage:
    group = server.group
    by_id = {each.pk: each for each in group.servers.all()}
    ends = horizon(known.renewals.ends)
    mine = next((s for s in group.servers.all() if s.pk == server.pk), server)
    condition = queries.server_condition(mine.health.all(), now)
    silent = condition["since"] if condition["condition"] == "silent" else None
    landing = land(_others(server, now), known.renewals.due, _rules(group))
    standing = _standing(known.proofs.get((server.pk, landing.server_id or 0), {}))
    is_primary = server.pk == min(by_id, key=lambda pk: by_id[pk].priority, default=0)
    calls_it_primary = known.lines.get(group.pk, 0) if is_primary else 0
    return Outage(
        group=group,
        server=server,
        landing=landing,
        target=by_id.get(landing.server_id or 0),
        first_end=_moment(ends.first),
        half_end=_moment(ends.half),
        last_end=_moment(ends.last),
        standing=standing,
        calls_it_primary=calls_it_primary,
        silent_since=None if silent is None else datetime.fromisoformat(silent),
        sentences=[
            *_elsewhere(calls_it_primary, landing),
            *sentences(group, server, landing, by_id),
            *_risks(server, by_id.get(landing.server_id or 0), landing, standing, known.places),
        ],
    )


def _elsewhere(calls_it_primary: int, landing: Landing) -> list[str]:
    """Say how many more would be without their primary than are on it now."""
    if calls_it_primary <= landing.handsets:
        return []
    return [f"{_handsets(calls_it_primary)} call it their primary; {landing.handsets:,} on it now."]


def _standing(counts: Mapping[str, int]) -> Standing:
    return Standing(
        proved=sum(counts.get(proof, 0) for proof in proving.TAKES),
        not_taken=sum(counts.get(proof, 0) for proof in proving.TAKES_NOT),
    )


def _risks(
    server: Server,
    target: Server | None,
    landing: Landing,
    standing: Standing,
    places: Mapping[int, set[str]],
) -> list[str]:
    """Say what speaks against it: who is not proved there, and what the two share."""
    if target is None or not landing.handsets:
        return []
    said = (_proved(landing, target, standing), shared_fate(server, target, places))
    return [sentence for sentence in said if sentence]


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)


def _others(server: Server, now: datetime) -> list[Other]:
    """The others in the order they are tried: a round begins with the first, whoever failed."""
    return [
        Other(other.pk, queries.server_condition(other.health.all(), now)["condition"] == "silent")
        for other in server.group.servers.all()
        if other.pk != server.pk and other.register
    ]


def _rules(group: ServerGroup) -> Rules:
    holds_all = group.mode == ServerGroup.Mode.FALLBACK
    short = patience(store.policy_of(group)).give_up_after
    waits_all = holds_all and group.register_list_scope != ServerGroup.ListScope.ALL
    return Rules(
        holds_all=holds_all,
        rate=float(group.max_registrations_per_second),
        gives_up_s=TIMER_F if waits_all else short,
        told_after_s=TOLD_AFTER_S if group.fast_failover else None,
    )


def sentences(
    group: ServerGroup, server: Server, landing: Landing, by_id: Mapping[int, Server]
) -> list[str]:
    """Return what would happen, in the order in which it would."""
    if not landing.handsets:
        return [f"Nothing: no handset of {group} is on it."]
    who = _handsets(landing.handsets)
    if landing.server_id is None:
        return _nowhere(server, landing, who, by_id)
    target = by_id[landing.server_id]
    said = [
        *_where(group, landing, target, by_id),
        _load(group, landing, target),
        _when(landing, group),
    ]
    return [sentence for sentence in said if sentence]


def _handsets(n: int) -> str:
    return "1 handset" if n == 1 else f"{n:,} handsets"


def _nowhere(server: Server, landing: Landing, who: str, by_id: Mapping[int, Server]) -> list[str]:
    silent = [str(by_id[pk]) for pk in landing.in_vain]
    why = f"{listed(silent)} {_is(silent)} silent" if silent else "the group has no other server"
    return [
        f"{who} would have nowhere to go: {why}.",
        f"They could not be called until {listed([str(server), *silent])} "
        f"{'answers' if not silent else 'or another answers'} again.",
    ]


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _where(
    group: ServerGroup, landing: Landing, target: Server, by_id: Mapping[int, Server]
) -> list[str]:
    who = _handsets(landing.handsets)
    silent = [str(by_id[pk]) for pk in landing.in_vain]
    said = []
    if group.mode == ServerGroup.Mode.FALLBACK:
        said.append(f"{who} would work with {target}, where they hold a registration already.")
        lost = [str(feature) for feature in target.lost_features]
        if lost:
            said.append(f"There they do without {listed(lost)}.")
    elif group.re_register_on:
        said.append(f"{who} would register with {target}.")
    else:
        said.append(
            f"{who} would use {target} for calls at once and register there at the next renewal: "
            "failOver.reRegisterOn is 0."
        )
    if silent:
        said.append(
            f"They would ask {listed(silent)} in vain before, which {_is(silent)} silent now."
        )
    return said


def _proved(landing: Landing, target: Server, standing: Standing) -> str:
    """Say what the standby proofs know of it."""
    unproved = landing.handsets - standing.proved - standing.not_taken
    if not standing.not_taken and unproved <= 0:
        whom = "it" if landing.handsets == 1 else "all of them"
        return f"{target} is proved to take {whom}."
    said = []
    if standing.not_taken:
        said.append(f"{standing.not_taken:,} would not be taken there, by what it answered last")
    if unproved > 0:
        said.append(f"{unproved:,} {'is' if unproved == 1 else 'are'} not proved there")
    return f"Of these {'; '.join(said)}."


def _load(group: ServerGroup, landing: Landing, target: Server) -> str:
    if not landing.registers:
        return "No REGISTER is needed for that."
    said = (
        f"That is up to {landing.registers:,} REGISTERs at {target}, as each is usually asked for "
        "its credentials once"
    )
    if landing.at_cap_s is None:
        return f"{said}; without a cap all of them may come at the same moment."
    cap = group.max_registrations_per_second
    return f"{said}: {_about(landing.at_cap_s)} at the cap of {cap} a second."


def _when(landing: Landing, group: ServerGroup) -> str:
    if landing.first_s is None or landing.half_s is None or landing.last_s is None:
        return ""
    told = (
        f"The workers would find out within {_about(TOLD_AFTER_S)} and tell them all"
        if group.fast_failover
        else "Each would find out only at its own renewal, and look registered until then"
    )
    if landing.handsets == 1:
        return f"{told}: over in {_about(landing.last_s)}."
    return (
        f"{told}: the first over in {_about(landing.first_s)}, half of them in "
        f"{_about(landing.half_s)}, the last in {_about(landing.last_s)}."
    )


def _about(seconds: float) -> str:
    """A length of time no more exact than it is known."""
    whole = max(1, round(seconds))
    return duration(whole if whole < 600 else round(whole / 60) * 60)
