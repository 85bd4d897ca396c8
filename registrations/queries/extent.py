"""Which part of the fleet somebody sees: all of it, or some groups, some sites, or both."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet


@dataclass(frozen=True, slots=True)
class Extent:
    """Ids; an empty set sets no limit. Limits by group and by site both count."""

    groups: frozenset[int] = frozenset()
    sites: frozenset[int] = frozenset()
    is_reach: bool = False
    """These sites are all that somebody may know of (`fleet.reach`)."""

    def of(self, rows: QuerySet[Any], *, group: str = "group", site: str = "site") -> QuerySet[Any]:
        """Those of `rows` within it. `group` and `site` are the fields that name them."""
        if self.groups:
            rows = rows.filter(**{f"{group}__in": self.groups})
        if self.sites:
            rows = rows.filter(**{f"{site}__in": self.sites})
        return rows


EVERYTHING = Extent()
