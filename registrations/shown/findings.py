"""Binding truth in sentences: what each contradiction means, and what to do about it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from registrations import queries
from registrations.queries import FindingKind
from registrations.shown.behaviour import duration

LOOKS = {
    FindingKind.FOREIGN: "refused",
    FindingKind.MISSING: "unregistered",
    FindingKind.SHORTENED: "held",
    FindingKind.LEFTOVER: "held",
    FindingKind.TWICE: "pending",
    FindingKind.BRIEF: "held",
}
"""The state whose colour and icon a finding has."""

TO_DO = {
    FindingKind.FOREIGN: "Find out whose it is. A phone that is in use: set this line to observe. "
    "Another installation of Rollcall, or a stolen password: end that one and change the password.",
    FindingKind.MISSING: "Look into the registrar: it was restarted without its table, replaced by "
    "one that does not share it, or somebody cleared the entry. The next renewal binds it again.",
    FindingKind.SHORTENED: "Look for a longest expiry on the registrar or on what stands "
    "before it, and set the group's `expires` below that.",
    FindingKind.LEFTOVER: "Nothing, if that is soon over: until then calls may still be sent to "
    "Rollcall. Else remove it on the registrar.",
    FindingKind.TWICE: "Nothing, shortly after a failover: the first one runs out by itself. Else "
    "calls that come by the first server may miss the handset: set a shorter `expires`, or let the "
    "servers share their registrations.",
    FindingKind.BRIEF: "Look for a longest expiry on the registrar or on what stands before it: "
    "each handset registers so much more often. If it is meant, set the group's `expires` to it.",
}


def told(row: Mapping[str, Any], zone: str) -> dict[str, Any]:
    """Return a `queries.finding_row` with its sentence and what to do."""
    kind = FindingKind(row["kind"])
    return {**row, "sentence": _sentence(kind, row, zone), "to_do": TO_DO[kind]}


def _sentence(kind: FindingKind, row: Mapping[str, Any], zone: str) -> str:
    server = row["server_name"]
    match kind:
        case FindingKind.FOREIGN:
            return f"{server} lists {row['contacts'][0]}, which is not Rollcall's."
        case FindingKind.MISSING:
            until = _clock(row["believed_until"], zone)
            return f"{server} granted a registration until {until} and does not list it."
        case FindingKind.SHORTENED:
            listed, granted = _clock(row["own_until"], zone), _clock(row["believed_until"], zone)
            return f"{server} ends the registration at {listed}; it had granted it until {granted}."
        case FindingKind.LEFTOVER:
            until = _clock(row["own_until"], zone)
            return (
                f"{server} still lists Rollcall's own registration, until {until}, of a handset "
                "that is only observed now."
            )
        case FindingKind.BRIEF:
            granted, asked = duration(row["granted_s"]), duration(row["expires"])
            return f"{server} grants a registration for {granted} where {asked} is asked for."
        case FindingKind.TWICE:
            ends = max(filter(None, [row["own_until"], row["others_until"]]))
            return (
                f"{server} lists it until {_clock(ends, zone)}, and so does a later server of the "
                "group, which does not share its registrations."
            )


def _clock(moment: str | None, zone: str) -> str:
    return queries.clock(datetime.fromisoformat(moment), zone) if moment else "an unknown time"
