"""When one request is sent again and when it is given up, as plain numbers of seconds."""

from dataclasses import dataclass

T1 = 0.5
"""Estimated round trip (RFC 3261 section 17.1.1.1)."""
T2 = 4.0
"""Longest interval between retransmissions of a non-INVITE request."""
TIMER_F = 64 * T1
"""Time limit of a non-INVITE transaction (section 17.1.2.2)."""
DEFAULT_RETRIES = 3
"""What a retry count of 0 stands for in the 84-Series guide."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a request leaves over UDP, counted from its first send, and when we stop waiting."""

    sends: tuple[float, ...]
    give_up_after: float


def rfc3261_schedule() -> Schedule:
    """Timers E and F of RFC 3261 section 17.1.2.2: for the last server of a group."""
    return _RFC3261


def ladder(retry_max_count: int, retry_timeout_ms: int) -> Schedule:
    """The handset's shorter patience with a server that is not the last.

    `retry_max_count` counts retransmissions, `retry_timeout_ms` is the wait between them. We give
    up one wait after the last send. A timeout of 0 means RFC 3261 spacing, which Timer F bounds.
    """
    count = retry_max_count or DEFAULT_RETRIES
    if retry_timeout_ms:
        wait = retry_timeout_ms / 1000
        return Schedule(tuple(n * wait for n in range(count + 1)), (count + 1) * wait)
    sends = _rfc_sends(count + 2)
    if len(sends) < count + 2:
        return _RFC3261
    return Schedule(sends[:-1], sends[-1])


def _rfc_sends(limit: int) -> tuple[float, ...]:
    at, wait = 0.0, T1
    sends: list[float] = []
    while at < TIMER_F and len(sends) < limit:
        sends.append(at)
        at += wait
        wait = min(2 * wait, T2)
    return tuple(sends)


_RFC3261 = Schedule(_rfc_sends(64), TIMER_F)
