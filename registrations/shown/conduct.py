"""What a group's handsets would do by a policy and an order of servers that are not stored yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, Prefetch, When, prefetch_related_objects

from fleet import ordering
from fleet.formats.dns_cache import DnsRow
from fleet.models import Line, Server, ServerGroup
from registrations.shown import behaviour, outages, watching, wording
from registrations.shown.behaviour import Step
from registrations.shown.outages import Outage

REGISTER, OBSERVE = Line.Supervision.REGISTER, Line.Supervision.OBSERVE


@dataclass(frozen=True, slots=True)
class Conduct:
    """It in sentences, what speaks against it, and what each server's death would do then."""

    steps: list[Step]
    warnings: list[str]
    outages: list[Outage]


@dataclass(frozen=True, slots=True)
class NewPrimary:
    """What an order does that makes another server the primary."""

    before: Server | None
    after: Server | None
    lines: int
    """That register."""
    watched: int
    """Lines that are only watched: their handsets go by their own configuration."""
    homeward: str
    """How each of them goes there."""
    cap: int

    @property
    def at_least_s(self) -> float | None:
        """How long all of them take at least; None without a cap, or where nobody goes."""
        return self.lines / self.cap if self.cap and self.lines else None


def of(group: ServerGroup, records: Sequence[DnsRow], now: datetime) -> Conduct:
    """Return the conduct of `group` as it stands here, which need not be as it is stored.

    `records` of DNS would be its own.
    """
    servers, lines = list(group.servers.all()), _lines(group, REGISTER)
    return Conduct(
        steps=[*behaviour.steps(group, servers, lines), *watching.steps(group, servers)],
        warnings=wording.warnings(group, servers, lines, records),
        outages=outages.outages(group.servers.filter(register=True), now, group),
    )


def arrange(group: ServerGroup, order: Sequence[int]) -> NewPrimary | None:
    """Let the group's servers stand in this order here; say what of it moves the primary.

    Raises inventory.Refused unless each of them is named once.
    """
    ids = list(group.servers.order_by("priority").values_list("pk", flat=True))
    asked = ordering.asked(group, order, ids)
    place = Case(*(When(pk=pk, then=n) for n, pk in enumerate(order, 1)))
    prefetch_related_objects([group], Prefetch("servers", Server.objects.order_by(place)))
    for n, server in enumerate(group.servers.all(), 1):
        server.priority = n
    return new_primary(asked)


def new_primary(asked: ordering.Order) -> NewPrimary | None:
    """Return what is to be said before this is done; None where nobody need be asked."""
    group = asked.group
    if not asked.moves_primary:
        return None
    cap, homeward = group.max_registrations_per_second, behaviour.homeward(group)
    lines, watched = (_lines(group, kind) for kind in (REGISTER, OBSERVE))
    return NewPrimary(*asked.primaries, lines, watched, homeward, cap)


def _lines(group: ServerGroup, supervision: str) -> int:
    return Line.objects.filter(handset__group=group.pk, supervision=supervision).count()
