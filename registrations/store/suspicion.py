"""A site whose servers all fell silent at once: its own network is suspected, not the servers.

While it is, nothing of that site is claimed, so nothing moves, and its registrations are shown as
unknown. The first answer of any server ends it.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from registrations.models import ServerHealth, SiteNetwork
from registrations.queries.suspected import AT_ONCE


def judge(site_ids: Iterable[int]) -> list[tuple[int, int]]:
    """Suspect the network of these sites, or trust it again.

    Returns every (server, site) pair of the sites where that changed.
    """
    by_site: dict[int, list[ServerHealth]] = defaultdict(list)
    wanted = set(site_ids)
    rows = ServerHealth.objects.filter(site_id__in=wanted).select_related("server").order_by("pk")
    for row in rows:
        by_site[row.site_id].append(row)
    suspected = dict(
        SiteNetwork.objects.filter(site_id__in=wanted, suspected_since__isnull=False).values_list(
            "site_id", "suspected_since"
        )
    )
    pairs = []
    for site_id in wanted:
        since = _suspected_since(by_site[site_id])
        if since == suspected.get(site_id):
            continue
        SiteNetwork.objects.update_or_create(site_id=site_id, defaults={"suspected_since": since})
        pairs += [(row.server_id, site_id) for row in by_site[site_id]]
    return pairs


def judge_again() -> list[tuple[int, int]]:
    """Look again at the sites under suspicion: the fleet's servers may be others now."""
    under = SiteNetwork.objects.filter(suspected_since__isnull=False)
    return judge(list(under.values_list("site_id", flat=True)))


def _suspected_since(rows: list[ServerHealth]) -> datetime | None:
    """Return when the last of a site's servers fell silent, if all did at once, for good.

    One server alone tells nothing about the network.
    """
    places = {(row.server.transport, row.server.address, row.server.port) for row in rows}
    if len({place[1:] for place in places}) < 2:
        return None
    if any(row.condition != ServerHealth.Condition.SILENT for row in rows):
        return None
    first, last = min(row.since for row in rows), max(row.since for row in rows)
    if last - first > AT_ONCE:
        return None
    if any(row.heard_at is not None and row.heard_at > last for row in rows):
        return None
    return last
