"""Rows for tests of what is done with them: sites, groups, handsets, registrations, history."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from django.contrib.auth.models import Group, User
from django.utils import timezone

from fleet import tokens
from fleet.models import Handset, Line, Server, ServerGroup, Site
from fleet.people import ApiToken
from fleet.roles import Role
from registrations.models import (
    NotificationAddress,
    Registration,
    ServerChange,
    StandbyProof,
    State,
    Transition,
)

_numbers = count(1)


def make_site(name: str = "main", **more: Any) -> Site:
    return Site.objects.get_or_create(name=name, defaults=more)[0]


def make_group(name: str = "ward", servers: int = 2, **policy: Any) -> ServerGroup:
    """A group whose servers are 127.0.0.2, 127.0.0.3, ... in this order."""
    group = ServerGroup.objects.create(name=name, **policy)
    for priority in range(1, servers + 1):
        Server.objects.create(group=group, priority=priority, address=f"127.0.0.{priority + 1}")
    return group


def make_line(group: ServerGroup, site: Site | None = None, **more: Any) -> Line:
    """A handset of its own and its line 1."""
    number = next(_numbers)
    handset = Handset.objects.create(
        mac=f"00907a{number:06x}",
        name=more.pop("name", f"Ward nurse {number}"),
        group=group,
        site=site or make_site(),
    )
    fields = {
        "extension": str(4000 + number),
        "domain": "pbx.example",
        "auth_user": str(4000 + number),
        "auth_password": "a very secret password",
        "supervision": Line.Supervision.REGISTER,
    }
    return Line.objects.create(handset=handset, **(fields | more))


def make_registration(
    group: ServerGroup, state: str = State.SECONDARY, site: Site | None = None, **more: Any
) -> Registration:
    """A line's registration in `state`, on the server that goes with it, its renewal in an hour."""
    now = timezone.now()
    line_fields = {k: more.pop(k) for k in ("supervision", "extension", "name") if k in more}
    line = make_line(group, site, **line_fields)
    priority = {State.PRIMARY: 1, State.SECONDARY: 2, State.FALLBACK: 2}.get(State(state))
    fields = {
        "line": line,
        "group": group,
        "site": line.handset.site,
        "state": state,
        "server": group.servers.filter(priority=priority).first() if priority else None,
        "since": now - timedelta(minutes=5),
        "due_at": None if state == State.DISABLED else now + timedelta(hours=1),
        "expires_at": now + timedelta(hours=1) if priority else None,
    }
    # Synchronising may have made the row already.
    return Registration.objects.update_or_create(line=line, defaults=fields | more)[0]


def make_proof(registration: Registration, priority: int, proof: str, **more: Any) -> StandbyProof:
    """What the server of that priority said of the line a minute ago, instead of before."""
    now = timezone.now()
    facts = {
        "site": registration.site,
        "proof": proof,
        "since": now - timedelta(hours=2),
        "asked_at": now - timedelta(minutes=1),
        "due_at": now + timedelta(minutes=20),
        "reason": f"It said {proof}.",
    }
    server = registration.group.servers.get(priority=priority)
    return StandbyProof.objects.update_or_create(
        registration=registration, server=server, defaults=facts | more
    )[0]


def make_reports(handset: Handset) -> NotificationAddress:
    """An address of a handset's reports, and one that came there."""
    now = timezone.now().isoformat()
    event = {"kind": "registered", "line": 1, "told_at": now, "at": now, "sender": "10.20.0.7"}
    return NotificationAddress.objects.create(
        handset=handset,
        key=f"key of {handset.mac}",
        digest=handset.mac,
        made_by="admin",
        heard_at=timezone.now(),
        events=[event],
    )


def make_transition(registration: Registration | None = None, **more: Any) -> Transition:
    fields: dict[str, Any] = {
        "at": datetime(2026, 11, 23, 2, 13, tzinfo=UTC),
        "mac": "00907a000001",
        "extension": "4101",
        "handset_name": "Ward 4 nurse",
        "group_name": "ward",
        "site_name": "main",
        "from_state": State.PRIMARY,
        "from_server": "127.0.0.2:5060",
        "to_state": State.SECONDARY,
        "to_server": "127.0.0.3:5060",
        "cause": "failover",
        "code": 503,
        "reason": "The primary did not answer.",
        "seconds": 7.5,
    }
    return Transition.objects.create(registration=registration, **(fields | more))


def make_server_change(server: Server, what: str = "silent", **more: Any) -> ServerChange:
    """A row of a server's history, from one site unless it is a sickness or a pause."""
    everywhere = what in {"sick", "well", "paused"}
    fields: dict[str, Any] = {
        "at": timezone.now(),
        "site": None if everywhere else make_site(),
        "site_name": "" if everywhere else "main",
        "server_name": str(server),
        "group_name": server.group.name,
        "before": "well" if everywhere else "up",
    }
    return ServerChange.objects.create(server=server, what=what, **(fields | more))


def make_token(user: User, role: Role = Role.ADMIN, **more: Any) -> str:
    """The key of an API token of theirs."""
    key = f"key-{next(_numbers)}"
    fields = {"name": "a program", "role": role, "created_by": user.username, **more}
    ApiToken.objects.create(user=user, digest=tokens.digest(key), **fields)
    return key


def make_user(name: str = "nurse", role: Role | None = None) -> User:
    user = User.objects.create_user(name)
    if role is not None:
        user.groups.add(Group.objects.get_or_create(name=role.group_name)[0])
    return user
