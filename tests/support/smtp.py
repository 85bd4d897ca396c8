"""A real mail server that keeps what it takes, and refuses or stays away when it is told to."""

from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support.processes import free_port


class Sink:
    """Its mails in order. `answer` is what it says to the next ones instead of taking them."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.answer = ""
        self.refused: dict[str, str] = {}
        self.asked = 0

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, to: str, _options: Any
    ) -> str:
        if to in self.refused:
            return self.refused[to]
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        self.asked += 1
        if self.answer:
            return self.answer
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.recipients += envelope.rcpt_tos
        return "250 taken"


@contextmanager
def sink() -> Iterator[tuple[Sink, int]]:
    """The sink and its port on 127.0.0.1."""
    keeps, port = Sink(), free_port()
    controller = Controller(keeps, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        yield keeps, port
    finally:
        controller.stop()
