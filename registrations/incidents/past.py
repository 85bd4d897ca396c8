"""What is said of a trouble that is over: what was wrong, for how long, whom it hit at most."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from registrations.incidents.limits import (
    CREDENTIALS,
    DRILL,
    FLAPPING,
    HANDSET,
    HORIZON,
    PROOF_LOST,
    SERVER_SICK,
    SERVER_SILENT,
    SITE_NETWORK,
)
from registrations.incidents.words import counted, lasting, listed


@dataclass(frozen=True, slots=True)
class Past:
    """An incident that is over, as it was kept. Its title is what it was told as."""

    kind: str
    title: str
    server: str
    groups: Sequence[str]
    sites: Sequence[str]
    most: int
    """Handsets hit at once, at most."""
    lasted_s: float
    is_one: bool = False
    """It is about one handset by name."""

    @property
    def whom(self) -> str:
        return counted(self.most) if self.most == 1 else f"up to {counted(self.most)}"

    @property
    def lasted(self) -> str:
        return lasting(self.lasted_s)


def happened(past: Past) -> str:
    """Return one true sentence in the past tense."""
    said = _SAID.get(past.kind, _process)(past)
    return said[:1].upper() + said[1:]


def _site(past: Past) -> str:
    where = listed(past.sites)
    return (
        f"No server answered at {where} for {past.lasted}: nobody knew where its "
        f"{counted(past.most)} were."
    )


def _silent(past: Past) -> str:
    whom = (
        f"{past.whom} {_were(past)} still registered there" if past.most else "it held no handset"
    )
    return f"{past.server} did not answer for {past.lasted}: {whom}."


def _sick(past: Past) -> str:
    return f"{past.server} refused handsets it had accepted before, for {past.lasted}: {past.whom}."


def _horizon(past: Past) -> str:
    ended = "binding was" if past.most == 1 else "bindings were"
    most = f"{past.most:,}" if past.most == 1 else f"up to {past.most:,}"
    return f"While {past.server} was silent {most} {ended} about to end, for {past.lasted}."


def _unserved(past: Past) -> str:
    state = "refused by every server" if past.kind == CREDENTIALS else "without a server"
    if past.is_one:
        name = past.title.removesuffix(" without a server")
        return f"{name} was without a server for {past.lasted}."
    where = f"of {listed(past.groups)} at {listed(past.sites)}"
    return f"{past.whom} {where} {_were(past)} {state} for {past.lasted}."


def _proof(past: Past) -> str:
    return (
        f"For {past.lasted} {past.server} would have refused {past.whom} that it would have "
        "taken before."
    )


def _drill(past: Past) -> str:
    drill = past.title.rpartition("after ")[2]
    return f"{past.whom} {_were(past)} not home after {drill}, for {past.lasted}."


def _flap(past: Past) -> str:
    where = listed(past.sites)
    return f"{past.whom} at {where} changed server or state again and again, for {past.lasted}."


def _process(past: Past) -> str:
    who = past.title.removesuffix(" heard").removesuffix(" is")
    was = " was not" if who.endswith(" not") else " was"
    return f"{who.removesuffix(' not').removesuffix(' is')}{was} heard for {past.lasted}."


def _were(past: Past) -> str:
    return "was" if past.most == 1 else "were"


_SAID: Mapping[str, Callable[[Past], str]] = {
    SITE_NETWORK: _site,
    SERVER_SILENT: _silent,
    SERVER_SICK: _sick,
    HORIZON: _horizon,
    CREDENTIALS: _unserved,
    HANDSET: _unserved,
    PROOF_LOST: _proof,
    DRILL: _drill,
    FLAPPING: _flap,
}
