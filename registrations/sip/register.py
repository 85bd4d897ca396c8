"""One binding's client: asks for it, answers challenges, reads what was granted.

RFC 3261 section 10.2 over one non-INVITE transaction at a time. It does not choose servers, pace
itself or renew by itself: the caller begins each attempt and grants each request its moment.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from registrations.records import record
from registrations.sip import digest
from registrations.sip.errors import SipUsageError
from registrations.sip.grammar import escape_host, escape_user, parse_delta_seconds
from registrations.sip.keyring import Keyring
from registrations.sip.message import Response
from registrations.sip.nat import seen_as
from registrations.sip.timers import TIMER_F, Schedule
from registrations.sip.transaction import ClientTransaction, Key, TransactionState, first_wire
from registrations.sip.verdicts import Reading, answer_text, read_failure, read_success
from registrations.values import Account, Outcome, Target, Verdict

MIN_EXPIRES_MAX = 86_400
"""The longest registration a 423 can talk us into, in seconds (R12)."""
LONGEST_OVER_UDP = 1300
"""Bytes of a request where the path's MTU is not known (RFC 3261 section 18.1.1)."""
MAX_CHALLENGES = 5
"""Challenges answered in one attempt: a proxy's and the registrar's, each once stale, and one."""
CSEQ_LIMIT = 2**31 - 2**20
"""Above this a fresh Call-ID starts again at 1: CSeq must stay below 2**31 (R4)."""


@record
class Attempt:
    """One wish: this Contact at this target for so long."""

    target: Target
    sent_by: str
    """host:port of the local socket, for Via."""
    contact: str | None
    """Our Contact URI; None only asks who is bound (R14)."""
    expires: int
    """Seconds to ask for; 0 removes our own binding (R15), never anybody else's."""
    schedule: Schedule
    stream_schedule: Schedule | None = None
    """Where the request goes over TCP although its target is reached by UDP too; None: the same."""
    until: float | None = None
    """Unix seconds at which it is given up whatever was answered so far; None: no such bound."""


@dataclass(slots=True)
class Flight:
    """An attempt from begin() to its outcome."""

    attempt: Attempt
    wire: Target
    """Where the request goes: the attempt's target, by the transport of the moment."""
    server: str
    expires: int
    """What is asked for now: the wish, or what a 423 made of it."""
    started_at: float
    sent: int = 0
    """Requests that left, retransmissions not counted."""
    challenges: int = 0
    adjusted: bool = False
    """A 423 was followed already."""
    tcp_failed: bool = False
    """TCP was refused where UDP may do: from now on this attempt stays on UDP."""
    answered: dict[tuple[bool, str], int] = field(default_factory=dict)
    """How many challenges of this (proxy, realm) were answered in this attempt (D2)."""
    was_resent: bool = False
    """The request answered last left more than once: a registrar that keeps no transactions takes
    the copy for a replay of its nonce, and challenges it."""
    transaction: ClientTransaction | None = None
    """None: waiting for a permit."""


class RegisterClient:
    """One Call-ID and CSeq space (R3) and the nonces its servers gave it.

    `token()` yields fresh unguessable tokens. `cseq_offset` leaps over what a lost lease may have
    sent (R16). `allow_md5` False answers SHA-2 challenges only (D12).

    Caller's round: begin(); while `wants_permit`, grant() in its turn; after every call send
    datagrams_to_send() to `target`, re-arm get_timer(), look at outcome().
    """

    def __init__(
        self,
        account: Account,
        *,
        token: Callable[[], str],
        cseq_offset: int = 0,
        snapshot: Mapping[str, Any] | None = None,
        allow_md5: bool = True,
    ) -> None:
        self._account = account
        self._token = token
        self._allow_md5 = allow_md5
        self.flight: Flight | None = None
        """The attempt under way."""
        self._outcome: Outcome | None = None
        self._keyring = Keyring(token)
        self._restore(snapshot or {}, cseq_offset)
        host = escape_host(account.domain)
        aor = f"sip:{escape_user(account.user)}@{host}"
        self._uri = f"sip:{host}"
        self._head = f"REGISTER sip:{host} SIP/2.0\r\nVia: SIP/2.0/"
        self._names = (
            f";rport\r\nMax-Forwards: 70\r\nFrom: <{aor}>;tag={self._from_tag}\r\nTo: <{aor}>\r\n"
            f"Call-ID: {self._call_id}\r\nCSeq: "
        )

    # -- what the caller drives ------------------------------------------------------------

    def begin(self, attempt: Attempt, now: float) -> None:
        """Start an attempt. Then wait for `wants_permit` to be granted.

        Raises SipUsageError while another is in flight: one unanswered REGISTER at a time (R5).
        """
        if self.flight is not None:
            raise SipUsageError("a REGISTER is still unanswered")
        server = str(attempt.target.server_id)
        expires = attempt.expires
        if expires:
            expires = max(expires, self._min_expires.get(server, 0))
        self._outcome = None
        wire = first_wire(attempt.target)
        self.flight = Flight(attempt, wire, server, expires, started_at=now)

    @property
    def wants_permit(self) -> bool:
        """A new REGISTER is ready and waits for grant()."""
        return self.flight is not None and self.flight.transaction is None

    @property
    def is_retry(self) -> bool:
        """The waiting REGISTER repeats one that a challenge, a 423 or a refused TCP ended."""
        flight = self.flight
        return flight is not None and flight.transaction is None and flight.sent > 0

    def grant(self, now: float) -> str:
        """Let the waiting request leave now; its timers start now. Return its branch."""
        flight = self.flight
        if flight is None or flight.transaction is not None:
            raise SipUsageError("nothing waits for a permit")
        if not flight.sent:
            flight.started_at = now
        flight.sent += 1
        self._cseq += 1
        attempt = flight.attempt
        key = Key(
            f"z9hG4bK{self._token()}",
            attempt.sent_by,
            "REGISTER",
            self._cseq,
            self._call_id,
            self._from_tag,
        )
        request = self._request(flight, key.branch)
        schedule = attempt.schedule
        if flight.wire.transport != attempt.target.transport and flight.wire.transport == "tcp":
            schedule = attempt.stream_schedule or schedule
        flight.transaction = ClientTransaction(
            request,
            key,
            schedule,
            transport=flight.wire.transport,
            now=now,
            proceeding_s=TIMER_F,
            until=attempt.until,
        )
        return key.branch

    def receive(self, response: Response, now: float) -> None:
        """Take an answer. One that fits no request of ours changes nothing."""
        flight = self.flight
        if flight is None or flight.transaction is None:
            return
        if flight.transaction.receive(response, now) is None:
            return
        flight.was_resent = flight.transaction.was_resent
        flight.transaction = None
        code = response.code
        if code < 300:
            self._on_success(flight, response, now)
        elif code in (401, 407):
            self._on_challenge(flight, response, now)
        elif code != 423 or not self._adopt_min_expires(flight, response):
            self._finish(flight, read_failure(response, self._account), now, response)

    def transport_failed(self, why: str, now: float) -> None:
        """The transport could not deliver: the attempt ends as UNREACHABLE (R20).

        Not where TCP was only the first choice: then the same server is asked over UDP (R21).
        """
        flight = self.flight
        if flight is not None and _has_udp_left(flight):
            flight.tcp_failed, flight.transaction = True, None
            flight.wire = replace(flight.wire, transport="udp")
        elif flight is not None:
            text = f"The server {flight.attempt.target} could not be reached: {why}."
            self._finish(flight, Reading(Verdict.UNREACHABLE, text), now)

    def handle_timer(self, now: float) -> None:
        """Resend or give up, whatever is due."""
        flight = self.flight
        if flight is None or flight.transaction is None:
            return
        transaction = flight.transaction
        transaction.handle_timer(now)
        if transaction.state is not TransactionState.TIMED_OUT:
            return
        said, waited = transaction.provisional, f"within {transaction.waited_s:g} s"
        if said is None:
            text = f"The server {flight.attempt.target} did not answer {waited}."
        else:
            text = f"The server said {answer_text(said)} but gave no final answer {waited}."
        self._finish(flight, Reading(Verdict.SILENT, text), now, asked_at=transaction.sent_at)

    def get_timer(self) -> float | None:
        """When handle_timer() wants to be called; None while nothing is on its way."""
        flight = self.flight
        if flight is None or flight.transaction is None:
            return None
        return flight.transaction.get_timer()

    def datagrams_to_send(self) -> Sequence[bytes]:
        """What must leave now, to `target`. Taken once."""
        flight = self.flight
        if flight is None or flight.transaction is None:
            return ()
        return flight.transaction.datagrams_to_send()

    def outcome(self) -> Outcome | None:
        """How the attempt ended, once, when it is over."""
        outcome, self._outcome = self._outcome, None
        return outcome

    def abandon(self) -> None:
        """Forget the attempt in flight, without an outcome. What it sent stays counted."""
        self.flight = None

    @property
    def branch(self) -> str | None:
        """Of the request on its way, for the dispatch table."""
        flight = self.flight
        if flight is None or flight.transaction is None:
            return None
        return flight.transaction.key.branch

    @property
    def target(self) -> Target | None:
        """Where the attempt in flight goes, with the transport it takes."""
        return None if self.flight is None else self.flight.wire

    def snapshot(self) -> dict[str, Any]:
        """Everything the next claim needs, JSON-safe. Holds nonces: store it, never log it."""
        return {
            "call_id": self._call_id,
            "from_tag": self._from_tag,
            "cseq": self._cseq,
            "min_expires": dict(self._min_expires),
            "nonces": self._keyring.snapshot(),
        }

    # -- the ladder of answers -------------------------------------------------------------

    def _on_success(self, flight: Flight, response: Response, now: float) -> None:
        self._keyring.take_next_nonce(flight.server, response)
        reading = read_success(
            response,
            contact=flight.attempt.contact,
            instance=self._account.instance,
            requested=flight.expires,
        )
        self._finish(flight, reading, now, response)

    def _on_challenge(self, flight: Flight, response: Response, now: float) -> None:
        """401 and 407: answer what is new, once; what is refused is refused (D1, D2)."""
        proxy = response.code == 407
        header = "proxy-authenticate" if proxy else "www-authenticate"
        asked = response.headers.get(header, ())
        offered = digest.choose(asked, allow_md5=self._allow_md5)
        if not offered:
            said = answer_text(response)
            text = f"The server asks for an authentication that Rollcall does not use ({said})."
            if digest.choose(asked):
                text = f"The server offers only MD5, which the group's policy refuses ({said})."
            self._finish(flight, Reading(Verdict.ERROR, text), now, response)
            return
        usable = [c for c in offered if _may_answer(flight, proxy, c)]
        if not usable or flight.challenges >= MAX_CHALLENGES:
            self._keyring.drop(flight.server)
            text = f"The server refused the user name or password ({answer_text(response)})."
            self._finish(flight, Reading(Verdict.REFUSED, text), now, response)
            return
        flight.challenges += 1
        self._keyring.adopt(flight.server, proxy, usable, flight.answered)
        for challenge in usable:
            key = (proxy, challenge.realm)
            flight.answered[key] = flight.answered.get(key, 0) + 1

    def _adopt_min_expires(self, flight: Flight, response: Response) -> bool:
        """423: ask again with what the server wants, once, and remember it (R12)."""
        wanted = parse_delta_seconds(response.first("min-expires") or "")
        asks_to_bind = flight.attempt.contact is not None and flight.expires > 0
        if wanted is None or flight.adjusted or not asks_to_bind:
            return False
        if not flight.expires < wanted <= MIN_EXPIRES_MAX:
            return False
        flight.adjusted = True
        flight.expires = self._min_expires[flight.server] = wanted
        return True

    # -- inside ----------------------------------------------------------------------------

    def _request(self, flight: Flight, branch: str) -> bytes:
        """Build it; one too long for UDP goes over TCP, unless that failed (18.1.1, R21)."""
        rest = self._after_via(flight)
        data = self._with_via(flight, branch, rest)
        is_udp = flight.wire.transport == "udp" and not flight.tcp_failed
        if is_udp and len(data) > LONGEST_OVER_UDP:
            flight.wire = replace(flight.wire, transport="tcp")
            data = self._with_via(flight, branch, rest)
        return data

    def _with_via(self, flight: Flight, branch: str, rest: str) -> bytes:
        transport, sent_by = flight.wire.transport.upper(), flight.attempt.sent_by
        return f"{self._head}{transport} {sent_by};branch={branch}{rest}".encode()

    def _after_via(self, flight: Flight) -> str:
        account, contact, more = self._account, flight.attempt.contact, ""
        if contact is not None:
            flow = f';+sip.instance="<{account.instance}>";reg-id=1' if account.instance else ""
            more = f"Contact: <{contact}>{flow}\r\nExpires: {flight.expires}\r\n"
        for credentials in self._keyring.of(flight.server):
            more += digest.authorization(
                credentials,
                user=account.auth_user or account.user,
                password=account.password,
                method="REGISTER",
                uri=self._uri,
            )
        return (
            f"{self._names}{self._cseq} REGISTER\r\n{more}"
            "User-Agent: Rollcall\r\nContent-Length: 0\r\n\r\n"
        )

    def _finish(
        self,
        flight: Flight,
        reading: Reading,
        now: float,
        response: Response | None = None,
        asked_at: float | None = None,
    ) -> None:
        self.flight = None
        self._outcome = Outcome(
            verdict=reading.verdict,
            started_at=flight.started_at,
            ended_at=now,
            code=None if response is None else response.code,
            answer="" if response is None else answer_text(response),
            sentence=reading.sentence,
            expires=reading.expires,
            retry_after=reading.retry_after,
            others=reading.others,
            seen_as=""
            if reading.verdict is not Verdict.BOUND or response is None
            else seen_as(response.first("via") or "", flight.attempt.sent_by),
            with_credentials=bool(self._keyring.of(flight.server)),
            asked_at=asked_at,
        )

    def _restore(self, snapshot: Mapping[str, Any], cseq_offset: int) -> None:
        cseq: int = snapshot.get("cseq", 0) + cseq_offset
        known = "call_id" in snapshot and cseq < CSEQ_LIMIT
        self._cseq = cseq if known else 0
        self._call_id: str = snapshot["call_id"] if known else self._token()
        self._from_tag: str = snapshot["from_tag"] if known else self._token()
        self._min_expires: dict[str, int] = dict(snapshot.get("min_expires", {}))
        nonces = snapshot.get("nonces", {})
        self._keyring.restore(nonces, cseq_offset, allow_md5=self._allow_md5)


def _has_udp_left(flight: Flight) -> bool:
    """TCP was a preference or a matter of length, and it is TCP that failed."""
    may = flight.attempt.target.transport in ("tcp_preferred", "udp")
    return may and flight.wire.transport == "tcp" and not flight.tcp_failed


def _may_answer(flight: Flight, proxy: bool, challenge: digest.Challenge) -> bool:
    """Credentials on a nonce of this same attempt were refused: final, but once if stale (D2).

    Once too where the request had to be sent again: then it is its copy that was refused.
    """
    answered = flight.answered.get((proxy, challenge.realm), 0)
    return answered == 0 or (answered == 1 and (challenge.stale or flight.was_resent))
