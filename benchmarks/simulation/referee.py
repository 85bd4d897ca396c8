"""Watches a site and writes down every broken rule, and how long handsets were on no server."""

from collections import Counter, deque
from dataclasses import dataclass, field

from benchmarks.simulation.script import BUSY, DEAD, OK, SILENT, Episode, Site
from registrations.intervals import back_off
from registrations.redundancy import REFUSAL_RETRY_MAX_S
from registrations.runtime.pacer import LATE_S
from registrations.values import GroupMode

HOLDING_STATES = frozenset({"primary", "secondary", "fallback"})


@dataclass(slots=True)
class Findings:
    """What came of one site."""

    site: str
    violations: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    hourly: dict[int, Counter[int]] = field(default_factory=dict)
    """REGISTERs by server and hour."""
    peak: Counter[int] = field(default_factory=Counter)
    """Most REGISTERs to a server within any second."""
    longest_off: float = 0.0
    """Seconds on no server although one would have taken it, after the first arrival."""
    longest_start: float = 0.0
    """Seconds from being switched on to the first server."""
    bound_off: float = 0.0
    """The bound `longest_off` is held to."""
    off: int = 0
    """How often a handset was on no server."""
    claims: int = 0
    seconds: float = 0.0
    """Wall clock."""


@dataclass(slots=True)
class Record:
    """What the referee knows of one handset."""

    aor: str
    cseq: dict[str, int] = field(default_factory=dict)
    bound_at: int | None = None
    bad: set[int] = field(default_factory=set)
    """Servers that did not take it since it was bound last."""
    hush: dict[int, float] = field(default_factory=dict)
    off_since: float | None = None
    has_arrived: bool = False


class Referee:
    """Knows the script, so it knows who would have taken a handset when."""

    def __init__(self, site: Site, start: float) -> None:
        self._site = site
        self._start = start
        self._cap = site.policy.max_registrations_per_second
        self._recent: list[deque[float]] = [deque() for _ in range(site.servers)]
        self._takes = _would_take(site, start)
        self.findings = Findings(site.name, bound_off=_bound(site))
        self.findings.hourly = {server: Counter() for server in range(site.servers)}

    def blame(self, rule: str, example: str) -> None:
        self.findings.violations[rule] += 1
        if self.findings.violations[rule] <= 3:
            self.findings.examples.append(f"{self._site.name}: {rule}: {example}")

    def left(self, server: int, now: float) -> None:
        """A new REGISTER left towards that server."""
        recent = self._recent[server]
        while recent and recent[0] <= now - 1.0 + 1e-6:
            recent.popleft()
        recent.append(now)
        self.findings.hourly[server][int((now - self._start) // 3600)] += 1
        if len(recent) > self.findings.peak[server]:
            self.findings.peak[server] = len(recent)
        if self._cap and len(recent) > self._cap:
            self.blame("more than its cap in a second", f"server {server + 1} at {now:.3f}")

    def request(self, of: Record, server: int, fields: dict[str, str], now: float) -> None:
        """A request, or its repetition, is on its way to that server."""
        number, call_id = int(fields["CSeq"].split()[0]), fields["Call-ID"]
        if number < of.cseq.get(call_id, 0):
            self.blame("CSeq only grows", f"{of.aor} at {now:.1f}")
        is_new = number > of.cseq.get(call_id, 0)
        of.cseq[call_id] = number
        if fields.get("Expires") == "0":
            self.blame("never expires 0", f"{of.aor} at {now:.1f}")
        if is_new and of.hush.get(server, 0.0) > now + 1e-6:
            self.blame("nothing to a server before its Retry-After", f"{of.aor} at {now:.1f}")

    def answered(self, of: Record, server: int, code: int, now: float, *, binds: bool) -> None:
        """That server answered (code 0: it cannot be reached)."""
        if code == 200 and binds:
            before = server if of.bound_at is None else of.bound_at
            is_one_binding = self._site.mode is GroupMode.FAILOVER
            if is_one_binding and server > before and before not in of.bad:
                self.blame("a second server only while the first fails", f"{of.aor} {now:.1f}")
            of.bound_at = server
            of.bad.clear()
        elif code not in (200, 401):
            of.bad.add(server)

    def moved(self, of: Record, at: float, state: str) -> None:
        """The agent shows another state from `at` on."""
        if state not in HOLDING_STATES:
            of.off_since = at if of.off_since is None else of.off_since
            return
        if of.off_since is not None:
            self._was_off(of, of.off_since, at)
            of.off_since = None

    def _was_off(self, of: Record, start: float, end: float) -> None:
        longest = max(
            (min(end, until) - max(start, since) for since, until in self._takes), default=0.0
        )
        if not of.has_arrived:
            of.has_arrived = True
            self.findings.longest_start = max(self.findings.longest_start, end - start)
        else:
            self.findings.off += 1
            self.findings.longest_off = max(self.findings.longest_off, longest)
        if longest > self.findings.bound_off:
            self.blame("a server that takes it is found in time", f"{of.aor} {longest:.0f} s")


def _bound(site: Site) -> float:
    """Seconds in which a server that takes it must have been found: wait, ask, and the queue."""
    policy = site.policy
    wait = back_off(policy.register_retry_base, policy.register_retry_max, 20, 1.0)
    if site.refuses:
        wait = max(wait, REFUSAL_RETRY_MAX_S)
    asking = 32.0 * site.servers
    cap = policy.max_registrations_per_second
    bindings = site.handsets * (site.servers if site.mode is GroupMode.FALLBACK else 1)
    queue = 2 * bindings * (1 + LATE_S) / cap if cap else 0.0
    return wait + asking + 2 * queue


def _would_take(site: Site, start: float) -> list[tuple[float, float]]:
    """When a line that asks would be taken: by the first server that is not down nor busy.

    A server that refuses or is at fault is not passed over (redundancy 1.4), but for a fallback
    list, whose entries are asked each for itself.
    """
    edges = sorted({0.0, *(t for e in site.episodes for t in (e.start, e.end)), site.hours * 3600})
    spans: list[tuple[float, float]] = []
    for since, until in zip(edges, edges[1:], strict=False):
        if not _takes(site, [e for e in site.episodes if e.start <= since < e.end]):
            continue
        if spans and spans[-1][1] == start + since:
            spans[-1] = (spans[-1][0], start + until)
        else:
            spans.append((start + since, start + until))
    return spans


def _takes(site: Site, now: list[Episode]) -> bool:
    moods = {e.server: e.mood for e in now}
    asked = [moods.get(server, OK) for server in range(site.servers)]
    if site.mode is GroupMode.FALLBACK:
        return OK in asked
    alive = [mood for mood in asked if mood not in (SILENT, DEAD, BUSY)]
    return bool(alive) and alive[0] == OK
