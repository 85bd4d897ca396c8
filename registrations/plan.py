"""What all lines of a server group share, worked out once for all of them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from registrations.binding import Rules
from registrations.judging import patience
from registrations.keeping import Entry, kept_targets, lists_of, targets_of
from registrations.sip.timers import Schedule, rfc3261_schedule
from registrations.values import GroupMode, ListScope, Policy, Target

_STREAMS = frozenset({"tcp", "tls"})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a process lends all its agents."""

    contact_for: Callable[[str, Target, str], str]
    """Where a user is reached who registers there, by the transport all the servers share."""
    sent_by_for: Callable[[Target], str]
    """host:port of the local socket. Raises OSError where there is no way to the target."""
    token: Callable[[], str]
    """A fresh one that nobody can guess."""
    jitter: Callable[[], float]
    """Uniform in [0, 1)."""


class Roster:
    """The servers of one binding, in order. `ends_list`: none of the whole list comes after."""

    __slots__ = (
        "entries",
        "is_last_of_all",
        "key",
        "kept",
        "labels",
        "rules",
        "targets",
        "unresolved",
    )

    def __init__(
        self, key: str, entries: Sequence[Entry], plan: "Plan", *, ends_list: bool
    ) -> None:
        self.key = key
        self.entries = entries
        self.is_last_of_all = ends_list or plan.policy.register_list_scope is ListScope.OWN_GROUP
        """Whether who is last in it is the last whom the line can ask."""
        self.labels = {entry.server_id: entry.label for entry in entries}
        self.unresolved = [f"{e.label}: {e.unresolved}" for e in entries if e.unresolved]
        self.targets = targets_of(entries, {})
        self.kept = kept_targets(self.targets)
        """The targets as a row keeps them: it mostly keeps just these."""
        self.rules = plan.rules_for(self.targets)


class Plan:
    """A group's servers and policy as its lines' agents need them.

    `entries` are the group's servers in order. A failover group is one binding over all their
    targets in one Call-ID and CSeq space (R3); in a fallback group each entry that registers has
    a binding of its own. Raises ValueError where no server takes registrations.
    """

    __slots__ = ("around", "ladder", "mode", "policy", "rosters", "spoken")

    def __init__(
        self, mode: GroupMode, policy: Policy, entries: Sequence[Entry], around: Surroundings
    ) -> None:
        lists = lists_of(mode, entries)
        if not lists or not lists[0][1]:
            raise ValueError("a group needs a server that takes registrations")
        self.mode = mode
        self.policy = policy
        self.around = around
        self.spoken = common_transport(entries)
        self.ladder = patience(policy)
        last = lists[-1][0]
        self.rosters = [Roster(key, of, self, ends_list=key == last) for key, of in lists]

    def rules_for(self, targets: Sequence[Target]) -> Rules:
        """Return what a binding over these targets decides by while nothing is in the news."""
        ttls = tuple([target.ttl for target in targets])
        first = self.schedule_for(targets[0]) if targets else self.ladder
        return Rules(self.policy, ttls, first.give_up_after, self.around.jitter)

    def schedule_for(self, target: Target, *, is_last: bool = False) -> Schedule:
        """Return the patience with a target; `is_last`: nobody is left to ask after it."""
        is_slow = target.transport in _STREAMS and not self.policy.tcp_fast_failover
        return rfc3261_schedule() if is_last or is_slow else self.ladder


def common_transport(entries: Iterable[Entry]) -> str:
    """Return the transport all servers of a group share; UDP, which all can send to, otherwise.

    A Contact must be the same at each server of a failover group: where they share their data,
    another transport in it would be another binding.
    """
    spoken = {target.transport for entry in entries for target in entry.targets}
    return spoken.pop() if len(spoken) == 1 else "udp"
