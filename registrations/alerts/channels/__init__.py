"""The ways to tell somebody. A new one is a module with a `Sender` and its line in `SENDERS`."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from registrations.alerts.channels.chat import Chat
from registrations.alerts.channels.email import Email
from registrations.alerts.channels.sending import NotSent
from registrations.alerts.channels.syslog import Syslog
from registrations.alerts.channels.webhook import Webhook
from registrations.incidents.message import Message
from registrations.models import Channel

__all__ = ["SENDERS", "NotSent", "Sender", "recipients", "send"]


class Sender(Protocol):
    """What a kind of channel must be able to do."""

    def recipients(self, channel: Channel) -> Sequence[str]:
        """Return to whom its messages go: one delivery each."""

    def send(self, channel: Channel, recipient: str, message: Message, reference: str) -> str:
        """Send one message and return what the other side said to it.

        Blocks for SEND_S at most. `reference` is the same at every attempt, and no other message
        has it. Raises NotSent.
        """


SENDERS: Mapping[str, Sender] = {
    Channel.Kind.EMAIL: Email(),
    Channel.Kind.SYSLOG: Syslog(),
    Channel.Kind.WEBHOOK: Webhook(),
    Channel.Kind.CHAT: Chat(),
}


def recipients(channel: Channel) -> Sequence[str]:
    return SENDERS[channel.kind].recipients(channel)


def send(channel: Channel, recipient: str, message: Message, reference: str) -> str:
    """Raises NotSent."""
    return SENDERS[channel.kind].send(channel, recipient, message, reference)
