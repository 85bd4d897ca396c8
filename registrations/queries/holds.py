"""What keeps handsets from going home by themselves: drains, no-failback hours, rollbacks."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from django.db.models import Max, Q

from fleet import reach
from fleet.models import Server, Site
from registrations.models import Drain, Job, JobResult, QuietHours
from registrations.queries.words import clock, zone_of
from registrations.values import News
from registrations.windows import Weekly, end_of, longest

OVERTIME_S = 60.0
"""A drain lasts until its handsets are home again; how far ahead that is said while it goes on."""
MOST_NAMES = 3


@dataclass(frozen=True, slots=True)
class Holds:
    """What holds at one moment. Times are Unix seconds."""

    drained: Mapping[int, float]
    """Servers that are to hold nobody, and until when at least."""
    quiet: tuple[tuple[int | None, int | None, float], ...]
    """(group, site, end) of the no-failback hours that are on; None is any."""
    rolled_back: Mapping[int, float]
    """Registrations that a rollback moved, and until when they stay."""

    def quiet_until(self, group_id: int, site_id: int) -> float:
        """Until when nothing of that group fails back there by itself; 0 where it may."""
        return longest(
            end
            for group, site, end in self.quiet
            if group in (None, group_id) and site in (None, site_id)
        )

    def told(self, news: News, group_id: int, site_id: int) -> News:
        """Return the news of a site as the lines of one group there are told it.

        Who of them was rolled back stays longer: see `rolled_back`.
        """
        until = self.quiet_until(group_id, site_id)
        if not until and not self.drained:
            return news
        return replace(news, drained=self.drained, stays_until=until)


def holds_at(now: float, registration_ids: Iterable[int] = ()) -> Holds:
    """Return what holds at `now`; who was rolled back is looked up among `registration_ids`."""
    moment = datetime.fromtimestamp(now, UTC)
    with reach.everything():
        return Holds(_drained(now), tuple(_quiet(now)), _rolled_back(registration_ids, moment))


def hold_word(
    holds: Holds, group_id: int, servers: Iterable[Server], sites: Collection[Site], now: datetime
) -> str:
    """Say what keeps the handsets of a group, which are at these sites, away now; '' if nothing."""
    zones = {site.time_zone for site in sites}
    zone = zones.pop() if len(zones) == 1 else "UTC"
    told = [
        f"{server} is being drained until "
        f"{clock(datetime.fromtimestamp(holds.drained[server.pk], UTC), zone, now)}."
        for server in servers
        if server.pk in holds.drained
    ]
    quiet = defaultdict(list)
    for site in sites:
        if until := holds.quiet_until(group_id, site.pk):
            quiet[clock(datetime.fromtimestamp(until, UTC), site.time_zone, now)].append(site.name)
    for ends, names in quiet.items():
        where = "" if len(names) == len(sites) else f" at {_named(names)}"
        told.append(f"No-failback hours{where} until {ends}.")
    return " ".join(told)


def _named(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= MOST_NAMES else f"{len(names)} sites"


def at_place_of(server_id: int) -> list[int]:
    """Return the servers, of whatever group, that are the same machine and port as this one."""
    here = Server.objects.filter(pk=server_id).values_list("address", "port", "transport").first()
    if here is None:
        return []
    address, port, transport = here
    there = Server.objects.filter(address=address, port=port, transport=transport)
    return list(there.order_by("pk").values_list("pk", flat=True))


def _drained(now: float) -> Mapping[int, float]:
    moment = datetime.fromtimestamp(now, UTC)
    drains = Drain.objects.filter(finished_at=None, begins_at__lte=moment)
    return {
        server: max(ends.timestamp(), now + OVERTIME_S)
        for drained, ends in drains.order_by("ends_at").values_list("server_id", "ends_at")
        for server in at_place_of(drained)
    }


def weekly(hours: QuietHours) -> Weekly:
    """Return the hours of a row without their place."""
    return Weekly(frozenset(map(int, hours.days)), hours.begins, hours.ends)


def zones_of(hours: QuietHours) -> list[str]:
    """Return the zones by whose clocks these hours begin and end, each once."""
    if hours.site is not None:
        return [hours.site.time_zone]
    return sorted({zone for _, zone in _sites_of(hours)})


def _quiet(now: float) -> Iterable[tuple[int | None, int | None, float]]:
    for hours in QuietHours.objects.select_related("site"):
        if hours.site is not None:
            places = [(hours.site_id, hours.site.time_zone)]
        else:
            places = list(_sites_of(hours))
        for site, zone in places:
            end = end_of(weekly(hours), now, zone_of(zone))
            if end is not None:
                yield hours.group_id, site, end


def _sites_of(hours: QuietHours) -> Iterable[tuple[int, str]]:
    """Hours of a group alone go by the clock of each site it has handsets at."""
    return (
        Site.objects.filter(handsets__group=hours.group_id)
        .distinct()
        .values_list("pk", "time_zone")
    )


def _rolled_back(registration_ids: Iterable[int], moment: datetime) -> Mapping[int, float]:
    among = list(registration_ids)
    held = Job.objects.filter(hold_until__gt=moment)
    if not among or not held.exists():
        return {}
    moved = JobResult.objects.filter(
        Q(result=JobResult.Result.MOVED),
        registration__in=among,
        job__in=held.values("pk"),
    )
    ends = moved.values_list("registration").annotate(until=Max("job__hold_until")).order_by()
    return {pk: until.timestamp() for pk, until in ends}
