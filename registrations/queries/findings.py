"""Binding truth: where what a registrar lists is not what Rollcall believes, each with its kind."""

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, CharField, Exists, F, OuterRef, Q, Value, When
from django.db.models.enums import TextChoices

from fleet import reach
from fleet.filters import WordsFilter
from fleet.models import ServerGroup
from registrations import observing
from registrations.models import StandbyProof
from registrations.queries.readiness import ProofFilter, Proofs, line_at_server, proofs_at
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
    BRIEF = "brief", "Granted for too short"


def findings(now: datetime) -> Proofs:
    """Return the proofs that contradict what is believed, with `kind`; the gravest counts."""
    kinds = _kinds(now)
    kind = Case(
        *(When(q, then=Value(k.value)) for k, q in kinds.items()),
        default=Value(""),
        output_field=CharField(),
    )
    return proofs_at(now).annotate(kind=kind).exclude(kind="")


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
    with reach.everything():
        listing = StandbyProof.objects.filter(our_own | others)
    apart = Q(server__group__mode=ServerGroup.Mode.FAILOVER)
    apart &= Q(server__group__shares_registrations=False)
    # A grant that lasts longer than the one that is kept has followed it.
    brief = ours & Q(
        registration__server=F("server"),
        registration__state__in=BOUND,
        registration__expires_at__lte=F("granted_until"),
        granted_until__gt=now,
        granted_s__lt=F("server__group__expires") * observing.FAR_LESS,
    )
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
        FindingKind.BRIEF: brief,
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


class FindingFilter(ProofFilter):
    """Over `findings(now)`."""

    kind = WordsFilter(choices=FindingKind.choices)


def finding_row(proof: Any) -> dict[str, Any]:
    """Return one row of `findings`, in full, as data."""
    return {
        "id": proof.pk,
        "kind": proof.kind,
        "kind_word": str(FindingKind(proof.kind).label),
        **line_at_server(proof),
        "contacts": [uri for uri, _ in proof.contacts],
        "others_until": moment(proof.others_until),
        "own_until": moment(proof.own_until),
        "believed_until": moment(proof.registration.expires_at),
        "asked_at": moment(proof.asked_at),
        "granted_s": proof.granted_s,
        "expires": proof.server.group.expires,
    }
