"""Sites whose servers all fell silent at once: whose network is suspected, and how that is said."""

from datetime import datetime, timedelta
from typing import Any

from fleet.models import Site
from registrations.models import SiteNetwork
from registrations.queries.extent import Extent
from registrations.queries.words import clock, moment

AT_ONCE = timedelta(seconds=45)
"""Probes come every 10 s and agents notice at their own pace: this is still "at once"."""

Silenced = tuple[datetime, Site]
"""Since when, and where."""


def suspected(now: datetime, extent: Extent) -> dict[str, Any]:
    """Return the sites whose own network is suspected, each with its sentence, and what is shown.

    `suspected_words` has one sentence for all sites that fell silent at once.
    """
    found = SiteNetwork.objects.filter(suspected_since__isnull=False).select_related("site")
    if extent.sites:
        found = found.filter(site__in=extent.sites)
    silenced = [
        (network.suspected_since, network.site)
        for network in found.order_by("site__name")
        if network.suspected_since is not None
    ]
    return {
        "suspected_sites": [
            {
                "site": site.pk,
                "site_name": site.name,
                "since": moment(since),
                "sentence": _sentence([(since, site)], now),
            }
            for since, site in silenced
        ],
        "suspected_words": [_sentence(together, now) for together in _at_once(silenced)],
    }


def _at_once(silenced: list[Silenced]) -> list[list[Silenced]]:
    """Put together who fell silent within AT_ONCE of the first, the first ones first."""
    found: list[list[Silenced]] = []
    for since, site in sorted(silenced, key=lambda each: each[0]):
        if found and since - found[-1][0][0] <= AT_ONCE:
            found[-1].append((since, site))
        else:
            found.append([(since, site)])
    return found


def _sentence(together: list[Silenced], now: datetime) -> str:
    """Say it of one site, or of several that have more in common than their own networks."""
    names = ", ".join(sorted(site.name for _, site in together))
    zones = {site.time_zone for _, site in together}
    first = min(since for since, _ in together)
    at = clock(first, zones.pop() if len(zones) == 1 else "UTC", now)
    if len(together) == 1:
        where, whose = names, "its own network is"
    else:
        where = f"{len(together)} sites ({names})"
        whose = "the network of Rollcall's own worker, or of these sites, is"
    return (
        f"All servers fell silent at once for {where} at {at}: {whose} suspected. "
        "Nothing is moved there until one answers."
    )
