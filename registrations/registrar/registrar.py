"""The registrar without its socket: one datagram in, at most one answer out."""

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

from registrations.registrar.authentication import Answer, Authentication, PasswordOf
from registrations.registrar.location import Binding, Location, OutOfOrder, aor_of
from registrations.sip.answering import respond
from registrations.sip.errors import SipParseError
from registrations.sip.grammar import parse_delta_seconds
from registrations.sip.headers import parse_contacts, parse_cseq
from registrations.sip.message import Request, parse
from registrations.values import ListedContact

MAX_EXPIRES = 7200
DEFAULT_EXPIRES = 3600
REMEMBERED = 32.0
"""Seconds an answer is kept for retransmissions (64*T1, RFC 3261 section 17.2.2)."""
EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class Fault:
    """What to do to a user's REGISTERs instead of registering them."""

    status: str = ""
    """`503 Service Unavailable`; '' says nothing at all."""
    headers: tuple[str, ...] = ()


class Registrar:
    """State of one registrar. `answer` is its only input; times are Unix seconds."""

    def __init__(
        self,
        realm: str,
        password_of: PasswordOf,
        *,
        token: Callable[[], str],
        secret: bytes,
        min_expires: int = 10,
    ) -> None:
        self.location = Location()
        self.authentication = Authentication(realm, password_of, token)
        self.faults: dict[str, Fault] = {}
        """By address of record's user, or EVERYBODY."""
        self._secret = secret
        self._min_expires = min_expires
        self._answers: dict[tuple[str, ...], tuple[float, bytes | None]] = {}

    def answer(self, data: bytes, source: tuple[str, int], now: float) -> bytes | None:
        """The answer to one datagram; None where it deserves or gets none."""
        try:
            request = parse(data)
        except SipParseError:
            return None
        if not isinstance(request, Request) or request.method == "ACK":
            return None
        key = (*(request.first(name) or "" for name in ("via", "call-id", "cseq")), source[0])
        known = self._answers.get(key)
        if known and now - known[0] < REMEMBERED:
            return known[1]
        status, headers = self._decide(request, now)
        answer = respond(request, source, status, headers, secret=self._secret) if status else None
        self._remember(key, answer, now)
        return answer

    def forget(self) -> None:
        """Lose everything but the faults, as a process that is killed does."""
        self.location = Location()
        self.authentication.forget()
        self._answers.clear()

    def _remember(self, key: tuple[str, ...], answer: bytes | None, now: float) -> None:
        self._answers[key] = (now, answer)
        # In the order of their coming: the oldest first.
        while self._answers:
            oldest = next(iter(self._answers))
            if now - self._answers[oldest][0] < REMEMBERED:
                return
            del self._answers[oldest]

    def _decide(self, request: Request, now: float) -> tuple[str, list[str]]:
        """Status and extra header lines; an empty status is silence."""
        if request.method == "OPTIONS":
            if (fault := self.faults.get(EVERYBODY)) and not fault.status:
                return "", []
            return "200 OK", ["Allow: REGISTER, OPTIONS"]
        if request.method != "REGISTER":
            return "405 Method Not Allowed", ["Allow: REGISTER, OPTIONS"]
        try:
            aor = aor_of(request.first("to") or "")
            cseq, _ = parse_cseq(request.first("cseq") or "")
        except SipParseError:
            return "400 Bad Request", []
        user = aor.partition(":")[2].rpartition("@")[0]
        fault = self.faults.get(user) or self.faults.get(EVERYBODY)
        if fault:
            return fault.status, list(fault.headers)
        refusal = self._refuse(request, aor, now)
        return refusal or self._register(request, aor, cseq, now)

    def _refuse(self, request: Request, aor: str, now: float) -> tuple[str, list[str]] | None:
        values = request.headers.get("authorization", [])
        match self.authentication.check(request.method, aor, values, now):
            case Answer.RIGHT:
                return None
            case Answer.WRONG:
                return "403 Forbidden", []
            case verdict:
                stale = verdict is Answer.STALE
                return "401 Unauthorized", [self.authentication.challenge(now, stale=stale)]

    def _register(self, request: Request, aor: str, cseq: int, now: float) -> tuple[str, list[str]]:
        """Steps 6 to 8 of RFC 3261 section 10.3."""
        call_id = request.first("call-id") or ""
        header = request.first("expires")
        try:
            if [value.strip() for value in request.headers.get("contact", [])] == ["*"]:
                if header is None or parse_delta_seconds(header) != 0:
                    return "400 Bad Request", []
                self.location.clear(aor, call_id, cseq, now)
            else:
                contacts = parse_contacts(request.headers.get("contact", []))
                news = [_binding(one, header, call_id, cseq, now) for one in contacts]
                if any(0 < one.expires_at - now < self._min_expires for one in news):
                    return "423 Interval Too Brief", [f"Min-Expires: {self._min_expires}"]
                self.location.update(aor, news, now)
        except OutOfOrder:
            return "400 CSeq Out Of Order", []
        except SipParseError:
            return "400 Bad Request", []
        listed = [_contact(one, now) for one in self.location.lookup(aor, now)]
        return "200 OK", [*listed, f"Date: {formatdate(now, usegmt=True)}"]


def _binding(
    contact: ListedContact, header: str | None, call_id: str, cseq: int, now: float
) -> Binding:
    """What a Contact asks for; its own expiry beats the header's (RFC 3261 section 10.2.1.1)."""
    seconds = contact.expires
    if seconds is None and header is not None:
        seconds = parse_delta_seconds(header)
    if seconds is None:
        seconds = DEFAULT_EXPIRES
    expires_at = now + min(seconds, MAX_EXPIRES)
    return Binding(contact.uri, call_id, cseq, expires_at, contact.instance)


def _contact(binding: Binding, now: float) -> str:
    instance = f';+sip.instance="<{binding.instance}>"' if binding.instance else ""
    left = max(1, round(binding.expires_at - now))
    return f"Contact: <{binding.uri}>;expires={left}{instance}"
