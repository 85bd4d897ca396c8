"""Binding truth: where what a registrar lists is not what Rollcall believes, each with its kind."""

from datetime import datetime, timedelta
from typing import Any, Self

from django.db.models import Case, CharField, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.db.models.enums import TextChoices

from fleet.filters import Filters, IdFilter, IdsFilter, WordsFilter
from fleet.models import Server, ServerGroup, Site
from registrations import observing
from registrations.models import StandbyProof
from registrations.queries.rows import BOUND
from registrations.queries.words import moment

SHORTER_BY = timedelta(seconds=30)
"""A binding that ends so much before the time granted was shortened; looks and clocks differ."""


class FindingKind(TextChoices):
    """What is wrong."""

    FOREIGN = "foreign", "Somebody else is bound"
    MISSING = "missing", "Not listed"
    SHORTENED = "shortened", "Ends too early"
    LEFTOVER = "leftover", "Our own binding is left there"
    TWICE = "twice", "Bound on two servers"


class Findings(QuerySet[StandbyProof]):
    """Findings at one moment, `now`."""

    now: datetime

    def _clone(self) -> Self:
        clone: Self = super()._clone()  # type: ignore[misc]
        clone.now = self.now
        return clone


def findings(now: datetime) -> Findings:
    """Return the proofs that contradict what is believed, with `kind`; the gravest counts."""
    rows = Findings(StandbyProof)
    rows.now = now
    kinds = _kinds(now)
    kind = Case(
        *(When(q, then=Value(k.value)) for k, q in kinds.items()),
        default=Value(""),
        output_field=CharField(),
    )
    return rows.annotate(kind=kind).exclude(kind="")


def _kinds(now: datetime) -> dict[FindingKind, Any]:
    ours, watched = Q(is_observed=False), Q(is_observed=True)
    our_own, others = Q(own_until__gt=now), Q(others_until__gt=now)
    granted = F("registration__expires_at")
    believed = ours & Q(
        registration__server=F("server"),
        registration__state__in=BOUND,
        registration__heard_at__lt=F("asked_at"),
        registration__expires_at__gt=now,
        proof__in=[proof.value for proof in observing.LISTS],
    )
    # A registrar that lists nobody at all cannot be held to it.
    listing = StandbyProof.objects.filter(our_own | others)
    apart = Q(server__group__mode=ServerGroup.Mode.FAILOVER)
    apart &= Q(server__group__shares_registrations=False)
    ours_twice = ours & our_own & Q(_elsewhere(our_own))
    seen_twice = watched & others & Q(_elsewhere(others))
    return {
        FindingKind.FOREIGN: ours & others,
        FindingKind.MISSING: believed
        & Q(own_until=None)
        & Q(server__in=listing.order_by().values("server")),
        FindingKind.SHORTENED: believed & Q(own_until__lt=granted - SHORTER_BY),
        FindingKind.LEFTOVER: watched & our_own,
        FindingKind.TWICE: apart & (ours_twice | seen_twice),
    }


def _elsewhere(bound: Q) -> Exists:
    """Whether a later server of the group lists the line too: of two, the first one is told."""
    return Exists(
        StandbyProof.objects.filter(
            bound,
            registration=OuterRef("registration"),
            server__priority__gt=OuterRef("server__priority"),
        )
    )


class FindingFilter(Filters):
    """Over `findings(now)`. Values of one field are alternatives, fields add up."""

    kind = WordsFilter(choices=FindingKind.choices)
    group = IdsFilter(queryset=ServerGroup.objects.all(), field_name="server__group")
    server = IdsFilter(queryset=Server.objects.all())
    site = IdsFilter(queryset=Site.objects.all())
    registration = IdFilter(field_name="registration")

    class Meta:
        model = StandbyProof
        fields: list[str] = []


def finding_row(proof: Any) -> dict[str, Any]:
    """Return one row of `findings`, in full, as data."""
    line, server = proof.registration.line, proof.server
    return {
        "id": proof.pk,
        "kind": proof.kind,
        "kind_word": str(FindingKind(proof.kind).label),
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
        "contacts": [uri for uri, _ in proof.contacts],
        "others_until": moment(proof.others_until),
        "own_until": moment(proof.own_until),
        "believed_until": moment(proof.registration.expires_at),
        "asked_at": moment(proof.asked_at),
    }
