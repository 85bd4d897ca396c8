"""From a configured server to the places it stands for: RFC 3263 with the handset's own rules.

Pure: `locate` is given what DNS said so far and returns the targets, or the questions that are
still open. Whoever asks them (or knows the answers) calls again until none is left.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from registrations.values import Target

DEFAULT_PORTS: Mapping[str, int] = {"udp": 5060, "tcp": 5060, "tls": 5061}
MOST_TARGETS = 16
"""Of one name. A server's operator may write any number of records; each would be waited for."""
LONGEST_STORY = 300


class Kind(StrEnum):
    A = "A"
    AAAA = "AAAA"
    SRV = "SRV"
    NAPTR = "NAPTR"


@dataclass(frozen=True, slots=True)
class Question:
    """One query: a name in lower case without the final dot, and the kind of record."""

    name: str
    kind: Kind

    @classmethod
    def of(cls, name: str, kind: Kind) -> "Question":
        return cls(name.lower().removesuffix("."), kind)


@dataclass(frozen=True, slots=True)
class Address:
    """An A or AAAA record."""

    address: str
    ttl: int


@dataclass(frozen=True, slots=True)
class Service:
    """An SRV record (RFC 2782). The target '' says that there is decidedly no such service."""

    priority: int
    weight: int
    port: int
    target: str
    ttl: int


@dataclass(frozen=True, slots=True)
class Pointer:
    """A NAPTR record (RFC 3403) as SIP uses it (RFC 3263 section 4.1)."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str
    ttl: int


Record = Address | Service | Pointer


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of a question: records, or in `why` a sentence that says why there are none."""

    records: tuple[Record, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Located:
    """What `locate` found. With open questions the rest means nothing yet."""

    open: frozenset[Question] = frozenset()
    targets: tuple[Target, ...] = ()
    unresolved: str = ""
    """Why there is no target: a sentence."""


def literal(wanted: Target) -> Target:
    """Return the target of a server configured by IP address: no look-up (RFC 3263 section 4.2).

    Its transport is the configured one, UDP where NAPTR was to decide; a port of 0 is the
    transport's own.
    """
    spoken = "udp" if wanted.transport == "dns_naptr" else wanted.transport
    return replace(wanted, port=wanted.port or default_port(spoken), transport=spoken)


def default_port(transport: str) -> int:
    return DEFAULT_PORTS["tls" if transport == "tls" else "udp"]


def locate(
    wanted: Target, answers: Mapping[Question, Answer], draw: Callable[[], float]
) -> Located:
    """Return the targets of a name in the order they are tried, or what is still to be asked.

    `wanted` is the server as configured: its address is the name, its port 0 where DNS is to say,
    its transport may be `dns_naptr`. `draw` is uniform in [0, 1) and decides among the weights of
    one priority (S5). A name with a port asks for addresses only; without one NAPTR, SRV and
    addresses are asked in turn, each where the one before has nothing (S1, S2).
    """
    search = _Search(wanted, answers, draw)
    search.run()
    if search.open:
        return Located(open=frozenset(search.open))
    found = tuple(dict.fromkeys(search.targets))[:MOST_TARGETS]
    if found:
        return Located(targets=found)
    return Located(unresolved=search.story() or f"DNS has no address for {wanted.address}.")


@dataclass(slots=True)
class _Search:
    """One walk through the answers."""

    wanted: Target
    answers: Mapping[Question, Answer]
    draw: Callable[[], float]
    open: set[Question] = field(default_factory=set)
    targets: list[Target] = field(default_factory=list)
    whys: list[str] = field(default_factory=list)
    asides: list[str] = field(default_factory=list)
    """Of NAPTR and SRV. Who has a name without them misses nothing: addresses are what matters."""
    rank: int = 0

    def run(self) -> None:
        wanted = self.wanted
        if wanted.port:
            spoken = "udp" if wanted.transport == "dns_naptr" else wanted.transport
            self._hosts(wanted.address, wanted.port, spoken, None)
        elif wanted.transport == "dns_naptr":
            self._by_naptr()
        else:
            service = SERVICES["tcp" if wanted.transport == "tcp_preferred" else wanted.transport]
            if not self._services(f"{service}.{wanted.address}", wanted.transport, None):
                self._bare_name(wanted.transport)

    def story(self) -> str:
        """Say why nothing was found, each sentence once."""
        return " ".join(dict.fromkeys(self.whys or self.asides))[:LONGEST_STORY]

    def _by_naptr(self) -> None:
        name = self.wanted.address
        pointers = self._ask(Question.of(name, Kind.NAPTR))
        usable = sorted(
            (p for p in pointers if isinstance(p, Pointer) and _transport_of(p)),
            key=lambda p: (p.order, p.preference),
        )
        for pointer in usable:
            spoken = _transport_of(pointer)
            if pointer.flags.lower() == "s":
                self._services(pointer.replacement, spoken, pointer.ttl)
            else:
                self._hosts(pointer.replacement, default_port(spoken), spoken, pointer.ttl)
        if usable or self.open:
            return
        # All at once: what answers first in this order is the transport (RFC 3263 section 4.1).
        there = {
            spoken: self._ask(Question.of(f"{service}.{name}", Kind.SRV))
            for spoken, service in SERVICES.items()
        }
        if self.open:
            return
        for spoken, service in SERVICES.items():
            if there[spoken]:
                self._services(f"{service}.{name}", spoken, None)
                if self.targets or self.open:
                    return
        if not any(there.values()):
            self._bare_name("udp")

    def _bare_name(self, spoken: str) -> None:
        if not self.open:
            self._hosts(self.wanted.address, default_port(spoken), spoken, None)

    def _services(self, name: str, spoken: str, ttl: int | None) -> bool:
        """Take the SRV records of `name`; return whether there are any (or may be)."""
        question = Question.of(name, Kind.SRV)
        records = [r for r in self._ask(question) if isinstance(r, Service)]
        for record in drawn(records, self.draw):
            if record.target:
                least = record.ttl if ttl is None else min(ttl, record.ttl)
                self._hosts(record.target, record.port, spoken, least)
            else:
                self.whys.append(f"DNS says that {question.name} is not offered.")
        return bool(records) or question in self.open

    def _hosts(self, name: str, port: int, spoken: str, ttl: int | None) -> None:
        """Take the addresses of one host: in the order returned, A before AAAA."""
        wanted = self.wanted
        bears = wanted.tls_name or wanted.address.lower().removesuffix(".")
        for kind in (Kind.A, Kind.AAAA):
            for record in self._ask(Question.of(name, kind)):
                if isinstance(record, Address):
                    target = replace(
                        wanted,
                        address=record.address,
                        port=port or default_port(spoken),
                        transport=spoken,
                        tls_name=bears if spoken == "tls" else "",
                        ttl=record.ttl if ttl is None else min(ttl, record.ttl),
                        rank=self.rank,
                    )
                    self.targets.append(target)
            self.rank += 1

    def _ask(self, question: Question) -> Sequence[Record]:
        answer = self.answers.get(question)
        if answer is None:
            self.open.add(question)
            return ()
        if answer.why:
            is_address = question.kind in (Kind.A, Kind.AAAA)
            (self.whys if is_address else self.asides).append(answer.why)
        return answer.records


SERVICES: Mapping[str, str] = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}
_NAPTR_SERVICES: Mapping[str, str] = {"sip+d2u": "udp", "sip+d2t": "tcp", "sips+d2t": "tls"}


def _transport_of(pointer: Pointer) -> str:
    """Return the transport a NAPTR record offers; '' where we cannot use it."""
    if pointer.flags.lower() not in ("s", "a") or not pointer.replacement:
        return ""
    return _NAPTR_SERVICES.get(pointer.service.lower(), "")


def drawn(records: Sequence[Service], draw: Callable[[], float]) -> list[Service]:
    """Order SRV records: priority ascending, by chance and weight inside one (RFC 2782)."""
    left = sorted(records, key=lambda r: (r.priority, r.weight > 0))
    order: list[Service] = []
    while left:
        first = [r for r in left if r.priority == left[0].priority]
        chosen = first[0]
        if len(first) > 1:
            mark, running = int(draw() * (sum(r.weight for r in first) + 1)), 0
            for chosen in first:
                running += chosen.weight
                if running >= mark:
                    break
        order.append(chosen)
        left.remove(chosen)
    return order
