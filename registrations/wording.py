"""Policies and a handset's situation in sentences, for pages. Words only: no query, no decision."""

from dataclasses import dataclass
from typing import Any

from fleet.models import Line, ServerGroup
from registrations.models import State


def duration(seconds: int) -> str:
    """Seconds as a person says them: `20 s`, `1 min`, `1 h`, `1 h 30 min`."""
    if seconds < 60 or (seconds < 3600 and seconds % 60):
        return f"{seconds} s"
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    return " ".join([f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes))


@dataclass(frozen=True, slots=True)
class Parameter:
    """One policy parameter as the group page shows it."""

    name: str
    guide_name: str
    """The parameter of the handset's guide; '' for one of Rollcall's own."""
    value: str
    is_default: bool
    sentence: str


GUIDE_NAMES = {
    "expires": "server.x.expires",
    "expires_overlap": "server.x.expires.overlap",
    "retry_max_count": "server.x.retryMaxCount",
    "retry_timeout": "server.x.retryTimeOut",
    "register_retry_base": "server.x.registerRetry.baseTimeOut",
    "register_retry_max": "server.x.registerRetry.maxTimeOut",
    "re_register_on": "failOver.reRegisterOn",
    "fail_registration_on": "failOver.failRegistrationOn",
    "only_signal_with_registered": "failOver.onlySignalWithRegistered",
    "fail_back_mode": "failOver.failBack.mode",
    "fail_back_timeout": "failOver.failBack.timeout",
    "fast_failover": "",
    "shares_registrations": "",
    "max_registrations_per_second": "",
}


def _sentences(group: ServerGroup) -> dict[str, str]:
    base, most = group.register_retry_base, group.register_retry_max
    retries = group.retry_max_count or 3
    cap = group.max_registrations_per_second
    return {
        "expires": f"Asks each server for {duration(group.expires)}; the server's answer counts.",
        "expires_overlap": f"Renews {duration(group.expires_overlap)} before the binding ends, "
        "or half-way through a shorter one.",
        "retry_max_count": f"Repeats an unanswered request {retries} times before the next server.",
        "retry_timeout": f"Waits {group.retry_timeout} ms between repeats."
        if group.retry_timeout
        else "Spaces repeats as RFC 3261 does: 0.5, 1, 2 s.",
        "register_retry_base": f"After all servers failed, waits {duration(base // 2)} to "
        f"{duration(base)}, then twice as long each time …",
        "register_retry_max": f"… but never longer than {duration(most)}.",
        "re_register_on": "Registers with the next server before using it."
        if group.re_register_on
        else "Uses the next server without registering there first.",
        "fail_registration_on": "A failed server makes the registration there invalid at once."
        if group.fail_registration_on
        else "A failed server keeps its registration until that ends.",
        "only_signal_with_registered": "Uses only a server it is registered with."
        if group.only_signal_with_registered
        else "May use a server it is not registered with.",
        "fail_back_mode": homeward(group),
        "fail_back_timeout": f"Counts only in mode duration: {duration(group.fail_back_timeout)}."
        if group.fail_back_timeout
        else "Counts only in mode duration: home only when the current server fails too.",
        "fast_failover": "One handset's failure tells the others: they move at once."
        if group.fast_failover
        else "Every handset finds out for itself that a server is silent.",
        "shares_registrations": "The servers share one set of registrations."
        if group.shares_registrations
        else "Each server knows only its own registrations.",
        "max_registrations_per_second": f"At most {cap} new registrations per second and server."
        if cap
        else "No limit on registrations per second, and no spreading.",
    }


def policy(group: ServerGroup) -> list[Parameter]:
    """The group's policy, one sentence per parameter, in the order of the fleet file."""
    sentences = _sentences(group)
    choices = dict(ServerGroup.FailBackMode.choices)
    defaults = ServerGroup()
    shown = []
    for name, guide_name in GUIDE_NAMES.items():
        value = getattr(group, name)
        words = choices.get(value, str(value))
        if isinstance(value, bool):
            words = str(int(value)) if guide_name else ("on" if value else "off")
        is_default = value == getattr(defaults, name)
        shown.append(Parameter(name, guide_name, words, is_default, sentences[name]))
    return shown


def homeward(group: ServerGroup) -> str:
    """How a handset of this group comes home to its primary by itself."""
    if group.mode == ServerGroup.Mode.FALLBACK:
        return (
            "Every server of this group holds a registration of its own; the handset is home "
            "again as soon as the primary accepts it."
        )
    modes = ServerGroup.FailBackMode
    if group.fail_back_mode == modes.DURATION:
        if not group.fail_back_timeout:
            return "Stays where it is until that server fails too."
        wait = duration(group.fail_back_timeout)
        return f"Tries the primary again {wait} after it moved away."
    if group.fail_back_mode == modes.NEW_REQUESTS:
        return "Offers every new request to the primary first."
    if group.fail_back_mode == modes.DNS_TTL:
        return "Tries the primary again when the DNS record it came from runs out."
    return "Offers its next renewal to the primary first."


@dataclass(frozen=True, slots=True)
class Explanation:
    """A handset's situation. `next_words` is followed on the page by the time of the next step."""

    next_words: str
    homeward: str
    advice: str


def explain(row: dict[str, Any], group: ServerGroup, supervision: str) -> Explanation:
    """Say what happens next to the registration of this row (`queries.row`) and what to do."""
    state = row["state"]
    away = state in (State.SECONDARY, State.FALLBACK)
    return Explanation(
        next_words=_next_words(state, supervision, bool(row["next_attempt_at"])),
        homeward=homeward(group) if away else "",
        advice=_advice(row),
    )


def _next_words(state: str, supervision: str, planned: bool) -> str:
    if state == State.DISABLED:
        return {
            Line.Supervision.OBSERVE: "Nothing: this line is only to be observed.",
        }.get(Line.Supervision(supervision), "Nothing: supervision is off for this line.")
    if state == State.HELD:
        return "Waits until an admin decides: another contact is bound to this address."
    if not planned:
        return "Rollcall is working on it now."
    if state == State.UNKNOWN:
        return "Nothing heard since; the next step was due"
    if state in (State.PRIMARY, State.SECONDARY, State.FALLBACK):
        return "Renews its registration"
    return "Tries again"


def _advice(row: dict[str, Any]) -> str:
    if row["silent"]:
        return (
            "The server that holds this registration no longer answers. Calls may not arrive "
            "until the handset moves or the server is back."
        )
    return {
        State.REJECTED: "No server takes this line. Check user name and password here and on the "
        "servers, then wait for the next try.",
        State.UNREGISTERED: "No server holds this line: it cannot be called now.",
        State.UNKNOWN: "Rollcall has heard nothing of its own worker about this line. Check that "
        "a worker runs for this site.",
    }.get(row["state"], "")
