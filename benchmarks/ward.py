"""A fleet that really registers, inside a running product: made, sent off, and watched.

Run inside the product's Django (`installation.ordered`), one order a process: each prints what
it found as JSON.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import django

django.setup()

from channels.layers import get_channel_layer  # noqa: E402 - after Django's set-up, as all below
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from benchmarks.registrars import users  # noqa: E402
from benchmarks.seed import BATCH  # noqa: E402
from fleet.config import celery  # noqa: E402, F401 - where hints go
from fleet.models import Handset, Line, Server, ServerGroup, Site  # noqa: E402
from registrations import store, tasks  # noqa: E402
from registrations.live.publisher import GROUP  # noqa: E402
from registrations.models import Registration, ServerHealth, State  # noqa: E402
from registrations.store.sql import changed, packed, stamp  # noqa: E402
from tests.support.kamailio import REALM  # noqa: E402

PATIENCE_S = 300.0


def make(count: int, places: list[list[Any]], policy: dict[str, Any]) -> None:
    """Handsets of one group over the registrars at these places; none of them is due."""
    site, _ = Site.objects.get_or_create(name="main")
    group = ServerGroup.objects.create(name="ward", **policy)
    for priority, (address, port) in enumerate(places, 1):
        Server.objects.create(group=group, priority=priority, address=address, port=port)
    _add(count, group, site)
    store.ensure_health()
    rest()


def add(count: int) -> None:
    """Let the fleet be of so many, with those it has; the new ones are not due."""
    _add(count, ServerGroup.objects.get(), Site.objects.get())


def _add(count: int, group: ServerGroup, site: Site) -> None:
    now = timezone.now()
    extensions = users(count)
    for start in range(Handset.objects.count(), count, BATCH):
        batch = extensions[start : start + BATCH]
        made = Handset.objects.bulk_create(
            Handset(mac=f"00907a{int(user):06x}", name=f"Ward {user}", group=group, site=site)
            for user in batch
        )
        lines = Line.objects.bulk_create(
            Line(
                handset=handset,
                extension=user,
                domain=REALM,
                auth_user=user,
                auth_password=f"pw-{user}",
                supervision=Line.Supervision.REGISTER,
            )
            for handset, user in zip(made, batch, strict=True)
        )
        Registration.objects.bulk_create(
            Registration(line=line, group=group, site=site, since=now) for line in lines
        )


def rest() -> None:
    """All as if nobody had ever asked for them, none due; the tables tidy."""
    Registration.objects.update(
        state=State.REGISTERING,
        server=None,
        since=timezone.now(),
        expires_at=None,
        due_at=None,
        lease_token=None,
        cseq_reserve=0,
        snapshot={},
    )
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE registrations_transition, registrations_serveracceptance")
        cursor.execute("VACUUM ANALYZE")


def start(count: int | None = None) -> dict[str, float]:
    """Make all due at once, or the first few, and give Celery's hint.

    Seconds until the last one was published.
    """
    ids = list(Registration.objects.order_by("pk").values_list("pk", flat=True)[:count])
    return asyncio.run(_heard(len(ids), lambda: _send_off(ids[-1])))


def _send_off(last: int) -> None:
    at = timezone.now() - timedelta(seconds=1)
    Registration.objects.filter(pk__lte=last).update(due_at=at)
    for site in Site.objects.all():
        tasks.hint(site.pk)


async def _heard(wanted: int, begin: Callable[[], None]) -> dict[str, float]:
    """Listen as a hub does until so many different registrations were told."""
    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add(GROUP, channel)
    told: set[int] = set()
    first = 0.0
    loop = asyncio.get_running_loop()
    began = time.time()
    sending = loop.run_in_executor(None, begin)
    async with asyncio.timeout(PATIENCE_S):
        while len(told) < wanted:
            message = await layer.receive(channel)
            if message["kind"] == "rows":
                first = first or time.time()
                told |= set(message["ids"])
    ended = time.time()
    await sending
    return {"seconds": ended - began, "first": first - began}


def cap(rate: int) -> None:
    """Let no server of the group get more than so many REGISTERs a second; 0: no cap."""
    ServerGroup.objects.update(max_registrations_per_second=rate)


def await_up() -> None:
    """Wait until no server is held for silent any more: else all would begin on the secondary."""
    _wait_for(
        lambda: not ServerHealth.objects.exclude(condition=ServerHealth.Condition.UP).exists()
    )


def await_move() -> dict[str, float]:
    """Wait until the primary is known to be silent, and until all are saved on the secondary.

    Unix seconds of both.
    """
    silent = ServerHealth.objects.filter(
        server__priority=1, condition=ServerHealth.Condition.SILENT
    )
    _wait_for(silent.exists)
    elsewhere = Registration.objects.exclude(state=State.SECONDARY, lease_token=None)
    _wait_for(lambda: not elsewhere.exists())
    saved_at = time.time()
    return {"known": silent.get().since.timestamp(), "saved": saved_at}


def _wait_for(condition: Callable[[], bool]) -> None:
    """Look again and again, a twentieth of the time at most: the looks are no part of the work."""
    end = time.monotonic() + PATIENCE_S
    while True:
        began = time.monotonic()
        if condition():
            return
        now = time.monotonic()
        if now > end:
            raise TimeoutError
        time.sleep(max(0.02, 19 * (now - began)))


def settle(expires: int, count: int) -> None:
    """Let so many renew evenly, as if they had long been bound: each as the first one stands."""
    rest_of = Registration.objects.order_by("pk")
    bound = rest_of.filter(state=State.PRIMARY).select_related("server").first()
    if bound is None:
        raise RuntimeError("nobody is bound whose row could be a model")
    ServerGroup.objects.update(expires=expires)
    Registration.objects.update(due_at=None, lease_token=None)
    now, period = time.time() + 5, 0.9 * expires
    who = list(rest_of.values_list("pk", "line__extension")[:count])
    for start in range(0, len(who), BATCH):
        made = [
            _bound_row(bound, pk, user, now + period * (start + n) / count, expires)
            for n, (pk, user) in enumerate(who[start : start + BATCH])
        ]
        changed(
            _SETTLE,
            [bound.server_id, packed(made)],
        )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE registrations_registration")


_SETTLE = (
    "UPDATE registrations_registration AS r SET state = 'primary', server_id = %s, "
    "due_at = x.due_at, next_attempt_at = x.due_at, expires_at = x.expires_at, heard_at = now(), "
    "snapshot = x.snapshot::jsonb "
    "FROM json_to_recordset(%s::json) AS x(id bigint, due_at timestamptz, "
    "expires_at timestamptz, snapshot text) WHERE r.id = x.id"
)


def _bound_row(
    bound: Registration, pk: int, user: str, due_at: float, expires: int
) -> dict[str, Any]:
    snapshot = json.loads(json.dumps(bound.snapshot))
    snapshot["aor"] = f"sip:{user}@{REALM}"
    ends_at = due_at + 0.1 * expires
    course = snapshot["courses"]["group"]
    course["binding"] |= {"granted": expires, "renew_at": due_at, "expires_at": ends_at}
    course["client"] |= {"call_id": f"call-of-{user}", "from_tag": f"tag-of-{user}", "nonces": {}}
    return {
        "id": pk,
        "due_at": stamp(due_at),
        "expires_at": stamp(ends_at),
        "snapshot": json.dumps(snapshot),
    }


def main() -> None:
    order, *given = sys.argv[1:]
    found = ORDERS[order](*map(json.loads, given))
    sys.stdout.write(json.dumps(found) + "\n")


ORDERS: dict[str, Callable[..., Any]] = {
    order.__name__: order for order in (make, add, rest, start, cap, await_up, await_move, settle)
}

if __name__ == "__main__":
    main()
