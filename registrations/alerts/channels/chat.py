"""Whatever Apprise can reach: chats, SMS gateways, pagers (github.com/caronc/apprise).

A service's URL holds its key, so URLs are secrets: a service is shown by its name alone, and
Apprise's own log lines, which may repeat what is in one, are not kept (see `fleet.config.logs`).
"""

from collections.abc import Sequence
from typing import Any

from registrations.alerts.channels.sending import NotSent
from registrations.incidents.message import Message
from registrations.models import Channel

ELSEWHERE = frozenset({"form", "forms", "json", "jsons", "xml", "xmls"})
"""Plain HTTP requests: a webhook makes them, signed."""
LOCAL = frozenset({"dbus", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"})
"""What reaches the machine Rollcall runs on, and nobody else."""
UNREAD = "services that cannot be read"
"""Whom a message goes to where the URLs make no sense (any more)."""


class Chat:
    """`secret`: the services' URLs, one a line. Each service gets a delivery of its own."""

    def recipients(self, channel: Channel) -> Sequence[str]:
        try:
            return [_name(n, service) for n, service in enumerate(services(channel.secret), 1)]
        except ValueError:
            # What is read now may have been written for another Apprise: its delivery says so.
            return [UNREAD]

    def send(self, channel: Channel, recipient: str, message: Message, reference: str) -> str:
        try:
            found = services(channel.secret)
        except ValueError as error:
            raise NotSent(f"The channel cannot be used as it is: {error}") from error
        for n, service in enumerate(found, 1):
            if _name(n, service) == recipient:
                break
        else:
            raise NotSent("That service is no longer one of this channel.", is_final=True)
        taken = service.notify(title=message.subject, body=message.text, notify_type=_kind(message))
        if not taken:
            # What it said may repeat the key, so it is not kept.
            raise NotSent("The service did not take it, or could not be reached.")
        return "Taken by the service."


def services(urls: str) -> list[Any]:
    """Return the services of these URLs, one a line. Raises ValueError with a sentence."""
    # It reads a hundred services' modules: only who has such a channel pays for them.
    import apprise

    found = []
    for n, url in enumerate(urls.split(), 1):
        service = apprise.Apprise.instantiate(url)
        if service is None:
            raise ValueError(f"Line {n} is no URL that Apprise knows.")
        scheme = url.partition("://")[0].lower()
        if scheme in LOCAL:
            raise ValueError(f"Line {n} would tell this machine only.")
        if scheme in ELSEWHERE:
            raise ValueError(f"Line {n} is a plain HTTP request: make a webhook of it.")
        found.append(service)
    return found


def _kind(message: Message) -> str:
    """Return the colour a service may give it, in Apprise's words."""
    incident = message.data.get("incident", {})
    if incident.get("state") == "resolved":
        return "success"
    return {"critical": "failure", "warning": "warning"}.get(incident.get("severity", ""), "info")


def _name(n: int, service: Any) -> str:
    return f"{n}: {service.service_name}"
