"""The other end of the wire: reads our requests, writes answers that fit them. Virtual time."""

from collections.abc import Mapping
from itertools import count
from typing import Any

from registrations.sip.message import Request, Response, parse
from registrations.sip.register import Attempt, RegisterClient
from registrations.sip.timers import Schedule, rfc3261_schedule
from registrations.values import Account, Outcome, Target

CONTACT = "sip:4101@127.0.0.1:9000"
INSTANCE = "urn:uuid:00000000-0000-1000-8000-00907a000001"
SENT_BY = "127.0.0.1:5062"
TARGET = Target(1, "127.0.0.2", 5060)
OTHER = Target(2, "127.0.0.3", 5060)
ACCOUNT = Account("4101", "pbx.example", "nurse", "secret", INSTANCE)
CHALLENGE = 'WWW-Authenticate: Digest realm="pbx", nonce="n1", qop="auth"'
PROXY_CHALLENGE = 'Proxy-Authenticate: Digest realm="edge", nonce="p1", qop="auth"'


class Tokens:
    """Counting tokens: unique and readable in failures."""

    def __init__(self, prefix: str = "t") -> None:
        self._prefix = prefix
        self._numbers = count(1)

    def __call__(self) -> str:
        return f"{self._prefix}{next(self._numbers)}"


def request_of(data: bytes) -> Request:
    message = parse(data)
    assert isinstance(message, Request)
    return message


def response_of(data: bytes) -> Response:
    message = parse(data)
    assert isinstance(message, Response)
    return message


def reply(data: bytes, status: str, *lines: str, **instead: str) -> bytes:
    """An answer to the request in `data`; `instead` replaces whole headers, e.g. via=..."""
    headers = request_of(data).headers
    shown = {
        "via": headers["via"][0].replace(";rport", ";rport=5062;received=127.0.0.1"),
        "from": headers["from"][0],
        "to": f"{headers['to'][0]};tag=registrar",
        "call-id": headers["call-id"][0],
        "cseq": headers["cseq"][0],
    } | {name.replace("_", "-"): value for name, value in instead.items()}
    text = [f"SIP/2.0 {status}", *(f"{name}: {value}" for name, value in shown.items()), *lines]
    return "\r\n".join([*text, "Content-Length: 0", "", ""]).encode()


class Line:
    """One client and its conversation with a registrar we play ourselves."""

    def __init__(
        self,
        *,
        account: Account = ACCOUNT,
        snapshot: Mapping[str, Any] | None = None,
        cseq_offset: int = 0,
        allow_md5: bool = True,
        tokens: Tokens | None = None,
    ) -> None:
        self.client = RegisterClient(
            account,
            token=tokens or Tokens(),
            cseq_offset=cseq_offset,
            snapshot=snapshot,
            allow_md5=allow_md5,
        )
        self.data = b""

    def begin(
        self,
        *,
        now: float = 0.0,
        target: Target = TARGET,
        contact: str | None = CONTACT,
        expires: int = 600,
        schedule: Schedule | None = None,
    ) -> Request:
        """Begin an attempt and let it leave."""
        schedule = schedule or rfc3261_schedule()
        self.client.begin(Attempt(target, SENT_BY, contact, expires, schedule), now)
        return self.leave(now)

    def leave(self, now: float = 0.0) -> Request:
        """Grant the waiting request and read it off the wire."""
        self.client.grant(now)
        (self.data,) = self.client.datagrams_to_send()
        return request_of(self.data)

    def hear(self, status: str, *lines: str, now: float = 0.1) -> Outcome | None:
        """Let the registrar answer the last request."""
        self.client.receive(response_of(reply(self.data, status, *lines)), now)
        return self.client.outcome()

    def bind(self, *lines: str, now: float = 0.1) -> Outcome:
        """Let the registrar accept, with our Contact and 600 s unless `lines` say otherwise."""
        outcome = self.hear("200 OK", *(lines or (f"Contact: <{CONTACT}>;expires=600",)), now=now)
        assert outcome is not None
        return outcome


def authorization(request: Request, name: str = "authorization") -> dict[str, str]:
    """The parameters of a request's one Authorization, as they stand on the wire."""
    (value,) = request.headers[name]
    assert value.startswith("Digest ")
    pairs = (part.partition("=") for part in value[7:].split(", "))
    return {key: text for key, _, text in pairs}
