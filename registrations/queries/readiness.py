"""Standby proofs as shown: who would be taken by which server, and of whom nobody can tell.

`silent` and `stale` are derived: a server that is silent from a site is not asked there, and an
answer is not believed for ever.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import django_filters
from django.conf import settings
from django.db.models import Case, CharField, Count, F, Q, QuerySet, Value, When

from fleet import reach
from fleet.filters import Filters, IdFilter, IdsFilter, WordsFilter
from fleet.models import Server, ServerGroup, Site
from registrations import proving
from registrations.models import ReadinessHour, ServerHealth, StandbyProof
from registrations.queries.rows import BOUND
from registrations.queries.words import moment

Proof = StandbyProof.Proof
Place = tuple[str, int]


class Proofs(QuerySet[StandbyProof]):
    """Proofs, or what they contradict, as shown at one moment, `now`."""

    now: datetime

    def _clone(self) -> Self:
        clone: Self = super()._clone()  # type: ignore[misc]
        clone.now = self.now
        return clone


def proofs(now: datetime) -> Proofs:
    """Return all proofs with `shown_proof`, to be filtered and counted."""
    return proofs_at(now).annotate(shown_proof=_shown(now))


def proofs_at(now: datetime) -> Proofs:
    """Return all proofs as they stand, to be shown as at that moment."""
    rows = Proofs(StandbyProof)
    rows.now = now
    return reach.of(rows)


def in_full(rows: QuerySet[StandbyProof]) -> QuerySet[StandbyProof]:
    """Return the same with everything `proof_row` reads."""
    related = rows.select_related("registration__line__handset", "server__group", "site")
    line = "registration__line"
    unread = ("auth_password", "search_text", "handset__search_text")
    return related.defer("registration__snapshot", *(f"{line}__{name}" for name in unread))


def _shown(now: datetime) -> Case:
    overdue = timedelta(seconds=proving.STALE_AFTER * settings.PROVE_EVERY)
    return Case(
        When(_silent(), then=Value(Proof.SILENT.value)),
        When(proof=Proof.UNASKED, then=Value(Proof.UNASKED.value)),
        When(due_at__lt=now - overdue, then=Value(Proof.STALE.value)),
        default=F("proof"),
        output_field=CharField(),
    )


def _silent() -> Q:
    """The rows whose server is silent from their site."""
    known = ServerHealth.objects.filter(condition=ServerHealth.Condition.SILENT)
    by_site: dict[int, list[int]] = defaultdict(list)
    for site_id, server_id in known.values_list("site", "server").order_by("site", "server"):
        by_site[site_id].append(server_id)
    sites: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for site_id, servers in by_site.items():
        sites[tuple(servers)].append(site_id)
    there = Q(pk__in=[])
    for silent_ones, at in sites.items():
        there |= Q(server__in=silent_ones, site__in=at)
    return there


class ProofFilter(Filters):
    """Whose proofs. Values of one field are alternatives, fields add up."""

    group = IdsFilter(queryset=ServerGroup.objects.all(), field_name="server__group")
    server = IdsFilter(queryset=Server.objects.all())
    site = IdsFilter(queryset=Site.objects.all())
    registration = IdFilter(field_name="registration")

    class Meta:
        model = StandbyProof
        fields: list[str] = []


class ReadinessFilter(ProofFilter):
    """Over `proofs(now)`."""

    proof = WordsFilter(choices=Proof.choices, field_name="shown_proof", label="Proof")
    takes = django_filters.BooleanFilter(method="by_taking", label="Would be taken")

    def by_taking(self, rows: Proofs, _name: str, value: bool) -> Proofs:
        return rows.filter(shown_proof__in=proving.TAKES if value else proving.TAKES_NOT)


def proof_counts(now: datetime, **part: Any) -> Mapping[int, Counter[str]]:
    """Return how many lines each server has by shown proof, of that part of them. Two queries."""
    found: dict[int, Counter[str]] = defaultdict(Counter)
    mine = proofs(now).filter(**part).order_by()
    counted = mine.values_list("server", "shown_proof").annotate(n=Count("pk"))
    for server_id, proof, n in counted:
        found[server_id][proof] += n
    return found


def proofs_of_held(
    server_ids: Iterable[int], now: datetime
) -> Mapping[tuple[int, int], Counter[str]]:
    """Of the lines each of these servers holds: what the others said of them, as counts.

    By (server that holds them, server asked). Two queries.
    """
    found: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    held = {"registration__server__in": list(server_ids), "registration__state__in": BOUND}
    others = proofs(now).filter(**held).exclude(server=F("registration__server")).order_by()
    by = others.values_list("registration__server", "server", "shown_proof")
    for holder, asked, proof, n in by.annotate(n=Count("pk")):
        found[holder, asked][proof] += n
    return found


@dataclass(frozen=True, slots=True)
class Hour:
    """Whom a server would have taken at a time."""

    at: datetime
    taken: int
    not_taken: int
    untold: int


def readiness_hours(since: datetime, until: datetime, **part: Any) -> Mapping[int, list[Hour]]:
    """Return what was counted from `since` up to before `until`, by server, in order. One query."""
    found: dict[int, list[Hour]] = defaultdict(list)
    rows = ReadinessHour.objects.filter(at__gte=since, at__lt=until, **part).order_by("at")
    for server_id, *counted in rows.values_list("server", "at", "taken", "not_taken", "untold"):
        found[server_id].append(Hour(*counted))
    return found


def refusals(now: datetime) -> Counter[Place]:
    """Return how many handsets each place has refused of late (`proving.BRAKE_S`)."""
    since = now - timedelta(seconds=proving.BRAKE_S)
    late = StandbyProof.objects.filter(refused_at__gt=since).order_by()
    found: Counter[Place] = Counter()
    for address, port, n in late.values_list("server__address", "server__port").annotate(
        n=Count("pk")
    ):
        found[address, port] += n
    return found


def line_at_server(proof: Any) -> dict[str, Any]:
    """Return which line and which server a row of `in_full` is of, as the API sends it."""
    line, server = proof.registration.line, proof.server
    return {
        "registration": proof.registration_id,
        "handset": line.handset_id,
        "mac": line.handset.mac,
        "extension": line.extension,
        "name": line.handset.name,
        "group": server.group_id,
        "group_name": server.group.name,
        "site": proof.site_id,
        "site_name": proof.site.name,
        "server": {"id": server.pk, "address": server.address, "port": server.port},
        "server_name": str(server),
    }


def proof_row(proof: Any) -> dict[str, Any]:
    """Return one row of `in_full(proofs(now))` as the API sends it."""
    return {
        "id": proof.pk,
        **line_at_server(proof),
        "proof": proof.shown_proof,
        "proof_word": str(Proof(proof.shown_proof).label),
        "since": moment(proof.since),
        "asked_at": moment(proof.asked_at),
        "proved_at": moment(proof.proved_at),
        "next_at": moment(proof.due_at) if settings.PROVE_EVERY else None,
        "code": proof.code,
        "reason": _reason(proof),
        "refusals": proof.refusals,
        "contacts": [
            {"uri": uri, "until": datetime.fromtimestamp(until, UTC).isoformat()}
            for uri, until in proof.contacts
        ],
    }


def _reason(proof: Any) -> str:
    """What it said is no reason for a silence that others found."""
    if proof.shown_proof != Proof.SILENT or proof.proof == Proof.SILENT:
        return str(proof.reason)
    before = f" Before that: {proof.reason}" if proof.reason else ""
    return f"The server answers nobody at this site.{before}"
