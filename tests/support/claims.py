"""Small fleets for tests of the store and the runtime, made straight in the database."""

import time
from datetime import UTC, datetime

from fleet.models import Handset, Line, Server, ServerGroup, Site
from registrations import store
from registrations.agent import AgentResult, Heard, Moved, WishResult
from registrations.models import Registration, State


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def make_group(
    name: str = "ward", addresses: tuple[str, ...] = ("127.0.0.61", "127.0.0.62"), **policy: object
) -> ServerGroup:
    policy.setdefault("re_register_on", True)
    group = ServerGroup.objects.create(name=name, **policy)
    for priority, address in enumerate(addresses, start=1):
        host, _, port = address.partition(":")
        Server.objects.create(
            group=group, priority=priority, address=host, port=int(port or 5071), name=""
        )
    return group


def make_lines(
    n: int,
    group: ServerGroup,
    site: Site | None = None,
    first: int = 0,
    supervision: str = Line.Supervision.REGISTER,
    domain: str = "fleet.test",
) -> list[Line]:
    site = site or Site.objects.get_or_create(name="main")[0]
    handsets = Handset.objects.bulk_create(
        Handset(mac=f"00907a{group.pk:02x}{i:04x}", name=f"Ward {i}", group=group, site=site)
        for i in range(first, first + n)
    )
    return Line.objects.bulk_create(
        Line(
            handset=handset,
            extension=f"{4000 + i}",
            domain=domain,
            auth_user=f"{4000 + i}",
            auth_password=f"pw-{4000 + i}",
            supervision=supervision,
        )
        for i, handset in enumerate(handsets, start=first)
    )


def make_due(lines: list[Line], due_at: float | None = None) -> list[Registration]:
    """Registrations of these lines, due a moment ago unless said otherwise."""
    now = time.time()
    due = at(now - 1 if due_at is None else due_at)
    return Registration.objects.bulk_create(
        Registration(
            line=line,
            group_id=line.handset.group_id,
            site_id=line.handset.site_id,
            since=at(now),
            due_at=due,
        )
        for line in lines
    )


def finished(claimed: store.Claimed, **said: object) -> store.Finished:
    """A claim brought to an end: on the primary, renewal in 50 s, unless said otherwise."""
    now = time.time()
    result: dict[str, object] = {
        "state": State.PRIMARY.value,
        "server_id": claimed.server_id,
        "since": now,
        "reason": "The primary took it.",
        "cause": "first",
        "expires_at": now + 60,
        "due_at": now + 50,
        "attempt": 0,
        "code": 200,
        "answer": "200 OK",
        "heard_at": now,
        "renewed": (),
        "snapshot": {"aor": claimed.account.aor},
        "transitions": (),
        "wish_result": None,
        "heard": (),
    } | said
    return store.Finished(claimed, AgentResult(**result), now)  # type: ignore[arg-type]


def moved(to_server: int | None, cause: str = "first") -> Moved:
    return Moved(
        at=time.time(),
        from_state="registering",
        from_server_id=None,
        to_state="primary",
        to_server_id=to_server,
        cause=cause,
        code=200,
        reason="It took the registration.",
        seconds=0.25,
    )


__all__ = [
    "Heard",
    "WishResult",
    "at",
    "finished",
    "make_due",
    "make_group",
    "make_lines",
    "moved",
]
