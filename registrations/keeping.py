"""What a binding leaves in its row between two claims, and how it comes back from there.

Targets are kept whole, so that a binding survives a DNS that is dead or answers in another order.
During a deploy two versions work on the same rows: each reads over what it does not know.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from registrations.binding import HOLDING, RESTING, Binding, Phase
from registrations.values import GroupMode, Target

FORMAT = 1
"""Of all that agents keep. Raise it when an older version would misread that, not when something
is added: older workers leave rows of a newer format to newer workers."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One configured server of a group, with the targets it stands for now."""

    server_id: int
    priority: int
    register: bool
    targets: tuple[Target, ...]
    label: str = ""
    unresolved: str = ""
    """Why its name stands for no target: a sentence. Counts as a signalling failure (S209)."""
    tls_ca: str = field(default="", repr=False)
    tls_certificate: str = field(default="", repr=False)
    """What its group trusts: not kept in rows, and needed for a target that comes from there."""


def lists_of(mode: GroupMode, entries: Sequence[Entry]) -> list[tuple[str, list[Entry]]]:
    """Return the bindings a group has: one over all entries, or one for each (redundancy 1.2)."""
    registering = [entry for entry in entries if entry.register]
    if mode is GroupMode.FAILOVER:
        return [("group", registering)]
    return [(str(entry.server_id), [entry]) for entry in registering]


def kept_targets(targets: Sequence[Target]) -> list[list[Any]]:
    """Return targets as JSON."""
    return [[t.server_id, t.address, t.port, t.transport, t.tls_name, t.ttl] for t in targets]


def target(fields: Sequence[Any]) -> Target:
    """Return one of those that `kept_targets` made."""
    server_id, address, port, transport, tls_name, ttl = fields[:6]
    return Target(server_id, address, port, transport, tls_name, ttl=ttl)


def targets_of(entries: Sequence[Entry], kept: Mapping[str, Any]) -> tuple[Target, ...]:
    """Return the targets of one binding, in order.

    Addresses of one record keep their order while the set is unchanged: DNS servers rotate them.
    An entry that does not resolve keeps the target that holds the binding: a renewal goes where
    the registration is (R10), whatever DNS says.
    """
    before = [target(fields) for fields in kept.get("targets", [])]
    current = kept.get("binding", {}).get("current")
    holder = before[current] if current is not None and current < len(before) else None
    targets: list[Target] = []
    for entry in entries:
        mine = [target for target in before if target.server_id == entry.server_id]
        if set(mine) == set(entry.targets):
            fresh = {target: target for target in entry.targets}
            targets += sorted((fresh[target] for target in mine), key=lambda target: target.rank)
        elif entry.unresolved and holder in mine and holder is not None:
            pins = {"tls_ca": entry.tls_ca, "tls_certificate": entry.tls_certificate}
            targets.append(replace(holder, **pins))
        else:
            targets += entry.targets
    return tuple(targets)


def kept_binding(binding: Binding) -> dict[str, Any]:
    """Return a binding as JSON."""
    return {
        "phase": str(binding.phase),
        "current": binding.current,
        "trying": binding.trying,
        "tried": list(binding.tried),
        "connected_at": binding.connected_at,
        "granted": binding.granted,
        "expires_at": binding.expires_at,
        "renew_at": binding.renew_at,
        "failback_at": binding.failback_at,
        "retry_at": binding.retry_at,
        "failures": binding.failures,
        "refusals": binding.refusals,
        "blocked": {str(index): until for index, until in binding.blocked.items()},
    }


def known(kind: type[Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of `kept` is a field of that dataclass here: a newer version may keep more."""
    return {name: kept[name] for name in kind.__dataclass_fields__ if name in kept}


def restored(
    kept: Mapping[str, Any], targets: Sequence[Target], *, have_moved: bool = True
) -> Binding:
    """Bring a binding back; what pointed at a target that is gone is forgotten.

    Unless `have_moved`, the targets are those that were kept, in their order.
    """
    fields = kept.get("binding")
    if not fields:
        return Binding()
    read = known(Binding, fields)
    read["phase"] = Phase(fields["phase"])
    read["tried"] = tuple(fields["tried"])
    read["blocked"] = {int(index): until for index, until in fields["blocked"].items()}
    if have_moved:
        _follow_targets(read, kept["targets"], targets)
    binding = Binding(**read)
    if binding.phase in HOLDING and binding.current is None:
        return Binding(blocked=binding.blocked)
    if binding.phase not in RESTING and binding.trying is None:
        return replace(binding, phase=Phase.BOUND if binding.current is not None else Phase.IDLE)
    return binding


def _follow_targets(
    read: dict[str, Any], kept: Sequence[Sequence[Any]], targets: Sequence[Target]
) -> None:
    """Let what pointed at the targets that were kept point at the same ones here."""
    now_at = {target: index for index, target in enumerate(targets)}
    before = [target(fields) for fields in kept]
    moved = {old: now_at[target] for old, target in enumerate(before) if target in now_at}
    read["current"], read["trying"] = moved.get(read["current"]), moved.get(read["trying"])
    read["tried"] = tuple([moved[old] for old in read["tried"] if old in moved])
    read["blocked"] = {moved[old]: until for old, until in read["blocked"].items() if old in moved}
