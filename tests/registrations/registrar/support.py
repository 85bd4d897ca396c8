"""A registrar in virtual time, and REGISTERs written by hand and by our own client."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from registrations.registrar.registrar import Registrar
from registrations.sip import message
from registrations.sip.digest import Credentials, authorization, parse_challenge
from registrations.sip.message import Response
from registrations.sip.register import Attempt, RegisterClient
from registrations.sip.timers import rfc3261_schedule
from registrations.values import Account, Outcome, Target

NOW = 1_800_000_000.0
SOURCE = ("127.0.0.9", 40000)
AOR = "sip:4101@pbx.example"
PASSWORDS = {("4101", AOR): "secret-1", ("4102", "sip:4102@pbx.example"): "secret-2"}


def make_registrar(min_expires: int = 10) -> Registrar:
    nonces = count(1)
    return Registrar(
        "pbx.example",
        lambda user, aor: PASSWORDS.get((user, aor)),
        token=lambda: f"nonce{next(nonces)}",
        secret=b"only for tests",
        min_expires=min_expires,
    )


@dataclass
class Phone:
    """Sends what it is told to, one datagram at a time, and answers challenges by hand."""

    registrar: Registrar
    user: str = "4101"
    password: str = "secret-1"
    auth_user: str = ""
    """Where it is not `user`."""
    call_id: str = "call-1"
    cseq: int = 0
    credentials: Credentials | None = None
    branches: "Callable[[], int]" = field(default_factory=lambda: count(1).__next__)
    last: bytes = b""

    def send(self, *headers: str, method: str = "REGISTER", now: float = NOW) -> Response | None:
        """One request; CSeq goes up, credentials are added where there are any."""
        self.cseq += 1
        return self.send_as(self.cseq, *headers, method=method, now=now)

    def send_as(
        self, cseq: int, *headers: str, method: str = "REGISTER", now: float = NOW
    ) -> Response | None:
        lines = [
            f"{method} sip:pbx.example SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.9:40000;branch=z9hG4bK{self.call_id}{self.branches()};rport",
            f"From: <sip:{self.user}@pbx.example>;tag=f",
            f"To: <sip:{self.user}@pbx.example>",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            *headers,
        ]
        if self.credentials:
            lines.append(
                authorization(
                    self.credentials,
                    user=self.auth_user or self.user,
                    password=self.password,
                    method=method,
                    uri="sip:pbx.example",
                )
            )
        self.last = ("\r\n".join([*lines, "Content-Length: 0"]) + "\r\n\r\n").encode()
        return self.deliver(now)

    def deliver(self, now: float = NOW) -> Response | None:
        """Send the last datagram (again)."""
        data = self.registrar.answer(self.last, SOURCE, now)
        if data is None:
            return None
        answer = message.parse(data)
        assert isinstance(answer, Response)
        return answer

    def challenged(self, now: float = NOW) -> "Phone":
        """Fetch a nonce."""
        self.credentials = None
        answer = self.send(now=now)
        assert answer and answer.code == 401
        self.take_challenge(answer)
        return self

    def take_challenge(self, answer: Response) -> None:
        challenge = parse_challenge(answer.first("www-authenticate") or "")
        assert challenge
        self.credentials = Credentials(False, challenge, "cnonce")


def register(
    registrar: Registrar, *, password: str = "secret-1", expires: int = 60, now: float = NOW
) -> Outcome:
    """Our own client's whole attempt."""
    tokens = count(1)
    account = Account("4101", "pbx.example", "4101", password, "urn:uuid:1")
    client = RegisterClient(account, token=lambda: f"t{next(tokens):06d}")
    target = Target(1, "127.0.0.2", 5070)
    attempt = Attempt(
        target, "127.0.0.9:40000", "sip:4101@127.0.0.9:9000", expires, rfc3261_schedule()
    )
    client.begin(attempt, now)
    for _ in range(8):
        outcome = client.outcome()
        if outcome:
            return outcome
        if client.wants_permit:
            client.grant(now)
        for data in client.datagrams_to_send():
            answer = registrar.answer(data, SOURCE, now)
            if answer:
                parsed = message.parse(answer)
                assert isinstance(parsed, Response)
                client.receive(parsed, now)
    raise AssertionError("no outcome")
