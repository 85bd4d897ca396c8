"""A fleet of any size in a database, at rest: nothing of it is due while it is looked at."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils import timezone

from fleet.models import Handset, Line, Server, ServerGroup, Site
from registrations.models import Registration, ServerHealth, State

GROUPS, SITES, SERVERS = 20, 5, 3
BATCH = 5_000
WARDS = ("Emergency", "Cardiology", "Radiology", "Ward 4 North", "Day surgery", "Pharmacy")
STATES = [State.PRIMARY] * 960 + [State.SECONDARY] * 25 + [State.UNREGISTERED] * 10
STATES += [State.REJECTED] * 4 + [State.REGISTERING]
TAGS = ("icu", "night", "spare", "loan")


def seed(handsets: int) -> None:
    """Make `handsets` handsets of one line each in 20 groups at 5 sites, nearly all on primary."""
    draw = random.Random(handsets)  # noqa: S311 - repeatable, nothing secret
    sites = [Site.objects.create(name=f"campus-{n}") for n in range(1, SITES + 1)]
    groups = [ServerGroup.objects.create(name=f"group-{n:02}") for n in range(1, GROUPS + 1)]
    servers = {group.pk: list(_servers(group, sites)) for group in groups}
    now = timezone.now()
    for start in range(0, handsets, BATCH):
        numbers = range(start, min(start + BATCH, handsets))
        made = Handset.objects.bulk_create(_handset(n, groups, sites, draw) for n in numbers)
        lines = Line.objects.bulk_create(_line(handset) for handset in made)
        # An import may have made the rows of these lines already.
        Registration.objects.filter(line__in=lines).delete()
        Registration.objects.bulk_create(_registrations(lines, servers, draw, now))


def _servers(group: ServerGroup, sites: list[Site]) -> Iterator[Server]:
    now = timezone.now()
    for priority in range(1, SERVERS + 1):
        address = f"10.{group.pk % 250}.0.{priority}"
        server = Server.objects.create(group=group, priority=priority, address=address)
        for site in sites:
            ServerHealth.objects.create(
                server=server,
                site=site,
                condition=ServerHealth.Condition.UP,
                since=now,
                heard_at=now,
                due_at=now + timedelta(days=1),
            )
        yield server


def _handset(
    number: int, groups: list[ServerGroup], sites: list[Site], draw: random.Random
) -> Handset:
    return Handset(
        mac=f"00907a{number:06x}",
        name=f"{draw.choice(WARDS)}, nurse {number}",
        model=draw.choice(("8440", "8441", "8452", "8453")),
        group=groups[number % len(groups)],
        site=sites[number % len(sites)],
        tags=[draw.choice(TAGS)] if number % 10 == 0 else [],
    )


def _line(handset: Handset) -> Line:
    extension = str(100_000 + int(handset.mac[6:], 16))
    return Line(
        handset=handset,
        extension=extension,
        domain="pbx.example",
        auth_user=extension,
        supervision=Line.Supervision.REGISTER,
    )


def _registrations(
    lines: list[Line], servers: dict[int, list[Server]], draw: random.Random, now: datetime
) -> Iterator[Registration]:
    for line in lines:
        state = draw.choice(STATES)
        place = {State.PRIMARY: 0, State.SECONDARY: 1}.get(state)
        yield Registration(
            line=line,
            group_id=line.handset.group_id,
            site_id=line.handset.site_id,
            state=state,
            server=None if place is None else servers[line.handset.group_id][place],
            since=now - timedelta(seconds=draw.uniform(60, 86_400)),
            reason="The primary took it.",
            expires_at=None if place is None else now + timedelta(hours=20),
            next_attempt_at=now + timedelta(hours=19),
            due_at=now + timedelta(hours=19),
            last_code=200,
            last_answer="200 OK",
            heard_at=now,
        )
