"""Counting renewals by the hour: they change nothing, and one by one they would be most of all."""

from collections import Counter
from collections.abc import Iterable

from registrations.store.sql import changed, packed, rows, server_label, stamp

HOUR_S = 3600

_COLUMNS = {"hour": "timestamptz", "server_id": "bigint", "renewals": "integer"}


def count_renewals(renewed: Iterable[tuple[int, float]]) -> None:
    """Add renewals, given as (server, Unix seconds), to the counts of their hours.

    Call it last in a transaction: workers wait here for each other's counts.
    """
    counted = Counter((server_id, at - at % HOUR_S) for server_id, at in renewed)
    if not counted:
        return
    changed(
        "INSERT INTO registrations_renewalhour AS kept (hour, group_name, server, renewals) "
        f"SELECT x.hour, g.name, {server_label('v')} AS label, SUM(x.renewals) "
        f"FROM {rows(_COLUMNS)} JOIN fleet_server v ON v.id = x.server_id "
        "JOIN fleet_servergroup g ON g.id = v.group_id "
        "GROUP BY x.hour, g.name, label ORDER BY x.hour, g.name, label "
        "ON CONFLICT (hour, group_name, server) "
        "DO UPDATE SET renewals = kept.renewals + excluded.renewals",
        [
            packed(
                [
                    {"hour": stamp(hour), "server_id": server_id, "renewals": n}
                    for (server_id, hour), n in counted.items()
                ]
            )
        ],
    )
