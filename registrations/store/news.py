"""What the fleet knows of servers, as the agents of a claim are told it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from django.db.models import Q

from registrations.models import ServerHealth, ServerPace
from registrations.values import News


def news_at(site_ids: Iterable[int], now: float) -> Mapping[int, News]:
    """Return the news by site, for each of these sites.

    Silence is a matter of a site's network; a server is sick, or asks for a pause, for all alike.
    """
    sites = list(site_ids)
    silent: dict[int, set[int]] = defaultdict(set)
    known = ServerHealth.objects.filter(site_id__in=sites, condition=ServerHealth.Condition.SILENT)
    for site, server in known.values_list("site_id", "server_id"):
        silent[site].add(server)
    sick, paused = set(), {}
    spoken_of = ServerPace.objects.filter(Q(sick_since__isnull=False) | Q(paused_until__gt=now))
    for server, since, until in spoken_of.values_list("server_id", "sick_since", "paused_until"):
        if since is not None:
            sick.add(server)
        if until > now:
            paused[server] = until
    return {site: News(frozenset(silent[site]), frozenset(sick), paused) for site in sites}
