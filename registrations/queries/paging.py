"""Pages of registrations: the ids are found by filter and order alone, then their rows by id."""

from typing import Any

from django.core.paginator import Page, Paginator

from registrations.models import Registration
from registrations.queries.rows import Shown, plain, registrations

FEW = 10_000
"""Fewer than these are found first and sorted then.

A database that counts on meeting them soon along the index of names walks through nearly all of it
where they stand close together there, as the handsets of a ward do.
"""


class Pager(Paginator):
    """Pages of filtered rows (`rows.plain`) in an order (`order.ordered`).

    Only the rows of the page itself are joined to all that is shown of them. What lies in the
    second half is reached from the end.
    """

    object_list: Shown

    def ids(self, number: int) -> list[int]:
        """Return the ids on this page in order."""
        start = (number - 1) * self.per_page
        stop = min(start + self.per_page, self.count)
        rows = self._found_first() if self.count < FEW else self.object_list
        if start <= self.count // 2:
            return list(rows.values_list("pk", flat=True)[start:stop])
        back = rows.reverse().values_list("pk", flat=True)
        return list(back[self.count - stop : self.count - start])[::-1]

    def _found_first(self) -> Shown:
        rows = self.object_list
        # No planner looks past a limit, and this one tells it how many there are; a few more may
        # have come since they were counted.
        ids = rows.order_by().values("pk")[: self.count + self.per_page]
        return plain(rows.now).filter(pk__in=ids).order_by(*rows.query.order_by)

    def page(self, number: int | str) -> Page[Registration]:
        number = self.validate_number(number)
        ids = self.ids(number)
        found = registrations(self.object_list.now).in_bulk(ids)
        rows: list[Any] = [found[pk] for pk in ids if pk in found]
        return self._get_page(rows, number, self)  # type: ignore[attr-defined]
