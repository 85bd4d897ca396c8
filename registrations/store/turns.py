"""Whose turn is when in a job: the canary of each group, then wave after wave."""

from collections.abc import Mapping

from registrations.store.sql import changed, packed, rows

_ELSEWHERE = "a.server_id <> COALESCE(r.server_id, 0)"
_AT_PRIMARY = (
    "a.server_id = (SELECT v.id FROM fleet_server v WHERE v.group_id = r.group_id "
    "AND v.priority = 1)"
)


def plan_waves(job_id: int, sizes: Mapping[int, int], *, homeward: bool) -> None:
    """Give each pending result of a job its wave; `sizes` is that of a wave, by group.

    The canary is one that the server it goes to has accepted before, if there is any: what it
    meets then is the server's doing, not its own.
    """
    accepted = (
        "EXISTS (SELECT 1 FROM registrations_serveracceptance a WHERE "
        "a.registration_id = r.id AND a.refused_at IS NULL AND "
        f"{_AT_PRIMARY if homeward else _ELSEWHERE})"
    )
    ranked = (
        "SELECT j.id, j.group_id, x.size, ROW_NUMBER() OVER (PARTITION BY j.group_id "
        f"ORDER BY CASE WHEN {accepted} THEN 0 ELSE 1 END, j.id) AS rank "
        "FROM registrations_jobresult j "
        "JOIN registrations_registration r ON r.id = j.registration_id "
        f"JOIN {rows({'group_id': 'bigint', 'size': 'integer'})} ON x.group_id = j.group_id "
        "WHERE j.job_id = %s AND j.result = 'pending'"
    )
    # The waves take them as they come: each is to be a fair sample of the rest.
    turn = (
        "SELECT k.id, k.size, ROW_NUMBER() OVER (PARTITION BY k.group_id "
        f"ORDER BY CASE WHEN k.rank = 1 THEN 0 ELSE 1 END, k.id) AS place FROM ({ranked}) AS k"
    )
    changed(
        "UPDATE registrations_jobresult AS f SET "
        "wave = CASE WHEN t.place = 1 THEN 0 ELSE 1 + (t.place - 2) / t.size END "
        f"FROM ({turn}) AS t WHERE f.id = t.id",
        [packed([{"group_id": group, "size": size} for group, size in sizes.items()]), job_id],
    )
