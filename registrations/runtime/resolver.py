"""Names to records: asked of DNS once per process and TTL, whoever wants to know.

What DNS says lives for its TTL, that it has nothing for the time RFC 2308 gives, that it did not
answer for a few seconds. Of agents that want the same at once one asks and all hear the answer.
"""

import asyncio
import errno
import ipaddress
import logging
import socket
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import dns.asyncresolver
import dns.exception
import dns.message
import dns.nameserver
import dns.rdatatype
import dns.resolver

from registrations.runtime.clock import steady
from registrations.sip.targets import Address, Answer, Kind, Pointer, Question, Record, Service

logger = logging.getLogger(__name__)

PATIENCE_S = 3.0
"""For one question, over all servers and retries; a chain of NAPTR, SRV and A has three."""
TRY_S = 1.0
"""For one datagram to one server."""
SHORTEST_S = 1.0
"""A TTL of 0 would make each agent of a fleet ask on its own."""
LONGEST_S = 86_400.0
NOTHING_S = 30.0
"""For a negative answer that names no time of its own (RFC 2308 section 5)."""
LONGEST_NOTHING_S = 300.0
UNANSWERED_S = 15.0
"""A server that did not answer is left alone so long (RFC 2308 section 7)."""
READ_AGAIN_S = 60.0
"""Between two looks at the system's configuration."""
MOST_KEPT = 10_000
MOST_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class _Known:
    answer: Answer
    until: float
    """In `steady` seconds."""


class Resolver:
    """The process's only way to DNS. `servers` are (address, port); None: the system's own.

    Used on the loop's thread only. Without any server every question is answered by why.
    """

    def __init__(self, servers: Sequence[tuple[str, int]] | None = None) -> None:
        self._servers = servers
        self._dns = _resolver(servers)
        self._read_at = steady()
        self._known: OrderedDict[Question, _Known] = OrderedDict()
        self._asking: dict[Question, asyncio.Task[Answer]] = {}
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)

    def known(self, question: Question) -> Answer | None:
        """Return what is known without asking; None where it would have to be asked."""
        if not self._dns.nameservers:
            return Answer(why="No DNS server is configured.")
        found = self._known.get(question)
        if found is None:
            return None
        if found.until <= steady():
            del self._known[question]
            return None
        self._known.move_to_end(question)
        return found.answer

    async def ask(self, questions: Iterable[Question]) -> dict[Question, Answer]:
        """Return the answers to all of these, at the latest after PATIENCE_S. Never raises."""
        asked = list(questions)
        answers = await asyncio.gather(*(self._ask(question) for question in asked))
        return dict(zip(asked, answers, strict=True))

    async def close(self) -> None:
        """Ask no more; who waits is told so."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, question: Question) -> Answer:
        known = self.known(question)
        if known is not None:
            return known
        task = self._asking.get(question)
        if task is None:
            task = asyncio.create_task(self._query(question))
            self._asking[question] = task
            task.add_done_callback(lambda _: self._asking.pop(question, None))
        # One that gives up waiting must not take the question away from the others.
        return await asyncio.shield(task)

    async def _query(self, question: Question) -> Answer:
        async with self._slots:
            try:
                answer, seconds = await self._query_dns(question)
            except (dns.exception.DNSException, OSError) as error:
                logger.info("DNS: %s %s: %s", question.kind, question.name, error)
                answer, seconds = Answer(why=_unanswered(question, error)), UNANSWERED_S
                self._read_again()
            except Exception:
                # Bytes from the network: whatever reading them raises is this question's alone.
                logger.exception("DNS: %s %s", question.kind, question.name)
                answer = Answer(why=f"The answer of DNS about {question.name} cannot be read.")
                seconds = UNANSWERED_S
        self._known[question] = _Known(answer, steady() + seconds)
        self._known.move_to_end(question)
        while len(self._known) > MOST_KEPT:
            self._known.popitem(last=False)
        return answer

    def _read_again(self) -> None:
        """The system's servers may have changed since (DHCP), and be why nobody answers."""
        if self._servers is None and steady() - self._read_at > READ_AGAIN_S:
            self._dns = _resolver(None)
            self._read_at = steady()

    async def _query_dns(self, question: Question) -> tuple[Answer, float]:
        """Return the answer and for how many seconds it holds."""
        # Only a bare word is looked for in the system's search domains: `sip1`, not `sip1.example`.
        is_word = question.kind in (Kind.A, Kind.AAAA) and "." not in question.name
        try:
            found = await self._dns.resolve(
                question.name,
                question.kind.value,
                raise_on_no_answer=False,
                lifetime=PATIENCE_S,
                search=is_word,
            )
        except dns.resolver.NXDOMAIN as error:
            responses = error.kwargs["responses"].values()
            answer = Answer(why=f"DNS says that there is no name {question.name}.")
            return answer, min((_nothing_for(r) for r in responses), default=NOTHING_S)
        if found.rrset is None:
            return Answer(why=_nothing(question)), _nothing_for(found.response)
        ttl = int(found.chaining_result.minimum_ttl)
        records = [_record(question.kind, rdata, ttl) for rdata in found.rrset]
        usable = [r for r in records if not isinstance(r, Address) or has_way(r.address)]
        if records and not usable:
            why = f"This machine has no way to the address of {question.name}."
            return Answer(why=why), NOTHING_S
        return Answer(tuple(usable)), min(max(float(ttl), SHORTEST_S), LONGEST_S)


def _resolver(servers: Sequence[tuple[str, int]] | None) -> dns.asyncresolver.Resolver:
    if servers is None:
        try:
            made = dns.asyncresolver.Resolver()
        except dns.resolver.NoResolverConfiguration as error:
            logger.warning("this machine has no DNS server: %s", error)
            made = dns.asyncresolver.Resolver(configure=False)
    else:
        made = dns.asyncresolver.Resolver(configure=False)
        made.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in servers]
    made.timeout = TRY_S
    made.lifetime = PATIENCE_S
    return made


def _record(kind: Kind, rdata: object, ttl: int) -> Record:
    """Return one record as the pure part reads it; dnspython's rdata classes are untyped."""
    given = {name: getattr(rdata, name, None) for name in _FIELDS[kind]}
    if kind is Kind.SRV:
        return Service(
            int(given["priority"]),
            int(given["weight"]),
            int(given["port"]),
            _plain(given["target"]),
            ttl,
        )
    if kind is Kind.NAPTR:
        return Pointer(
            int(given["order"]),
            int(given["preference"]),
            given["flags"].decode("ascii", "replace"),
            given["service"].decode("ascii", "replace"),
            _plain(given["replacement"]),
            ttl,
        )
    return Address(str(given["address"]), ttl)


_FIELDS = {
    Kind.A: ("address",),
    Kind.AAAA: ("address",),
    Kind.SRV: ("priority", "weight", "port", "target"),
    Kind.NAPTR: ("order", "preference", "flags", "service", "replacement"),
}


def _plain(name: object) -> str:
    return str(name).lower().removesuffix(".")


def _nothing_for(response: dns.message.Message) -> float:
    """Return how long a negative answer holds: its SOA says (RFC 2308 section 5)."""
    for rrset in response.authority:
        if rrset.rdtype == dns.rdatatype.SOA:
            seconds = float(min(rrset.ttl, rrset[0].minimum))
            return min(max(seconds, SHORTEST_S), LONGEST_NOTHING_S)
    return NOTHING_S


def _nothing(question: Question) -> str:
    if question.kind in (Kind.A, Kind.AAAA):
        return f"DNS has no address for {question.name}."
    return f"DNS has no {question.kind} record for {question.name}."


def _unanswered(question: Question, error: Exception) -> str:
    if isinstance(error, dns.resolver.NoNameservers):
        return f"The DNS server cannot answer for {question.name}."
    if isinstance(error, dns.exception.Timeout | OSError):
        return f"DNS did not answer within {PATIENCE_S:.0f} s when asked for {question.name}."
    return f"DNS cannot be asked for {question.name!r}."


def has_way(address: str) -> bool:
    """Whether a server can be there for this machine: without IPv6, no AAAA record is one.

    Connecting a datagram socket sends nothing.
    """
    place = ipaddress.ip_address(address)
    if place.is_unspecified or place.is_multicast:
        return False
    if place.version == 4:
        return True
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
    except OSError as error:
        return error.errno not in (
            errno.ENETUNREACH,
            errno.EHOSTUNREACH,
            errno.EADDRNOTAVAIL,
            errno.EAFNOSUPPORT,
        )
    return True
