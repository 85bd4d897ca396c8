"""Pages of registrations: the ids are found by filter and order alone, then their rows by id."""

from functools import cached_property
from typing import Any

from django.core.paginator import Page, Paginator

from registrations.models import Registration
from registrations.queries.rows import Shown, plain, registrations

FEW = 5_000
"""Fewer than these are found first and sorted then. They are counted before: of very many, as a
word that all have finds them, nothing but their number is worked out.

A database that counts on meeting them soon along the index of names walks through nearly all of it
where they stand close together there, as the handsets of a ward do.
"""


class Pager(Paginator):
    """Pages of filtered rows (`rows.plain`) in an order (`order.ordered`).

    Only the rows of the page itself are joined to all that is shown of them. What lies in the
    second half is reached from the end.
    """

    object_list: Shown

    @cached_property
    def count(self) -> int:
        return self.object_list.count()

    @cached_property
    def _few(self) -> list[int] | None:
        """The ids of all that match, where they are few."""
        if not self.object_list.query.where or self.count >= FEW:
            return None
        return list(self.object_list.order_by().values_list("pk", flat=True))

    def ids(self, number: int) -> list[int]:
        """Return the ids on this page in order."""
        start = (number - 1) * self.per_page
        stop = min(start + self.per_page, self.count)
        rows = self.object_list
        if self._few is not None:
            rows = plain(rows.now).filter(pk__in=self._few).order_by(*rows.query.order_by)
        if start <= self.count // 2:
            return list(rows.values_list("pk", flat=True)[start:stop])
        back = rows.reverse().values_list("pk", flat=True)
        return list(back[self.count - stop : self.count - start])[::-1]

    def page(self, number: int | str) -> Page[Registration]:
        number = self.validate_number(number)
        ids = self.ids(number)
        found = registrations(self.object_list.now).in_bulk(ids)
        rows: list[Any] = [found[pk] for pk in ids if pk in found]
        return self._get_page(rows, number, self)  # type: ignore[attr-defined]
