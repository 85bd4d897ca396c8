"""What happened to servers, written in the transaction that changes what is known of them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fleet.models import Server, Site
from registrations.models import ServerChange, ServerHealth, ServerPause
from registrations.store.sql import text

What = ServerChange.What

UNSEEN_AFTER = timedelta(seconds=45)
"""So long without an answer or a miss means that nobody asked: probes come every 10 s, and a dead
worker's probe is claimed by another within 15 s."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One change of what is known of a server; without a site it holds everywhere."""

    server_id: int
    at: datetime
    what: str
    before: str
    site_id: int | None = None
    until: datetime | None = None
    reason: str = ""


def unseen_since(row: ServerHealth, at: datetime, every: timedelta) -> datetime | None:
    """Return since when nobody had asked this server before `at`; None where somebody did.

    `every` is how often it is asked. A server that asked to be left alone is rightly not asked.
    """
    if row.noticed_at is None or at - row.noticed_at < UNSEEN_AFTER:
        return None
    since = row.noticed_at + every
    asked = ServerPause.objects.filter(server_id=row.server_id)
    for ends in asked.values_list("until", flat=True):
        since = max(since, datetime.fromtimestamp(ends, UTC) + every)
    return since if since < at else None


def record(turns: Iterable[Turn]) -> None:
    """Append these; a server or site that is gone meanwhile has no history to write."""
    turns = list(turns)
    if not turns:
        return
    wanted = {turn.server_id for turn in turns}
    servers = Server.objects.select_related("group").in_bulk(wanted)
    sites = Site.objects.in_bulk({turn.site_id for turn in turns if turn.site_id is not None})
    ServerChange.objects.bulk_create(
        ServerChange(
            at=turn.at,
            server=servers[turn.server_id],
            site=sites.get(turn.site_id or 0),
            server_name=str(servers[turn.server_id]),
            group_name=servers[turn.server_id].group.name,
            site_name=sites[turn.site_id].name if turn.site_id in sites else "",
            what=turn.what,
            before=turn.before,
            until=turn.until,
            reason=text(turn.reason),
        )
        for turn in turns
        if turn.server_id in servers and (turn.site_id is None or turn.site_id in sites)
    )
