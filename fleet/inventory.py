"""Changing what exists one thing at a time, and announcing it, so that registrations follow."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from django.db import transaction
from django.db.models import F, QuerySet

from fleet.formats.values import MAX_SERVERS
from fleet.models import DnsRecord, Handset, Line, Server, ServerGroup, Site
from fleet.signals import about_to_delete, fleet_changed

T = TypeVar("T", Site, ServerGroup, Server, Handset, Line)
Thing = Site | ServerGroup | Server | Handset | Line

AT_ONCE = 10_000
"""Ids per announcement: SQLite takes 32,766 parameters in a statement."""

_MATTERS: dict[type, frozenset[str]] = {
    Site: frozenset({"has_own_workers"}),
    ServerGroup: frozenset(f.attname for f in ServerGroup._meta.concrete_fields) - {"id", "name"},
    Server: frozenset({"priority", "address", "port", "transport", "tls_name", "register"}),
    Handset: frozenset({"mac", "group_id", "site_id"}),
    Line: frozenset(f.attname for f in Line._meta.concrete_fields) - {"id", "created_at"},
}
"""The fields whose change makes an agent do something else; a new name wakes nobody."""


class InUse(Exception):
    """It cannot be deleted; the text is a sentence that says what depends on it."""


class Refused(ValueError):
    """A server cannot be so; the text says why, `field` names what is wrong."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


def lines_of(thing: Thing) -> QuerySet[Line]:
    """Return the lines that depend on `thing`."""
    match thing:
        case Line():
            return Line.objects.filter(pk=thing.pk)
        case Handset():
            return Line.objects.filter(handset=thing.pk)
        case Server():
            return Line.objects.filter(handset__group=thing.group_id)
        case ServerGroup():
            return Line.objects.filter(handset__group=thing.pk)
        case Site():
            return Line.objects.filter(handset__site=thing.pk)


def announce(lines: QuerySet[Line]) -> None:
    """Tell everyone that these lines, or what they depend on, changed; in this transaction."""
    announce_ids(lines.order_by("pk").values_list("pk", flat=True))


def announce_ids(line_ids: Iterable[int]) -> None:
    """As `announce`. Receivers put the ids into a statement, so no more than it takes at once."""
    ids = sorted(set(line_ids))
    for start in range(0, len(ids), AT_ONCE):
        fleet_changed.send(sender=Line, line_ids=ids[start : start + AT_ONCE])


@transaction.atomic
def change(thing: T | None, save: Callable[[], T]) -> T:
    """Call `save`, which makes or changes `thing`, and announce it where it matters to agents."""
    before = None if thing is None else _facts(thing)
    saved = save()
    if before is None or before != _facts(saved):
        announce(lines_of(saved))
    return saved


@transaction.atomic
def place_server(server: Server, priority: int | None) -> None:
    """Save `server` at this place of its group (None: last); the others make room.

    Priorities stay 1, 2, 3, ... without gaps, so that a group always has a primary.
    Raises Refused.
    """
    ServerGroup.objects.select_for_update().get(pk=server.group_id)
    others, place = check_place(server, priority)
    _make_room(others)
    server.priority = place
    server.save()
    renumber([*others[: place - 1], server, *others[place - 1 :]])


def check_place(server: Server, priority: int | None) -> tuple[list[Server], int]:
    """Return the others of its group and the place it would take. Raises Refused."""
    others = list(_servers(server.group_id).exclude(pk=server.pk))
    place = len(others) + 1 if priority is None else priority
    if len(others) >= MAX_SERVERS:
        raise Refused("group", f"A group has at most {MAX_SERVERS} servers.")
    if not 1 <= place <= len(others) + 1:
        raise Refused("priority", f"Give a priority from 1 to {len(others) + 1}, without gaps.")
    if any((o.address, o.port) == (server.address, server.port) for o in others):
        sentence = f"{server.address}:{server.port} stands in this group already."
        raise Refused("address", sentence)
    if not server.register and not any(other.register for other in others):
        raise Refused("register", "At least one server of a group must take registrations.")
    return others, place


def refusal(thing: Thing) -> str:
    """Say why `thing` cannot be deleted; '' where it can."""
    if isinstance(thing, Site | ServerGroup) and (handsets := thing.handsets.count()):
        kind = "Site" if isinstance(thing, Site) else "Group"
        return f"{kind} {thing} cannot be deleted: it has {_handsets(handsets)}."
    if isinstance(thing, Server):
        others = _servers(thing.group_id).exclude(pk=thing.pk)
        handsets = thing.group.handsets.count()
        if handsets and not others.filter(register=True).exists():
            return (
                f"Server {thing} cannot be deleted: it is the last one of group {thing.group} that "
                f"takes registrations, and the group has {_handsets(handsets)}."
            )
    said = about_to_delete.send(sender=type(thing), thing=thing)
    return next((sentence for _, sentence in said if sentence), "")


@transaction.atomic
def delete(thing: Thing) -> None:
    """Delete `thing` and announce it. Raises InUse where something depends on it."""
    if wrong := refusal(thing):
        raise InUse(wrong)
    thing.delete()
    if isinstance(thing, Server):
        renumber(_servers(thing.group_id))
        announce(lines_of(thing))


def _servers(group_id: int) -> QuerySet[Server]:
    return Server.objects.filter(group=group_id).order_by("priority")


def _make_room(servers: Sequence[Server]) -> None:
    """Put them out of the way: no two of a group have the same priority at any moment."""
    ids = [server.pk for server in servers]
    Server.objects.filter(pk__in=ids).update(priority=F("priority") + 4 * MAX_SERVERS)


def renumber(servers: Sequence[Server]) -> None:
    """Give a group's servers the priorities 1, 2, 3, ... in this order; announces nothing."""
    _make_room(servers)
    for priority, server in enumerate(servers, 1):
        server.priority = priority
        Server.objects.filter(pk=server.pk).update(priority=priority)


def _facts(thing: Thing) -> dict[str, object]:
    facts: dict[str, object] = {name: getattr(thing, name) for name in _MATTERS[type(thing)]}
    if isinstance(thing, ServerGroup):
        facts["dns_cache"] = list(DnsRecord.objects.filter(group=thing.pk).values_list())
    return facts


def _handsets(count: int) -> str:
    return "1 handset" if count == 1 else f"{count} handsets"
