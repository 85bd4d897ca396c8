"""The policy's parameters: names, permitted values, defaults and what they mean.

Names and ranges are those of the handset's administration guide (84-Series rev P, its server and
failOver tables; ranges its pages leave out are those of the Polycom UCS guides it descends from).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Value = bool | int | str

LARGEST = 2_147_483_647
"""The largest number a policy column holds."""


class Kind(StrEnum):
    SWITCH = "switch"
    NUMBER = "number"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a group's policy."""

    name: str
    kind: Kind
    default: Value
    guide: str
    """The guide's name after `voIpProt.server.x.` or `reg.x.server.y.`; '' for one of ours."""
    meaning: str
    ranges: tuple[tuple[int, int], ...] = ()
    """Of a number: lowest and highest, both permitted."""
    choices: tuple[str, ...] = ()
    unit: str = ""
    guides_words: Mapping[str, str] = field(default_factory=dict)
    """Of a choice: the guide's own word for a value, where it differs."""

    @property
    def guide_name(self) -> str:
        """The full name the guide's tables have, '' for one of Rollcall's own."""
        if not self.guide:
            return ""
        return _PREFIXES.get(self.guide, "voIpProt.server.x.") + self.guide

    def written(self, value: Value) -> str:
        """Return `value` as the guide writes it."""
        if isinstance(value, bool):
            return str(int(value))
        return self.guides_words.get(str(value), str(value))

    @property
    def permitted(self) -> str:
        """The permitted values in words."""
        if self.kind is Kind.SWITCH:
            return "true or false"
        if self.kind is Kind.CHOICE:
            return ", ".join(self.choices[:-1]) + f" or {self.choices[-1]}"
        return " or ".join(_range_in_words(*ends) for ends in self.ranges) + (
            f" {self.unit}" if self.unit else ""
        )

    def read(self, given: Value) -> Value:
        """Return `given` (typed, or as text) as this parameter's value.

        Raises ValueError with a sentence that names the parameter and its permitted values.
        """
        value: Value | None = None
        word = str(given).strip().lower()
        if self.kind is Kind.SWITCH:
            value = _SWITCHES.get(word)
        elif self.kind is Kind.CHOICE:
            value = self._chosen(word)
        elif not isinstance(given, bool) and word.isascii() and word.isdigit() and len(word) < 11:
            number = int(word)
            if any(low <= number <= high for low, high in self.ranges):
                value = number
        called = f"{self.name} ({self.guide})" if self.guide else self.name
        if value is None:
            is_too_large = word.isascii() and word.isdigit() and int(word[:40]) > LARGEST
            permitted = f"at most {LARGEST}" if is_too_large else self.permitted
            raise ValueError(f"{called} must be {permitted}, not {str(given)[:40]!r}.")
        return value

    def _chosen(self, word: str) -> str | None:
        of_guide = {theirs.lower(): ours for ours, theirs in self.guides_words.items()}
        word = of_guide.get(word, word)
        return word if word in self.choices else None


_PREFIXES = {
    "failoverOn503Response": "voIpProt.SIP.",
    "tcpFastFailover": "voIpProt.SIP.",
}
"""Of the parameters that stand in no server's table."""

_SWITCHES = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


def _range_in_words(low: int, high: int) -> str:
    if low == high:
        return str(low)
    if high == LARGEST:
        return f"at least {low}"
    return f"{low} to {high}"


def _number(
    name: str, default: int, guide: str, unit: str, meaning: str, *ranges: tuple[int, int]
) -> Parameter:
    return Parameter(name, Kind.NUMBER, default, guide, meaning, ranges=ranges, unit=unit)


def _switch(name: str, default: bool, guide: str, meaning: str) -> Parameter:
    return Parameter(name, Kind.SWITCH, default, guide, meaning)


def _choice(
    name: str,
    default: str,
    guide: str,
    meaning: str,
    choices: tuple[str, ...],
    guides_words: Mapping[str, str] | None = None,
) -> Parameter:
    words = guides_words or {}
    return Parameter(
        name, Kind.CHOICE, default, guide, meaning, choices=choices, guides_words=words
    )


PARAMETERS: Mapping[str, Parameter] = {
    parameter.name: parameter
    for parameter in (
        _number(
            *("expires", 3600, "expires", "seconds"),
            "The period each REGISTER asks for; the server's answer counts.",
            (10, LARGEST),
        ),
        _number(
            *("expires_overlap", 60, "expires.overlap", "seconds"),
            "How long before the granted expiry a registration is renewed; half of a shorter one.",
            (5, 65535),
        ),
        _number(
            *("retry_max_count", 3, "retryMaxCount", "retries"),
            "Retries of an unanswered request before the next server; 0 means 3.",
            (0, 20),
        ),
        _number(
            *("retry_timeout", 0, "retryTimeOut", "ms"),
            "The wait between those retries; 0 spaces them as RFC 3261 does.",
            (0, 65535),
        ),
        _number(
            *("register_retry_base", 60, "registerRetry.baseTimeOut", "seconds"),
            "Base of the back-off between failed registrations (RFC 5626 section 4.5).",
            (10, 120),
        ),
        _number(
            *("register_retry_max", 60, "registerRetry.maxTimeOut", "seconds"),
            "The longest such back-off.",
            (60, 1800),
        ),
        _switch(
            *("re_register_on", False, "failOver.reRegisterOn"),
            "Register with the next server before it is used.",
        ),
        _switch(
            *("fail_registration_on", False, "failOver.failRegistrationOn"),
            "Count the old registration as gone at the moment of failover.",
        ),
        _switch(
            *("only_signal_with_registered", True, "failOver.onlySignalWithRegistered"),
            "Signal nothing to a server that failed until the way back or another failover.",
        ),
        _choice(
            *("fail_back_mode", "registration", "failOver.failBack.mode"),
            "When the primary is tried again.",
            ("new_requests", "dns_ttl", "registration", "duration"),
            {"new_requests": "newRequests", "dns_ttl": "DNSTTL"},
        ),
        _number(
            *("fail_back_timeout", 3600, "failOver.failBack.timeout", "seconds"),
            "For duration: how long after connecting to the current server the primary is tried; "
            "0: only when the current server fails too.",
            (0, 0),
            (60, 65535),
        ),
        _switch(
            *("fast_failover", False, ""),
            "Move all handsets at once when the workers find the server silent.",
        ),
        _switch(
            *("shares_registrations", False, ""),
            "The servers share one set of registrations.",
        ),
        _number(
            *("max_registrations_per_second", 200, "", "registrations a second"),
            "New REGISTER transactions per server; 0: no cap and no spreading.",
            (0, 100_000),
        ),
        _switch(
            *("failover_on_503", True, "failoverOn503Response"),
            "A 503 moves the handset to the next server; else it waits on the same one.",
        ),
        _switch(
            *("failover_on_408", True, ""),
            "A received 408, or silence after 100 Trying, counts as no answer.",
        ),
        _switch(
            *("retry_waits_after_last", True, ""),
            "Give up one wait after the last retry, not with it.",
        ),
        _choice(
            *("register_list_scope", "own_group", ""),
            "In a fallback group: which list's last server gets the whole RFC 3261 time, that of "
            "its own name (own_group) or that of all servers (all).",
            ("own_group", "all"),
        ),
        _switch(
            *("tcp_fast_failover", False, "tcpFastFailover"),
            "retry_max_count and retry_timeout hold on TCP and TLS too, instead of 32 s.",
        ),
        _choice(
            *("on_mass_rejection", "stay", ""),
            "What handsets do when a server refuses those it accepted before.",
            ("stay", "failover"),
        ),
        _switch(
            *("refuse_md5", False, ""),
            "Answer no MD5 challenge, only SHA-256 and SHA-512-256.",
        ),
        _number(
            *("observe_every", 60, "", "seconds"),
            "How often each server is asked where a handset is bound that is only observed.",
            (10, 86_400),
        ),
    )
}

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Registering and renewing": ("expires", "expires_overlap"),
    "A server that does not answer": (
        *("retry_max_count", "retry_timeout", "retry_waits_after_last", "register_list_scope"),
        "tcp_fast_failover",
    ),
    "A server that answers otherwise": (
        *("failover_on_503", "failover_on_408", "on_mass_rejection", "refuse_md5"),
    ),
    "Failover": (
        *("re_register_on", "fail_registration_on", "only_signal_with_registered"),
        *("fast_failover", "shares_registrations"),
    ),
    "No server takes it": ("register_retry_base", "register_retry_max"),
    "The way home": ("fail_back_mode", "fail_back_timeout"),
    "Pace": ("max_registrations_per_second", "observe_every"),
}
"""The parameters as pages group them: by what the handset meets."""


_GUIDES_NAMES = {p.guide.lower(): p.name for p in PARAMETERS.values() if p.guide}
# "failOver.RegisterOn" stands in the guide once, without a row of its own: a slip.
_GUIDES_NAMES["failover.registeron"] = "re_register_on"
_TABLES = re.compile(
    r"(?:voIpProt\.server\.\w+|reg\.\w+\.server\.\w+|reg\.\w+\.outboundProxy|voIpProt\.SIP|"
    r"reg\.\w+)\.(?=.)",
    re.ASCII | re.IGNORECASE,
)
"""What stands before a parameter's name in the guide's tables."""


def our_name(given: str) -> str:
    """Return the parameter that `given` means: its own name, or the guide's in any spelling.

    `failOver.failBack.mode` and `voIpProt.server.1.failOver.failBack.mode` are `fail_back_mode`.
    What means none is returned as it is.
    """
    if given in PARAMETERS:
        return given
    word = given.strip()
    match = _TABLES.match(word)
    return _GUIDES_NAMES.get((word[match.end() :] if match else word).lower(), given)


def read_policy(given: Mapping[str, Value]) -> tuple[dict[str, Value], dict[str, str]]:
    """Return the values that are right by our names, and a sentence for each name that is not.

    A name may be the guide's.
    """
    values: dict[str, Value] = {}
    wrong: dict[str, str] = {}
    first: dict[str, str] = {}
    for name, value in given.items():
        parameter = PARAMETERS.get(our_name(name))
        if parameter is None:
            wrong[name] = f"There is no policy parameter {name[:60]!r}."
        elif parameter.name in first:
            wrong[name] = f"This is {parameter.name}, which {first[parameter.name]!r} sets already."
        else:
            first[parameter.name] = name
            try:
                values[parameter.name] = parameter.read(value)
            except ValueError as error:
                wrong[name] = str(error)
    return values, wrong


def contradictions(mode: str, policy: Mapping[str, Value]) -> dict[str, str]:
    """Return a sentence for each parameter that this mode of group refuses."""
    wrong: dict[str, str] = {}
    if mode == "fallback" and policy.get("re_register_on"):
        wrong["re_register_on"] = (
            "re_register_on (failOver.reRegisterOn) applies only to failover groups: in a fallback "
            "group each server has a registration of its own already."
        )
    return wrong
