"""What the fleet knows of servers, as the agents of a claim are told it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from registrations.models import ServerHealth, ServerPace
from registrations.store.health import silent_at
from registrations.store.pace import pauses
from registrations.values import News


def news_at(site_ids: Iterable[int], now: float) -> Mapping[int, News]:
    """Return the news by site, for each of these sites.

    Silence is a matter of a site's network; a server is sick, or a place paused, for all alike.
    """
    sites = list(site_ids)
    silent: dict[int, dict[int, float]] = defaultdict(dict)
    known = ServerHealth.objects.filter(site_id__in=sites, condition=ServerHealth.Condition.SILENT)
    for row in known:
        silent[row.site_id][row.server_id] = silent_at(row).timestamp()
    ill = ServerPace.objects.filter(sick_since__isnull=False).values_list("server_id", flat=True)
    sick, paused = frozenset(ill), pauses(now)
    return {site: News(silent[site], sick, paused) for site in sites}
