"""Letting many lines look again at once: who is meant, who is left out and why, the order."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Q

from fleet import request_id
from fleet.models import Line
from registrations import jobs, queries, store, wishes
from registrations.models import Registration, State

EXAMPLES = 8
MUST_TYPE = 100
"""More than these are asked only by who types how many they are."""


@dataclass(slots=True)
class Preview:
    """Whom an order to look again would touch."""

    asked: int = 0
    lanes: list[tuple[str, str, int]] = field(default_factory=list)
    """(group, stored state, how many) of those asked."""
    left_out: list[tuple[str, int]] = field(default_factory=list)
    examples: list[Any] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.asked + sum(n for _, n in self.left_out)

    @property
    def more(self) -> int:
        return self.asked - len(self.examples)

    @property
    def must_type(self) -> bool:
        return self.asked > MUST_TYPE


_ON = Q(line__supervision=Line.Supervision.REGISTER) & ~Q(state=State.DISABLED)
_REASONS = (
    (~_ON, "its supervision is off"),
    (_ON & ~Q(state__in=wishes.RESUMABLE), "it is on a server: nothing to resume"),
    (_ON & Q(state__in=wishes.RESUMABLE, wish__in=jobs.WISHES), "a job moves it, which tries too"),
    (_ON & Q(state__in=wishes.RESUMABLE, wish=wishes.OVERRIDE), "it is about to bind anyway"),
)
_ASKED = _ON & Q(state__in=wishes.RESUMABLE) & ~Q(wish__in=(*jobs.WISHES, wishes.OVERRIDE))


def preview(rows: queries.Shown) -> Preview:
    """Name who would be touched: by group and state, a few by name, and who is left out."""
    asked = rows.filter(_ASKED).order_by()
    counted: Counter[tuple[str, str]] = Counter()
    for group, state in asked.values_list("group__name", "state"):
        counted[group, State(state).label] += 1
    out = ((why, rows.filter(rule).count()) for rule, why in _REASONS)
    first = asked.select_related("line__handset").defer("snapshot", "line__auth_password")
    return Preview(
        asked=sum(counted.values()),
        lanes=[(group, word, n) for (group, word), n in sorted(counted.items())],
        left_out=[(why, n) for why, n in out if n],
        examples=list(first.order_by("line__handset__name", "pk")[:EXAMPLES]),
    )


def resume(rows: queries.Shown, user: Any) -> int:
    """Let them forget back-off and refusals and try again, at their servers' pace; how many."""
    ids = list(rows.filter(_ASKED).order_by("pk").values_list("pk", flat=True))
    by_cap: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    asked = 0
    for start in range(0, len(ids), store.BATCH):
        with transaction.atomic():
            chunk = Registration.objects.filter(_ASKED, pk__in=ids[start : start + store.BATCH])
            # Again by the same rule: who got a server meanwhile is not touched.
            still = chunk.select_for_update(of=("self",)).order_by("pk")
            found = still.values_list("pk", "group_id", "group__max_registrations_per_second")
            for pk, group, cap in found:
                by_cap[group][cap].append(pk)
                asked += 1
            Registration.objects.filter(pk__in=[pk for pk, _, _ in found]).update(
                wish=wishes.RESUME,
                wish_by=user.get_username(),
                wish_request=request_id.current(),
                wish_version=F("wish_version") + 1,
            )
    for caps in by_cap.values():
        for cap, group_ids in caps.items():
            store.spread(group_ids, cap)
    return asked


def chosen(listed: list[str], match: str | None, now: datetime) -> queries.Shown:
    """The rows an order means: all that match a filter, as it finds them now, or those listed."""
    if match is None:
        ids = [int(pk) for pk in listed if pk.isdecimal() and len(pk) < 19]
        return queries.plain(now).filter(pk__in=ids)
    return queries.matching(match, now)
