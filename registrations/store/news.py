"""What the fleet knows of servers, and what keeps handsets away, as agents are told it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from registrations.models import ServerHealth, ServerPace
from registrations.queries import Holds, holds_at
from registrations.store.health import silent_at
from registrations.store.pace import pauses
from registrations.store.sql import changed, stamp
from registrations.values import News

_ANYTHING = (
    "SELECT EXISTS (SELECT 1 FROM registrations_serverhealth WHERE condition = 'silent') "
    "OR EXISTS (SELECT 1 FROM registrations_serverpace WHERE sick_since IS NOT NULL) "
    "OR EXISTS (SELECT 1 FROM registrations_serverpause WHERE until > %s), "
    "EXISTS (SELECT 1 FROM registrations_drain WHERE finished_at IS NULL) "
    "OR EXISTS (SELECT 1 FROM registrations_quiethours) "
    "OR EXISTS (SELECT 1 FROM registrations_job WHERE hold_until > %s)"
)
"""On most days there is nothing to tell: then one question is enough."""


def told_at(
    site_ids: Collection[int], registration_ids: Iterable[int], now: float
) -> tuple[Mapping[int, News], Holds]:
    """Return the news by site, and what holds; who was rolled back is looked up among these."""
    ((is_news, is_held),) = changed(_ANYTHING, [now, stamp(now)])
    news = news_at(site_ids, now) if is_news else dict.fromkeys(site_ids, News())
    return news, holds_at(now, registration_ids) if is_held else Holds({}, (), {})


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
