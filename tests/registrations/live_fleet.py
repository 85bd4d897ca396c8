"""A small fleet in the database, for the tests of queries and the live socket."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fleet.models import Handset, Line, Server, ServerGroup, Site
from registrations.models import Registration, ServerHealth, State, Transition


@dataclass
class Fleet:
    site: Site
    group: ServerGroup
    primary: Server
    secondary: Server
    rows: list[Registration]


def make(count: int = 3, name: str = "ward", mode: str = "failover", first: int = 1) -> Fleet:
    """`count` handsets on the primary of one group, everything in order."""
    site, _ = Site.objects.get_or_create(name="main")
    group = ServerGroup.objects.create(name=name, mode=mode)
    servers = [
        Server.objects.create(group=group, priority=p, address=f"127.0.0.{p + 1}") for p in (1, 2)
    ]
    fleet = Fleet(site, group, servers[0], servers[1], [])
    for number in range(first, first + count):
        fleet.rows.append(add(fleet, number))
    return fleet


def add(fleet: Fleet, number: int, **changes: Any) -> Registration:
    now = datetime.now(UTC)
    handset = Handset.objects.create(
        mac=f"00907a{number:06x}", name=f"Nurse {number}", group=fleet.group, site=fleet.site
    )
    line = Line.objects.create(
        handset=handset,
        extension=str(4000 + number),
        domain="pbx.example",
        auth_user=str(4000 + number),
        supervision=Line.Supervision.REGISTER,
    )
    fields = {
        "state": State.PRIMARY,
        "server": fleet.primary,
        "since": now,
        "due_at": now + timedelta(hours=1),
        "expires_at": now + timedelta(hours=2),
    }
    return Registration.objects.create(
        line=line, group=fleet.group, site=fleet.site, **(fields | changes)
    )


def silence(server: Server, site: Site, since: datetime | None = None) -> ServerHealth:
    now = datetime.now(UTC)
    return ServerHealth.objects.create(
        server=server,
        site=site,
        condition=ServerHealth.Condition.SILENT,
        since=since or now,
        due_at=now + timedelta(seconds=10),
    )


def move(registration: Registration, server: Server) -> Transition:
    """What a worker stores of a failover."""
    now = datetime.now(UTC)
    line = registration.line
    transition = Transition.objects.create(
        registration=registration,
        at=now,
        mac=line.handset.mac,
        extension=line.extension,
        group_name=registration.group.name,
        site_name=registration.site.name,
        from_state=registration.state,
        from_server=str(registration.server),
        to_state=State.SECONDARY,
        to_server=str(server),
        cause="failover",
    )
    registration.state, registration.server, registration.since = State.SECONDARY, server, now
    registration.save()
    return transition
