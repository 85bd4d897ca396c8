"""One binding's client: asks for it, answers challenges, reads what was granted.

RFC 3261 section 10.2 over one non-INVITE transaction at a time. It does not choose servers, pace
itself or renew by itself: the caller begins each attempt and grants each request its moment.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from registrations.sip import digest
from registrations.sip.digest import Challenge, Credentials
from registrations.sip.errors import SipUsageError
from registrations.sip.grammar import escape_host, escape_user, parse_delta_seconds
from registrations.sip.message import Response
from registrations.sip.timers import TIMER_F, Schedule
from registrations.sip.transaction import ClientTransaction, Key, TransactionState
from registrations.sip.verdicts import answer_text, read_failure, read_success
from registrations.values import Account, Outcome, Target, Verdict

MIN_EXPIRES_MAX = 86_400
"""The longest registration a 423 can talk us into, in seconds (R12)."""
MAX_CHALLENGES = 5
"""Challenges answered in one attempt: a proxy's and the registrar's, each once stale, and one."""
MAX_SERVERS = 16
"""Servers whose nonces are kept; the longest known is forgotten first."""
MAX_CREDENTIALS = 4
"""Realms per server."""
CSEQ_LIMIT = 2**31 - 2**20
"""Above this a fresh Call-ID starts again at 1: CSeq must stay below 2**31 (R4)."""


@dataclass(frozen=True, slots=True)
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


class Phase(Enum):
    """Where the attempt in flight stands."""

    IDLE = "idle"
    WAITING = "waiting for its turn"
    ASKING = "asking"


class RegisterClient:
    """One Call-ID and CSeq space (R3) and the nonces its servers gave it.

    `token()` yields fresh unguessable tokens. `cseq_offset` leaps over what a lost lease may have
    sent (R16). `allow_md5` False answers SHA-2 challenges only (D12).
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
        self._phase = Phase.IDLE
        self._attempt: Attempt | None = None
        self._transaction: ClientTransaction | None = None
        self._outcome: Outcome | None = None
        self._out: list[bytes] = []
        self._credentials: dict[str, list[Credentials]] = {}
        self._min_expires: dict[str, int] = {}
        self._restore(snapshot or {}, cseq_offset)
        self._uri = f"sip:{escape_host(account.domain)}"
        aor = f"sip:{escape_user(account.user)}@{self._uri[4:]}"
        self._names = (
            f"Max-Forwards: 70\r\nFrom: <{aor}>;tag={self._from_tag}\r\nTo: <{aor}>\r\n"
            f"Call-ID: {self._call_id}\r\nCSeq: "
        )
        self._reset(None, 0.0)

    # -- what the caller drives ------------------------------------------------------------

    def begin(self, attempt: Attempt, now: float) -> None:
        """Start an attempt. Then wait for `wants_permit` to be granted.

        Raises SipUsageError while another is in flight: one unanswered REGISTER at a time (R5).
        """
        if self._phase is not Phase.IDLE:
            raise SipUsageError("a REGISTER is still unanswered")
        self._reset(attempt, now)
        self._expires = attempt.expires
        if attempt.contact is not None and attempt.expires:
            self._expires = max(attempt.expires, self._min_expires.get(self._server, 0))
        self._phase = Phase.WAITING

    @property
    def wants_permit(self) -> bool:
        """A new REGISTER is ready and waits for grant()."""
        return self._phase is Phase.WAITING

    @property
    def is_retry(self) -> bool:
        """The waiting REGISTER repeats one that a challenge or a 423 answered."""
        return self._phase is Phase.WAITING and self._sent > 0

    def grant(self, now: float) -> None:
        """Let the waiting request leave now. Then send datagrams_to_send(), re-arm get_timer()."""
        if self._phase is not Phase.WAITING or self._attempt is None:
            raise SipUsageError("nothing waits for a permit")
        attempt = self._attempt
        if not self._sent:
            self._started_at = now
        self._sent += 1
        self._cseq += 1
        key = Key(f"z9hG4bK{self._token()}", attempt.sent_by, "REGISTER", self._cseq, self._call_id)
        self._transaction = ClientTransaction(
            self._request(attempt, key.branch),
            key,
            attempt.schedule,
            transport=attempt.target.transport,
            now=now,
            proceeding_s=TIMER_F,
        )
        self._phase = Phase.ASKING
        self._out += self._transaction.datagrams_to_send()

    def receive(self, response: Response, now: float) -> None:
        """Take an answer. One that fits no request of ours changes nothing."""
        if self._transaction is None or self._attempt is None:
            return
        final = self._transaction.receive(response, now)
        if final is None:
            return
        self._transaction = None
        code = final.code
        if code < 300:
            self._on_success(final, self._attempt, now)
        elif code in (401, 407):
            self._on_challenge(final, now)
        elif code == 423 and self._adopt_min_expires(final, self._attempt):
            self._phase = Phase.WAITING
        else:
            reading = read_failure(final, self._account)
            self._finish(
                reading.verdict, reading.sentence, now, final, retry_after=reading.retry_after
            )

    def transport_failed(self, why: str, now: float) -> None:
        """The transport could not deliver: the attempt ends as UNREACHABLE (R20)."""
        if self._attempt is not None and self._phase is not Phase.IDLE:
            sentence = f"The server {self._attempt.target} could not be reached: {why}."
            self._finish(Verdict.UNREACHABLE, sentence, now)

    def handle_timer(self, now: float) -> None:
        """Resend or give up, whatever is due."""
        transaction = self._transaction
        if transaction is None or self._attempt is None:
            return
        transaction.handle_timer(now)
        self._out += transaction.datagrams_to_send()
        if transaction.state is not TransactionState.TIMED_OUT:
            return
        said = transaction.provisional
        waited = f"within {transaction.waited_s:g} s"
        if said is None:
            sentence = f"The server {self._attempt.target} did not answer {waited}."
        else:
            sentence = f"The server said {answer_text(said)} but gave no final answer {waited}."
        self._finish(Verdict.SILENT, sentence, now)

    def get_timer(self) -> float | None:
        """When handle_timer() wants to be called; None while nothing is on its way."""
        return None if self._transaction is None else self._transaction.get_timer()

    def datagrams_to_send(self) -> list[bytes]:
        """What must leave now, to `target`. Taken once."""
        out, self._out = self._out, []
        return out

    def outcome(self) -> Outcome | None:
        """How the attempt ended, once, when it is over."""
        outcome, self._outcome = self._outcome, None
        return outcome

    def abandon(self) -> None:
        """Forget the attempt in flight, without an outcome. What it sent stays counted."""
        self._phase = Phase.IDLE
        self._transaction = None
        self._attempt = None
        self._out = []

    @property
    def branch(self) -> str | None:
        """Of the request on its way, for the dispatch table."""
        return None if self._transaction is None else self._transaction.key.branch

    @property
    def target(self) -> Target | None:
        """Where the attempt in flight goes."""
        return None if self._attempt is None else self._attempt.target

    def snapshot(self) -> dict[str, Any]:
        """Everything the next claim needs, JSON-safe. Holds nonces: store it, never log it."""
        servers: dict[str, dict[str, Any]] = {}
        for server, kept in self._credentials.items():
            servers.setdefault(server, {})["auth"] = [digest.to_json(c) for c in kept]
        for server, seconds in self._min_expires.items():
            servers.setdefault(server, {})["min_expires"] = seconds
        return {
            "call_id": self._call_id,
            "from_tag": self._from_tag,
            "cseq": self._cseq,
            "servers": servers,
        }

    # -- the ladder of answers -------------------------------------------------------------

    def _on_success(self, response: Response, attempt: Attempt, now: float) -> None:
        self._take_next_nonce(response)
        reading = read_success(
            response,
            contact=attempt.contact,
            instance=self._account.instance,
            requested=self._expires,
        )
        self._finish(
            reading.verdict,
            reading.sentence,
            now,
            response,
            expires=reading.expires,
            others=reading.others,
        )

    def _on_challenge(self, response: Response, now: float) -> None:
        """401 and 407: answer what is new, once; what is refused is refused (D1, D2)."""
        proxy = response.code == 407
        header = "proxy-authenticate" if proxy else "www-authenticate"
        offered = digest.choose(response.headers.get(header, ()), allow_md5=self._allow_md5)
        if not offered:
            sentence = (
                "The server asks for a way of authentication that Rollcall does not use here "
                f"({answer_text(response)})."
            )
            self._finish(Verdict.ERROR, sentence, now, response)
            return
        usable = [challenge for challenge in offered if self._may_answer(proxy, challenge)]
        if not usable or self._challenges >= MAX_CHALLENGES:
            self._credentials.pop(self._server, None)
            sentence = f"The server refused the user name or password ({answer_text(response)})."
            self._finish(Verdict.REFUSED, sentence, now, response)
            return
        self._challenges += 1
        self._adopt(proxy, usable)
        self._phase = Phase.WAITING

    def _may_answer(self, proxy: bool, challenge: Challenge) -> bool:
        """Not if credentials on a nonce of this very attempt were just refused, stale but once."""
        key = (proxy, challenge.realm)
        answered = self._answered.get(key, 0)
        if answered == 0:
            return True
        return challenge.stale and answered == 1

    def _adopt(self, proxy: bool, challenges: list[Challenge]) -> None:
        """Keep the new nonces in place of the old ones of the same kind."""
        kept = [
            c
            for c in self._credentials.pop(self._server, [])
            if c.proxy != proxy or c.key in self._answered
        ]
        new = {challenge.realm for challenge in challenges}
        kept = [c for c in kept if c.proxy != proxy or c.challenge.realm not in new]
        for challenge in challenges:
            key = (proxy, challenge.realm)
            self._answered[key] = self._answered.get(key, 0) + 1
            kept.append(Credentials(proxy, challenge, self._token()))
        self._credentials[self._server] = kept[-MAX_CREDENTIALS:]
        while len(self._credentials) > MAX_SERVERS:
            del self._credentials[next(iter(self._credentials))]

    def _adopt_min_expires(self, response: Response, attempt: Attempt) -> bool:
        """423: ask again with what the server wants, once, and remember it (R12)."""
        value = response.first("min-expires")
        wanted = None if value is None else parse_delta_seconds(value)
        if wanted is None or attempt.contact is None or self._adjusted:
            return False
        if not self._expires < wanted <= MIN_EXPIRES_MAX:
            return False
        self._adjusted = True
        self._expires = wanted
        self._min_expires.pop(self._server, None)
        self._min_expires[self._server] = wanted
        while len(self._min_expires) > MAX_SERVERS:
            del self._min_expires[next(iter(self._min_expires))]
        return True

    def _take_next_nonce(self, response: Response) -> None:
        """Authentication-Info names no realm: used only where one credential can be meant (D7)."""
        headers = response.headers
        for proxy, name in (
            (False, "authentication-info"),
            (True, "proxy-authentication-info"),
        ):
            if name not in headers:
                continue
            meant = [c for c in self._credentials.get(self._server, ()) if c.proxy == proxy]
            nonce = digest.next_nonce(headers[name][0])
            if nonce is not None and len(meant) == 1:
                meant[0].renew(nonce)

    # -- inside ----------------------------------------------------------------------------

    def _request(self, attempt: Attempt, branch: str) -> bytes:
        text = (
            f"REGISTER {self._uri} SIP/2.0\r\n"
            f"Via: SIP/2.0/{attempt.target.transport.upper()} {attempt.sent_by};"
            f"branch={branch};rport\r\n{self._names}{self._cseq} REGISTER\r\n"
        )
        if attempt.contact is not None:
            instance = self._account.instance
            mark = f';+sip.instance="<{instance}>"' if instance else ""
            text += f"Contact: <{attempt.contact}>{mark}\r\nExpires: {self._expires}\r\n"
        for credentials in self._credentials.get(self._server, ()):
            line = digest.authorization(
                credentials,
                user=self._account.auth_user or self._account.user,
                password=self._account.password,
                method="REGISTER",
                uri=self._uri,
            )
            text += f"{line}\r\n"
        return f"{text}User-Agent: Rollcall\r\nContent-Length: 0\r\n\r\n".encode()

    def _finish(
        self,
        verdict: Verdict,
        sentence: str,
        now: float,
        response: Response | None = None,
        **more: Any,
    ) -> None:
        self._outcome = Outcome(
            verdict=verdict,
            started_at=self._started_at,
            ended_at=now,
            code=None if response is None else response.code,
            answer="" if response is None else answer_text(response),
            sentence=sentence,
            **more,
        )
        self._phase = Phase.IDLE
        self._transaction = None
        self._attempt = None

    def _reset(self, attempt: Attempt | None, now: float) -> None:
        self._attempt = attempt
        self._server = "" if attempt is None else str(attempt.target.server_id)
        self._started_at = now
        self._sent: int = 0
        self._expires: int = 0
        self._adjusted: bool = False
        self._challenges: int = 0
        self._answered: dict[tuple[bool, str], int] = {}
        self._outcome = None
        self._out = []

    def _restore(self, snapshot: Mapping[str, Any], cseq_offset: int) -> None:
        cseq = snapshot.get("cseq", 0) + cseq_offset
        known = "call_id" in snapshot and cseq < CSEQ_LIMIT
        self._cseq: int = cseq if known else 0
        self._call_id: str = snapshot["call_id"] if known else self._token()
        self._from_tag: str = snapshot["from_tag"] if known else self._token()
        for server, kept in snapshot.get("servers", {}).items():
            if "auth" in kept:
                self._credentials[server] = [
                    digest.from_json(data, cseq_offset) for data in kept["auth"]
                ]
            if "min_expires" in kept:
                self._min_expires[server] = kept["min_expires"]
