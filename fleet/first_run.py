"""The first run: from nothing to a registered fleet in five steps, each whole or not at all.

What is done is read from the database, so whoever comes back goes on where it stopped. Lines of
these imports wait (`Line.waits`) until somebody says go: until then nothing is sent for them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import structlog
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Count, Q

from fleet import inventory, services
from fleet.models import Handset, Line, Server, ServerGroup, Site

log = structlog.get_logger(__name__)

REQUESTS = 3
"""REGISTERs of a line's first registration: who is bound there? the same with its credentials, and
its own binding (with the nonce it has by then)."""

REGISTER, OBSERVE, OFF = Line.Supervision


@dataclass(frozen=True, slots=True)
class Step:
    """One of the five: where it is, what it is for, and whether it is done."""

    name: str
    title: str
    is_done: bool


def steps() -> list[Step]:
    """Return the five steps in their order, as the database says how far they are. Four queries."""
    handsets = Handset.objects.exists()
    done = {
        "site": ("Site", Site.objects.exists()),
        "group": ("Servers", Server.objects.exists()),
        "handsets": ("Handsets", handsets),
        "people": ("People", get_user_model()._default_manager.count() > 1),
        "go": ("Go", handsets and not waiting()),
    }
    return [Step(name, title, is_done) for name, (title, is_done) in done.items()]


class ServerRefused(ValueError):
    """A server cannot be so; the text says why, `place` which of those given it is, from 0."""

    def __init__(self, place: int, why: inventory.Refused) -> None:
        super().__init__(str(why))
        self.place = place


def make_site(site: Site) -> None:
    """Keep a validated site."""
    inventory.change(None, lambda: _saved(site))


@transaction.atomic
def make_group(group: ServerGroup, servers: Sequence[Server]) -> None:
    """Keep a validated group with its servers, the first of which is the primary.

    Raises ServerRefused.
    """
    inventory.change(None, lambda: _saved(group))
    for place, server in enumerate(servers):
        server.group = group
        try:
            inventory.place_server(server, None)
        except inventory.Refused as refused:
            raise ServerRefused(place, refused) from refused


def _saved(thing: Any) -> Any:
    thing.save()
    return thing


def import_waiting(
    files: Iterable[tuple[str, bytes]], *, by: str, dry_run: bool
) -> tuple[services.Imported, int]:
    """Import as ever, but lines that the files let register from now on wait; say how many.

    A line that registers already goes on. Raises services.ImportRefused.
    """
    read = services.read_files(files)
    rows = read.rows
    of_group = {group.name: group.supervision for group in rows.groups}
    named = {r.key: r.supervision or of_group.get(r.group or "") for r in rows.handsets}
    running = _running({mac for mac, _ in named})
    held = {key for key, asked in named.items() if asked == REGISTER and key not in running}
    handsets = (replace(r, supervision=OFF) if r.key in held else r for r in rows.handsets)
    read.rows = replace(rows, handsets=tuple(handsets))
    with transaction.atomic():
        report = services.apply_import(read, by=by, dry_run=dry_run)
        if not dry_run:
            _mark(held, waits=True)
            _mark({key for key, asked in named.items() if asked} - held, waits=False)
    return report, len(held)


def _mark(keys: set[tuple[str, int]], *, waits: bool) -> None:
    for some in _batches(sorted(keys)):
        of_them = Line.objects.filter(handset__mac__in=[mac for mac, _ in some])
        found = of_them.values_list("pk", "handset__mac", "number")
        ids = [pk for pk, mac, number in found if (mac, number) in keys]
        Line.objects.filter(pk__in=ids).exclude(waits=waits).update(waits=waits, waits_for="")


def _running(macs: set[str]) -> set[tuple[str, int]]:
    found: set[tuple[str, int]] = set()
    for some in _batches(sorted(macs)):
        of_them = Line.objects.filter(handset__mac__in=some, supervision=REGISTER)
        found.update(of_them.values_list("handset__mac", "number"))
    return found


def _batches(items: list[Any], size: int = 500) -> Iterable[list[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


@dataclass(frozen=True, slots=True)
class Start:
    """What happens in one group when somebody says go."""

    group: str
    lines: int
    """Those that register then."""
    watched: int
    """Those that are only watched then."""
    where: str
    requests: int
    """That each server concerned gets."""
    cap: int
    """Requests a second each of its servers takes at most; 0: as many as come."""
    seconds: int
    """How long the first registrations take at that cap."""


def waiting() -> int:
    """Return how many lines wait."""
    return Line.objects.filter(waits=True).count()


def starts() -> list[Start]:
    """Return what waits, by group. Two queries."""
    waits, observed = Q(handsets__lines__waits=True), Q(handsets__lines__waits_for=OBSERVE)
    groups = ServerGroup.objects.annotate(
        n=Count("handsets__lines", filter=waits),
        watched=Count("handsets__lines", filter=waits & observed),
    )
    found = groups.filter(n__gt=0).prefetch_related("servers")
    return [_start(group, group.n - group.watched, group.watched) for group in found]


def _start(group: ServerGroup, lines: int, watched: int) -> Start:
    cap = group.max_registrations_per_second
    servers = [str(server) for server in group.servers.all() if server.register]
    each = group.mode == ServerGroup.Mode.FALLBACK
    where = " and ".join(servers if each else servers[:1])
    requests = REQUESTS * lines
    seconds = ceil(requests / cap) if cap else 0
    return Start(group.name, lines, watched, where, requests, cap, seconds)


@transaction.atomic
def go(*, by: str) -> int:
    """Let every line that waits begin: to register, or to be watched where it was before.

    Returns how many. Twice does no more.
    """
    waiting = Line.objects.filter(waits=True)
    off = waiting.filter(supervision=OFF)
    ids = list(off.values_list("pk", flat=True))
    off.filter(waits_for=OBSERVE).update(supervision=OBSERVE)
    off.exclude(waits_for=OBSERVE).update(supervision=REGISTER)
    waiting.update(waits=False, waits_for="")
    inventory.announce_ids(ids)
    if ids:
        log.info("first registrations begun", by=by, lines=len(ids))
    return len(ids)


def sample(site: str, group: str) -> str:
    """Return a fleet file that imports as it is: documentation addresses, and nothing registers."""
    values: Mapping[str, str] = {"site": site, "group": group}
    return SAMPLE.format(**values)


SAMPLE = """\
# A sample fleet. Its addresses are for documentation: nobody answers there, and with
# supervision: off nothing is sent. Change servers, handsets and supervision to yours.
sites:
  - {{name: {site}, time_zone: America/Denver}}
groups:
  - name: {group}
    mode: failover
    servers:
      - {{name: PBX A, address: 192.0.2.10, port: 5060, transport: udp}}
      - {{name: PBX B, address: 192.0.2.11, port: 5060, transport: udp}}
handsets:
  - {{mac: 00907a000001, name: Ward 4 nurse, extension: "4101", domain: pbx.example,
     auth_user: "4101", auth_password: change-me, group: {group}, site: {site},
     model: "8440", supervision: "off", tags: [icu]}}
  - {{mac: 00907a000002, name: Ward 4 physician, extension: "4102", domain: pbx.example,
     auth_user: "4102", auth_password: change-me, group: {group}, site: {site},
     model: "8441", supervision: "off"}}
  - {{mac: 00907a000003, name: Porter, extension: "4103", domain: pbx.example,
     auth_user: "4103", auth_password: change-me, group: {group}, site: {site},
     model: "8440", supervision: "off"}}
"""
