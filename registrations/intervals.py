"""How long to wait: the renewal and the back-off as plain arithmetic. Seconds throughout."""

JITTER_OF_RENEWAL = 0.1
"""Renewals drift apart by up to this share of the granted time (F2)."""
RENEWAL_MARGIN_S = 4.0
"""What a failback try leaves for the renewal on the current server, beside its own ladder."""


def renewal_delay(granted: float, overlap: float, ladder: float | None, jitter: float) -> float:
    """Seconds after a 200 at which the renewal starts, at the latest `granted - overlap`.

    Where the grant is no longer than the overlap, half of it (guide, expires.overlap). `ladder`,
    seconds, is given where a failback try at the primary goes first: then early enough that the
    whole failed ladder leaves time to renew on the current server. `jitter` in [0, 1) spreads
    renewals over a tenth of the grant (F2).
    """
    latest = granted - overlap if granted > overlap else granted / 2
    if ladder is not None:
        latest = max(min(latest, granted - ladder - RENEWAL_MARGIN_S), granted / 2)
    return max(latest - jitter * JITTER_OF_RENEWAL * granted, granted / 4)


def back_off(base: float, ceiling: float, failures: int, jitter: float) -> float:
    """Seconds to wait after `failures` in a row: RFC 5626 section 4.5, 50-100 % of the ladder."""
    wait = min(ceiling, base * 2.0 ** min(failures, 20))
    return wait * (0.5 + 0.5 * jitter)
