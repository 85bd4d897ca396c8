"""What watching handsets costs and what it cannot see, said before it is switched on."""

from collections.abc import Sequence

from django.db.models import Count

from fleet.models import Line, Server, ServerGroup
from registrations import observing
from registrations.shown.behaviour import Step, duration

CHALLENGED_S = 240
"""How often a look needs a second REGISTER, because the server's nonce has grown too old."""


def steps(group: ServerGroup, servers: Sequence[Server]) -> list[Step]:
    """Say what the group's handsets that are only observed cost, or would; none where it has none.

    One query.
    """
    lines = Line.objects.filter(handset__group=group.pk).order_by()
    counted = dict(lines.values_list("supervision").annotate(n=Count("pk")))
    observed = counted.get(Line.Supervision.OBSERVE, 0)
    asked = [server for server in servers if server.register]
    if not asked or not counted:
        return []
    whole = sum(counted.values())
    said = [_cost(group, asked, observed) if observed else _would_cost(group, asked, whole)]
    if observed:
        said += _limits(group)
    return [Step("Watched only", tuple(said), ("observe_every",))]


def rate(group: ServerGroup, lines: int) -> float:
    """REGISTERs a second at each server of the group."""
    return lines / group.observe_every + lines / max(CHALLENGED_S, group.observe_every)


def _cost(group: ServerGroup, asked: Sequence[Server], lines: int) -> str:
    whom = "1 handset is" if lines == 1 else f"{lines:,} handsets are"
    them = "it" if lines == 1 else "each of them"
    return (
        f"{whom} only watched: {_each(asked)} is asked for {them} every "
        f"{duration(group.observe_every)}, by a REGISTER that binds nothing. "
        f"That is {_registers(group, lines)}."
    )


def _would_cost(group: ServerGroup, asked: Sequence[Server], lines: int) -> str:
    whom = "its handset" if lines == 1 else f"all its {lines:,} handsets"
    return (
        f"None. Watching {whom} instead (supervision observe) would ask {_each(asked)} every "
        f"{duration(group.observe_every)}: {_registers(group, lines)}."
    )


def _each(asked: Sequence[Server]) -> str:
    return str(asked[0]) if len(asked) == 1 else f"each of its {len(asked)} servers"


def _registers(group: ServerGroup, lines: int) -> str:
    found = rate(group, lines)
    said = f"{_amount(found)} REGISTERs a second at each"
    cap = group.max_registrations_per_second
    if not cap:
        return said
    share = 100 * found / cap
    told = f"{said}, {_amount(share)} % of the cap"
    return f"{told}; that is too many: look less often" if share > observing.MOST_OF_CAP else told


def _amount(found: float) -> str:
    return "less than 0.1" if found < 0.1 else f"{found:,.1f}"


def _limits(group: ServerGroup) -> list[str]:
    said = [
        "What happens between two looks is not seen. A handset that has moved is looked at every "
        f"{duration(round(observing.QUICK_S))} for {duration(round(observing.RESTLESS_S))}.",
    ]
    if group.shares_registrations:
        said.append(
            "Its servers share their registrations, so which of them serves a handset cannot be "
            "told: it is shown as off, with what they list."
        )
    return said
