"""Exchanges to record: a real client of ours against the small registrar, in virtual time."""

from itertools import count

from registrations.registrar.registrar import EVERYBODY, Fault, Registrar
from registrations.sip import message
from registrations.sip.register import Attempt, RegisterClient
from registrations.sip.timers import Schedule, rfc3261_schedule
from registrations.trace import Ended, Kind
from registrations.trace.record import Noted
from registrations.values import Account, Outcome, Target

NOW = 1_800_000_000.0
PRIMARY = Target(1, "127.0.0.2", 5060)
SECONDARY = Target(2, "127.0.0.3", 5060)
SOURCE = ("127.0.0.1", 40000)


def account(password: str = "pw-4101-secret", user: str = "4101") -> Account:
    return Account(user, "pbx.example", user, password, "urn:uuid:00907a000001")


class Exchange:
    """One line's client and two registrars; `attempt` notes what the runtime would note."""

    def __init__(self, who: Account | None = None, realm: str = "pbx.example") -> None:
        who = who or account()
        numbers = count(1)
        self.token = lambda: f"token{next(numbers):09d}"
        self.client = RegisterClient(who, token=self.token)
        self.registrars = {
            target: Registrar(
                realm, lambda user, aor: who.password, token=self.token, secret=b"x", min_expires=10
            )
            for target in (PRIMARY, SECONDARY)
        }
        self.noted: list[Noted] = []
        self.ended: list[Ended] = []
        self.outcomes: list[Outcome] = []
        self.now = NOW

    def fault(self, target: Target, status: str, *headers: str) -> None:
        """Answer every REGISTER so; '' says nothing at all."""
        self.registrars[target].faults[EVERYBODY] = Fault(status, headers)

    def attempt(
        self,
        target: Target = PRIMARY,
        contact: str | None = "sip:4101@127.0.0.1:9000",
        schedule: Schedule | None = None,
        expires: int = 60,
    ) -> None:
        client = self.client
        asked = schedule or rfc3261_schedule()
        client.begin(Attempt(target, "127.0.0.1:40000", contact, expires, asked), self.now)
        outcome = None
        while outcome is None:
            if client.wants_permit:
                client.grant(self.now)
            for data in client.datagrams_to_send():
                self.noted.append((self.now, Kind.SENT, target, data))
                answer = self.registrars[target].answer(data, SOURCE, self.now)
                if answer is not None:
                    self.now += 0.002
                    self.hear(answer)
            outcome = client.outcome()
            timer = client.get_timer()
            if outcome is None and timer is not None:
                self.now = timer
                client.handle_timer(self.now)
                outcome = client.outcome()
        self.outcomes.append(outcome)
        self.ended.append(
            Ended(target.server_id, outcome.ended_at, outcome.verdict.value, outcome.sentence)
        )

    def hear(self, answer: bytes) -> None:
        self.noted.append((self.now, Kind.HEARD, None, answer))
        said = message.parse(answer)
        assert isinstance(said, message.Response)
        self.client.receive(said, self.now)
