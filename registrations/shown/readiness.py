"""Would the others take them? Standby proofs, counted and said in sentences."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Prefetch, QuerySet

from fleet.models import Server, ServerGroup
from registrations import proving, queries
from registrations.models import StandbyProof
from registrations.shown.behaviour import duration, listed

Proof = StandbyProof.Proof

LOOKS = {
    Proof.PROVED: "well",
    Proof.OPEN: "held",
    Proof.REFUSED: "refused",
    Proof.UNKNOWN_AOR: "unregistered",
    Proof.SILENT: "silent",
    Proof.UNCLEAR: "help",
    Proof.STALE: "unknown",
    Proof.UNASKED: "unknown",
}
"""The state whose colour and icon a proof has."""

MEANS = {
    Proof.PROVED: "it asked for the password and took it",
    Proof.OPEN: "it asks for no password, so that is not proved",
    Proof.REFUSED: "it refuses the user name or password",
    Proof.UNKNOWN_AOR: "it does not know the address of record",
    Proof.SILENT: "it does not answer",
    Proof.UNCLEAR: "it gives an answer that says neither",
    Proof.STALE: "its last answer is too old",
    Proof.UNASKED: "it was not asked yet",
}


HOURS = 7 * 24
"""How much of the past is drawn."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One server of a group: how many of its lines it would take."""

    server: Server
    counts: Mapping[str, int]
    left_alone: str
    """Why it is asked nothing for a while; '' where it is."""
    hours: Sequence[queries.Hour] = ()
    """Of the last week."""

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def taken(self) -> int:
        return sum(self.counts.get(proof, 0) for proof in proving.TAKES)

    @property
    def not_taken(self) -> int:
        return sum(self.counts.get(proof, 0) for proof in proving.TAKES_NOT)

    @property
    def untold(self) -> int:
        return self.total - self.taken - self.not_taken

    @property
    def words(self) -> list[dict[str, Any]]:
        """Each proof that anybody has, the good one first."""
        return [
            {
                "proof": proof.value,
                "told": f"{self.counts[proof]:,} {str(proof.label).lower()}",
                "means": MEANS[proof],
                "looks": LOOKS[proof],
                "n": self.counts[proof],
            }
            for proof in Proof
            if self.counts.get(proof)
        ]

    @property
    def pieces(self) -> list[tuple[str, str, int]]:
        """For a bar, whose empty part are those of whom nobody can tell."""
        found = (("well", self.taken), ("refused", self.not_taken), ("pending", self.untold))
        return [(looks, "", n) for looks, n in found]

    @property
    def trend(self) -> list[tuple[str, int, float, float]]:
        """The last week as upright pieces: state, hour, top and height, of a square of 168.

        An hour without a count has none.
        """
        if not self.hours:
            return []
        last, drawn = self.hours[-1].at, list[tuple[str, int, float, float]]()
        for hour in self.hours:
            at = HOURS - 1 - round((last - hour.at).total_seconds() / 3600)
            whole = max(1, hour.taken + hour.not_taken + hour.untold)
            taken, refused = HOURS * hour.taken / whole, HOURS * hour.not_taken / whole
            drawn.append(("well", at, HOURS - taken, taken))
            drawn.append(("refused", at, HOURS - taken - refused, refused))
        return drawn

    @property
    def trend_told(self) -> str:
        """The same in words."""
        if not self.hours:
            return "Not counted yet."
        worst = min(self.hours, key=lambda hour: (hour.taken, -hour.not_taken))
        return f"In the last week it would have taken {worst.taken:,} at least, {self.taken:,} now."


@dataclass(frozen=True, slots=True)
class Readiness:
    """One group: what would become of its lines if its primary died now."""

    group: ServerGroup
    standings: Sequence[Standing]
    target: Standing | None
    """Who would be asked to take them; None: nobody."""
    sentence: str

    def as_json(self) -> dict[str, Any]:
        """Return it as the API sends it."""
        return {
            "group": self.group.pk,
            "group_name": self.group.name,
            "lands_on": None if self.target is None else self.target.server.pk,
            "sentence": self.sentence,
            "servers": [
                {
                    "server": each.server.pk,
                    "server_name": str(each.server),
                    "total": each.total,
                    "taken": each.taken,
                    "not_taken": each.not_taken,
                    "untold": each.untold,
                    "proofs": {word["proof"]: word["n"] for word in each.words},
                    "left_alone": each.left_alone,
                }
                for each in self.standings
            ],
        }


def readiness(now: datetime, groups: QuerySet[ServerGroup] | None = None) -> list[Readiness]:
    """Return all groups that have servers, by name. A constant number of queries."""
    counts, refused = queries.proof_counts(now), queries.refusals(now)
    hours = queries.readiness_hours(now - timedelta(hours=HOURS), now)
    chosen = ServerGroup.objects.all() if groups is None else groups
    servers = Server.objects.filter(register=True).order_by("priority")
    found = chosen.prefetch_related(Prefetch("servers", servers), "servers__health__site")
    told = []
    for group in found.order_by("name"):
        standings = [
            Standing(
                server,
                counts.get(server.pk, Counter()),
                _left_alone(server, refused),
                hours.get(server.pk, ()),
            )
            for server in group.servers.all()
        ]
        if standings:
            told.append(_readiness(group, standings, now))
    return told


def trend(
    since: datetime,
    until: datetime,
    group: ServerGroup | None = None,
    server: Server | None = None,
) -> list[dict[str, Any]]:
    """Return how many each server would have taken over time, as the API sends it. Two queries."""
    servers = Server.objects.filter(register=True).select_related("group")
    if group is not None:
        servers = servers.filter(group=group)
    if server is not None:
        servers = servers.filter(pk=server.pk)
    hours = queries.readiness_hours(since, until, server__in=servers.values("pk"))
    return [
        {
            "server": each.pk,
            "server_name": str(each),
            "group": each.group_id,
            "group_name": each.group.name,
            "at": [queries.moment(hour.at) for hour in hours.get(each.pk, ())],
            **{name: [getattr(hour, name) for hour in hours.get(each.pk, ())] for name in _PARTS},
        }
        for each in servers.order_by("group__name", "priority")
    ]


def _left_alone(server: Server, refused: Mapping[tuple[str, int], int]) -> str:
    n = refused.get((server.address, server.port), 0)
    if n < proving.BRAKE_AT:
        return ""
    return (
        f"It refused {n} within {duration(round(proving.BRAKE_S))}. It is asked again only when "
        "that is past: what guards a server, as fail2ban does, must not lock Rollcall out."
    )


def _readiness(group: ServerGroup, standings: Sequence[Standing], now: datetime) -> Readiness:
    dying, others = standings[0], standings[1:]
    silent = [each for each in others if _is_silent(each.server, now)]
    target = next((each for each in others if each not in silent), None)
    begins = f"If {dying.server} died now,"
    if _is_silent(dying.server, now):
        begins = f"With {dying.server} silent, as it is now,"
    return Readiness(group, standings, target, _sentence(begins, target, silent, group))


def _is_silent(server: Server, now: datetime) -> bool:
    return queries.server_condition(server.health.all(), now)["condition"] == "silent"


def _sentence(
    begins: str, target: Standing | None, silent: Sequence[Standing], group: ServerGroup
) -> str:
    if target is None and not silent:
        return f"{begins} nobody would take its handsets: {group} has no other server for them."
    if target is None:
        names = [str(each.server) for each in silent]
        verb = "is" if len(names) == 1 else "are"
        return f"{begins} nobody would take its handsets: {listed(names)} {verb} silent."
    if not target.total:
        return f"{begins} there would be nobody to take: no handset of {group} is supervised."
    return f"{begins} {counted(target.taken, target.not_taken, target.untold, str(target.server))}"


def counted(taken: int, not_taken: int, untold: int, by: str) -> str:
    """Say how many would be taken, how many not, and of how many nobody can tell."""
    total = taken + not_taken + untold
    if untold == total:
        return f"nobody can tell yet whether {by} would take {_all_of(total)}."
    if taken == total:
        return f"{_all_of(total)} would be taken by {by}."
    said = f"{taken:,} of {total:,} would be taken by {by}"
    if not_taken:
        said += f"; {not_taken:,} would not"
    if untold:
        said += f"; of {untold:,} nobody can tell"
    return f"{said}."


def _all_of(total: int) -> str:
    return "the one handset" if total == 1 else f"all {total:,}"


def headline(found: Sequence[Readiness]) -> str:
    """The whole fleet in one sentence: a group's own where there is but one."""
    if not settings.PROVE_EVERY:
        return "Nobody is asked: PROVE_EVERY is 0."
    if not found:
        return "No group has a server yet."
    if len(found) == 1:
        return found[0].sentence
    targets = [each.target for each in found if each.target is not None]
    # Whoever has nowhere to go is not taken.
    lost = sum(each.standings[0].total for each in found if each.target is None)
    sums = [sum(getattr(each, name) for each in targets) for name in _PARTS]
    taken, not_taken, untold = sums[0], sums[1] + lost, sums[2]
    if not taken + not_taken + untold:
        return "No handset is supervised yet."
    told = counted(taken, not_taken, untold, "the next server of their group")
    return f"If every primary died now, {told}"


_PARTS = ("taken", "not_taken", "untold")


def rows_of(registrations: Sequence[int], now: datetime) -> dict[int, list[Any]]:
    """Return the proofs of these lines, by line, in the order of their servers."""
    found: dict[int, list[Any]] = {pk: [] for pk in registrations}
    mine = queries.in_full(queries.proofs(now)).filter(registration__in=registrations)
    for proof in mine.order_by("server__priority"):
        found[proof.registration_id].append(queries.proof_row(proof))
    return found
