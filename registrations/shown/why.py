"""Why is it there? One registration explained: as data for the API, as sentences for people.

The facts come from the agent's own memory (`explaining`); here servers get their names and every
rule and wait its sentence.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from fleet.formats.policy import PARAMETERS
from fleet.models import Line, Server, ServerGroup
from registrations import jobs, queries, store
from registrations.explaining import BindingExplained, Explanation, WaitsFor, explain
from registrations.models import SiteNetwork, State
from registrations.shown import behaviour

AWAY = (State.SECONDARY, State.FALLBACK)


def why(registration: Any, servers: Mapping[int, Server]) -> dict[str, Any]:
    """Explain a row of `queries.registrations` that has its snapshot.

    `servers` are its group's, by id. Where no agent has run yet there is neither a binding nor an
    answer. Where it is unknown, everything is as it was known last, and its sentences say so.
    """
    told = _told(registration, servers)
    return _known_last(told) if told["state"] == State.UNKNOWN else told


def _known_last(told: dict[str, Any]) -> dict[str, Any]:
    """Take what an explanation says in the present back to when it was known."""

    def then(sentence: str) -> str:
        return sentence and f"Last known: {sentence}"

    waits_for = told["waits_for"]
    return told | {
        "rule": then(told["rule"]),
        "way_home": "",
        "waits_for": waits_for if told["network_suspected"] else then(waits_for),
        "bindings": [each | {"sentence": then(each["sentence"])} for each in told["bindings"]],
    }


def _told(registration: Any, servers: Mapping[int, Server]) -> dict[str, Any]:
    group = registration.group
    is_away = registration.state in AWAY
    home = next((server for server in servers.values() if server.priority == 1), None)
    hold = jobs.hold_of(registration, home, timezone.now()) if is_away else ""
    stays = bool(hold) or behaviour.is_called_home(group)
    is_observed = registration.line.supervision == Line.Supervision.OBSERVE
    kept = {} if is_observed else registration.snapshot
    found = explain(kept, store.policy_of(group), stays=stays)
    is_off = registration.state == State.DISABLED
    shown = None if is_off else found
    cause = shown.cause if shown else ("disabled" if is_off else "")
    suspicion = _suspicion(registration)
    bindings = [_binding(each, group, servers) for each in shown.bindings] if shown else []
    return {
        "registration": registration.pk,
        "state": registration.shown_state,
        "state_word": queries.state_word(registration),
        "server": _server(registration.server_id, servers),
        "target": _place(bindings, registration.server_id),
        "assumed_on": _server(registration.assumed_on_id, servers),
        "since": queries.moment(registration.shown_since),
        "cause": cause,
        "cause_word": queries.CAUSES.get(cause, cause),
        "rule": rule(cause, registration.state, group),
        "rule_parameters": list(_parameters(cause, group)),
        "way_home": " ".join([behaviour.homeward(group), hold]).strip() if is_away else "",
        "reason": registration.reason,
        "at_work": registration.lease_token is not None,
        "network_suspected": bool(suspicion),
        "waits_for": suspicion
        or _first(bindings, "sentence", "Nothing: it is switched off." if is_off else ""),
        "next_at": _first(bindings, "next_at", None),
        "next_server": _first(bindings, "next_server", None),
        "bindings": bindings,
        "answers": _answers(shown, servers),
    }


def _suspicion(registration: Any) -> str:
    """Say that nothing moves at a site whose own network is suspected; '' where it is not."""
    suspected = SiteNetwork.objects.filter(
        site_id=registration.site_id, suspected_since__isnull=False
    )
    if registration.state == State.DISABLED or not suspected.exists():
        return ""
    return (
        "Waits for an answer of any of its site's servers: all fell silent at once, so the site's "
        "own network is suspected and nothing is moved."
    )


def _first(bindings: list[dict[str, Any]], name: str, otherwise: Any) -> Any:
    """Of the binding that acts next."""
    soonest = min(bindings, key=lambda each: each["next_at"] or "", default=None)
    return soonest[name] if soonest else otherwise


def _place(bindings: list[dict[str, Any]], server_id: int | None) -> str:
    """Which place of that server's name holds the binding; '' where none does."""
    held = (each["target"] for each in bindings if (each["server"] or {}).get("id") == server_id)
    return next(held, "") if server_id else ""


def _moment(at: float | None) -> str | None:
    return None if at is None else queries.moment(datetime.fromtimestamp(at, UTC))


def _server(server_id: int | None, servers: Mapping[int, Server]) -> dict[str, Any] | None:
    server = servers.get(server_id or 0)
    if server is None:
        return None
    return {
        "id": server.pk,
        "name": str(server),
        "address": server.address,
        "port": server.port,
        "priority": server.priority,
    }


def _name(server_id: int | None, servers: Mapping[int, Server]) -> str:
    server = servers.get(server_id or 0)
    return str(server) if server else "a server that is gone"


def _binding(
    found: BindingExplained, group: ServerGroup, servers: Mapping[int, Server]
) -> dict[str, Any]:
    return {
        "server": _server(found.server_id, servers),
        "target": found.target,
        "phase": found.phase,
        "expires_at": _moment(found.expires_at),
        "waits_for": found.waits_for.value,
        "sentence": waits(found, group, servers),
        "next_at": _moment(found.next_at) if found.next_at else None,
        "next_server": _server(found.next_server_id, servers),
        "next_target": found.next_target,
        "never_comes_home_by_time": found.never_comes_home_by_time,
        "failures": found.failures,
        "refusals": found.refusals,
        "left_alone": [
            {"server": _server(each.server_id, servers), "until": _moment(each.until)}
            for each in found.left_alone
        ],
    }


def _answers(found: Explanation | None, servers: Mapping[int, Server]) -> list[dict[str, Any]]:
    """The last answer of each server, in the order of the group."""
    if found is None:
        return []
    told = [
        {
            "server": _server(answer.server_id, servers),
            "at": _moment(answer.at),
            "verdict": answer.verdict,
            "code": answer.code,
            "answer": answer.answer,
            "sentence": beside(answer.sentence, server.place, str(server)),
        }
        for answer in found.answers
        if (server := servers.get(answer.server_id)) is not None
    ]
    return sorted(told, key=lambda each: each["server"]["priority"])


def standings(
    said: Mapping[str, Any], servers: Sequence[Server], health: Mapping[int, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Per server of the group: what it is to this line (`why`), and its health; for a page."""
    answers = {answer["server"]["id"]: answer for answer in said["answers"]}
    holds = {each["server"]["id"] for each in said["bindings"] if each["server"]}
    alone = {
        left["server"]["id"]: left["until"]
        for each in said["bindings"]
        for left in each["left_alone"]
        if left["server"]
    }
    works = (said["server"] or {}).get("id")
    return [
        {
            "server": server,
            "is_working": server.pk == works,
            "holds": server.pk in holds,
            "is_assumed": server.pk == (said["assumed_on"] or {}).get("id"),
            "answer": answers.get(server.pk),
            "left_alone_until": alone.get(server.pk),
            "health": health[server.pk],
        }
        for server in servers
    ]


def beside(sentence: str, place: str, name: str) -> str:
    """Return a sentence about a server as it stands beside that server's name."""
    for subject in (f"The server {place} ", f"{name} ", "The server "):
        if sentence.startswith(subject):
            rest = sentence.removeprefix(subject)
            return rest[:1].upper() + rest[1:]
    return sentence


# ---- The rule ---------------------------------------------------------------------------------

_RULES = {
    "failover": "Its server did not take the registration; this is the next in order that did.",
    "fallback": "The servers before it hold no registration of it now; this is the first in order "
    "that does.",
    "moved_away": "It was moved by an order: its server is drained, or a failback was rolled back.",
    "forced_failback": "It was brought home by an order, whatever the group's own way home says.",
    "restored": "No server had taken it; this one did when it was tried again.",
    "refused": "Every server it may ask refuses this handset. That is no reason to go elsewhere, "
    "and no reason to give up: it is asked again, ever more rarely.",
    "lost": "No server took it. It starts again with the first one, without end.",
    "held": "Before its first registration it asks who is bound. Somebody else is, and an agent "
    "that bound there too could take over that phone's calls.",
    "overridden": "It was told to bind although somebody else was bound.",
    "seen": "It is only observed: this is what its servers listed when they were asked first.",
    "enabled": "Its supervision was switched on.",
    "disabled": "Its supervision is off.",
    "changed": "Its line or its group was changed.",
    "removed": "Its line was taken out of the fleet.",
    "gap": "Nobody watched it for a while: what it was on had run out by then.",
    "stuck": "Its agent failed or came to no end, so Rollcall ended it and began anew.",
}


def rule(cause: str, state: str, group: ServerGroup) -> str:
    """Say by which rule a line came to where it is."""
    if cause == "first":
        if state in (State.REGISTERING, State.UNREGISTERED):
            return "It registers for the first time."
        if group.mode == ServerGroup.Mode.FALLBACK:
            return "It registers with every server; this is the first in order that took it."
        return "It registers with the first server in order that answers."
    if cause == "failback":
        if group.mode == ServerGroup.Mode.FALLBACK:
            return "The primary holds its registration again, so it is the working server again."
        return f"The primary took it back. {behaviour.homeward(group)}"
    return _RULES.get(cause, "")


_BEHIND = {
    "failover": ("re_register_on", "fail_registration_on", "retry_max_count", "retry_timeout"),
    "failback": ("fail_back_mode",),
    "restored": ("register_retry_base", "register_retry_max"),
    "lost": ("register_retry_base", "register_retry_max"),
}


def _parameters(cause: str, group: ServerGroup) -> list[str]:
    names: tuple[str, ...] = _BEHIND.get(cause, ())
    if cause == "failback" and group.mode == ServerGroup.Mode.FALLBACK:
        names = ()
    return [
        f"{parameter.guide or name}={parameter.written(getattr(group, name))}"
        for name in names
        for parameter in [PARAMETERS[name]]
    ]


# ---- The wait ---------------------------------------------------------------------------------


def waits(found: BindingExplained, group: ServerGroup, servers: Mapping[int, Server]) -> str:
    """Say what a binding waits for, and where its next request goes."""
    following = _name(found.next_server_id, servers)
    here = _name(found.server_id, servers)
    if found.server_id == found.next_server_id and found.target != found.next_target:
        following, here = f"{following} ({found.next_target})", f"{here} ({found.target})"
    said = {
        WaitsFor.RENEWAL: f"Renews at {here}.",
        WaitsFor.PRIMARY_AT_RENEWAL: f"Renews, and offers that to {following} first.",
        WaitsFor.FAILBACK_TIMEOUT: f"Tries {following} again, "
        f"{behaviour.duration(group.fail_back_timeout)} after it came to {here}.",
        WaitsFor.FAILBACK_TTL: f"Tries {following} again when the DNS record of {here} runs out.",
        WaitsFor.PAUSE_END: f"{here} asked to be left alone; it renews there when that ends.",
        WaitsFor.BACK_OFF: f"No server took it; tries again, {following} first.",
        WaitsFor.REFUSAL_BACK_OFF: f"It is refused; asks {following} again.",
        WaitsFor.OTHER_CONTACT_GONE: f"Asks {following} again whether the other contact is gone.",
        WaitsFor.FIRST_TRY: f"Registers with {following}.",
        WaitsFor.TURN: f"Its request to {following} waits for its turn: at most "
        f"{group.max_registrations_per_second} a second go there.",
    }[found.waits_for]
    if found.waits_for is WaitsFor.BACK_OFF and group.mode == ServerGroup.Mode.FALLBACK:
        said = f"{following} did not take it; asks it again."
    if found.next_server_id is None:
        return "Waits until one of its servers may be asked again."
    return said
