"""Where work is due. Renewals that have time wait for company: a claim of few is dear."""

import time

from registrations.store.sql import changed, stamp

COMPANY_S = 2.0
"""So long a renewal waits at most for others, far less than an overdue row is believed."""
ENOUGH = 100
"""So many need no more company."""
IN_HAND_S = 20.0
"""Of its binding a renewal that waits has at least so much left."""


def sites_with_work(now: float | None = None, *, with_proofs: bool) -> list[tuple[int, str, bool]]:
    """Return the sites where registrations, probes or proofs are due: id, name, own workers.

    Without proofs observed handsets are looked at all the same. Whatever is not the renewal of a
    binding in its own time is worth a claim at once: whom news of a server or an order brought
    forward, who has no server, who had no answer, whose lease ran out, and all where a server does
    not answer: they need the time they have.
    """
    now = time.time() if now is None else now
    due = [stamp(now), stamp(now - COMPANY_S), stamp(now + IN_HAND_S), stamp(now)]
    found = changed(_SQL[with_proofs], [*due, stamp(now), stamp(now), stamp(now)])
    return [(pk, name, bool(own)) for pk, name, own in found]


_RENEWAL_IN_TIME = (
    "r.due_at > %s AND r.due_at = r.next_attempt_at AND r.expires_at > %s AND r.attempt = 0 "
    "AND r.wish = '' AND r.state IN ('primary', 'secondary', 'fallback')"
)
_IN_DOUBT = (
    "SELECT 1 FROM registrations_serverhealth h WHERE h.site_id = s.id AND h.condition <> 'up'"
)
_DUE = "SELECT 1 FROM registrations_{} r WHERE r.site_id = s.id AND r.due_at <= %s"
_ROWS = _DUE.format("registration")
_SQL = {
    with_proofs: (
        "SELECT s.id, s.name, s.has_own_workers FROM fleet_site s WHERE "
        # Whoever has waited is the first by the index: all others are looked at where nobody has.
        f"EXISTS ({_ROWS} AND COALESCE(NOT ({_RENEWAL_IN_TIME}), TRUE)) "
        f"OR EXISTS ({_ROWS} LIMIT 1 OFFSET {ENOUGH - 1}) "
        f"OR (EXISTS ({_IN_DOUBT}) AND EXISTS ({_ROWS})) "
        f"OR EXISTS ({_DUE.format('serverhealth')}) "
        f"OR EXISTS ({_DUE.format('standbyproof')}{'' if with_proofs else ' AND r.is_observed'}) "
        "ORDER BY s.name"
    )
    for with_proofs in (True, False)
}
