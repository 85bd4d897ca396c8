"""Whose turn is when in a job: the canary of each group, then wave after wave."""

from collections.abc import Mapping, Sequence

from registrations.store.sql import changed, packed, rows

_ELSEWHERE = "a.server_id <> COALESCE(r.server_id, 0)"
_AT_PRIMARY = (
    "a.server_id = (SELECT v.id FROM fleet_server v WHERE v.group_id = r.group_id "
    "AND v.priority = 1)"
)


def turns(job_id: int, sizes: Mapping[int, int], *, homeward: bool) -> list[tuple[int, int]]:
    """Return each pending result of a job with its wave; `sizes` is that of a wave, by group.

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
    return [
        (pk, wave)
        for pk, wave in changed(
            "SELECT t.id, CASE WHEN t.place = 1 THEN 0 ELSE 1 + (t.place - 2) / t.size END "
            f"FROM ({turn}) AS t",
            [packed([{"group_id": g, "size": size} for g, size in sizes.items()]), job_id],
        )
    ]


def write_turns(planned: Sequence[tuple[int, int]]) -> None:
    """Give results, by id, their waves."""
    changed(
        "UPDATE registrations_jobresult AS f SET wave = x.wave "
        f"FROM {rows({'id': 'bigint', 'wave': 'integer'})} WHERE f.id = x.id",
        [packed([{"id": pk, "wave": wave} for pk, wave in planned])],
    )
