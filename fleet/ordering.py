"""The order of a group's servers, changed as a whole: one change, one audit entry."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from fleet import audit, inventory
from fleet.models import Server, ServerGroup


@dataclass(frozen=True, slots=True)
class Order:
    """An order that is asked for, beside the one that is."""

    group: ServerGroup
    before: tuple[Server, ...]
    after: tuple[Server, ...]

    @property
    def is_change(self) -> bool:
        return self.before != self.after

    @property
    def primaries(self) -> tuple[Server | None, Server | None]:
        """The primary before and after: the first server that takes registrations."""
        return _primary(self.before), _primary(self.after)

    @property
    def moves_primary(self) -> bool:
        before, after = self.primaries
        return before != after


def asked(group: ServerGroup, order: Sequence[int], seen: Sequence[int]) -> Order:
    """Return the order asked for. `seen` is the one that the asker had before them.

    Raises Refused where it is another by now.
    """
    before = tuple(group.servers.order_by("priority"))
    by_id = {server.pk: server for server in before}
    if [server.pk for server in before] != list(seen) or sorted(order) != sorted(by_id):
        raise inventory.Refused("order", "Somebody changed these servers meanwhile: look again.")
    return Order(group, before, tuple(by_id[pk] for pk in order))


@transaction.atomic
def put(group: ServerGroup, order: Sequence[int], seen: Sequence[int]) -> Order:
    """Make this the order and announce it. Raises Refused as `asked` does."""
    ServerGroup.objects.select_for_update().get(pk=group.pk)
    made = asked(group, order, seen)
    if made.is_change:
        inventory.renumber(made.after)
        names = (", ".join(map(str, servers)) for servers in (made.before, made.after))
        audit.record(group, {"order of servers": list(names)})
        inventory.announce(inventory.lines_of(group))
    return made


def moves(ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Return for each server the orders by which it goes up and down; '' at the ends."""
    return {pk: (_swapped(ids, n - 1), _swapped(ids, n)) for n, pk in enumerate(ids)}


def _swapped(ids: Sequence[int], upper: int) -> str:
    """The order in which the one at `upper` has changed places with the next."""
    if not 0 <= upper < len(ids) - 1:
        return ""
    made = [*ids]
    made[upper : upper + 2] = made[upper + 1], made[upper]
    return ",".join(map(str, made))


def _primary(servers: Sequence[Server]) -> Server | None:
    return next((server for server in servers if server.register), None)
