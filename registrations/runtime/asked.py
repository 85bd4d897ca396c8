"""One question to one place of a server, on its way: what prober and asker drive alike."""

import time
from typing import Any, Generic, Protocol, TypeVar

from registrations.runtime.clock import steady
from registrations.runtime.switchboard import Flight
from registrations.runtime.transport import Transport
from registrations.sip import message
from registrations.sip.errors import SipParseError
from registrations.sip.probe import FetchProbe, OptionsProbe
from registrations.values import Target


class Asks(Protocol):
    """Who asks it, and is told how it goes."""

    transport: Transport

    def go_on(self, asked: Any) -> None: ...

    def failed(self, asked: Any, why: str) -> None: ...


M = TypeVar("M", FetchProbe, OptionsProbe | FetchProbe)


class Asked(Flight, Generic[M]):
    """An OPTIONS, or a REGISTER without a Contact, to one place. The maker sets `machine`."""

    __slots__ = ("asker", "has_asked", "machine", "shift")

    machine: M

    def __init__(self, asker: Asks) -> None:
        super().__init__()
        self.asker = asker
        self.shift = time.time() - steady()
        self.has_asked = False
        """A permit is asked for and not there yet."""

    def sent_by(self, target: Target) -> str:
        """Return where its answer is to come to. Raises OSError where there is no way there."""
        host, port = self.asker.transport.local(target)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def now(self) -> float:
        return steady() + self.shift

    def receive(self, data: bytes, source: tuple[str, int]) -> None:
        try:
            answer = message.parse(data)
        except SipParseError:
            return
        if isinstance(answer, message.Response):
            self.machine.receive(answer, self.now())
            self.asker.go_on(self)

    def transport_failed(self, target: Target, branch: str | None, why: str) -> None:
        if target.place == self.machine.target.place or branch is not None:
            self.asker.failed(self, why)

    def ring(self) -> None:
        self.machine.handle_timer(self.now())
        self.asker.go_on(self)
