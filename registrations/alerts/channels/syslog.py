"""Syslog as RFC 5424 has it, over UDP (RFC 5426), TCP (RFC 6587, counted octets) or TLS (RFC 5425).

Nobody acknowledges a line of syslog. Over TCP and TLS it counts as sent when the other side has
closed its end without an error, or kept silent for CLOSED_S.
"""

import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from registrations.alerts.channels.connecting import connected
from registrations.alerts.channels.sending import NotSent
from registrations.incidents.message import Message
from registrations.models import Channel

TRANSPORTS = ("udp", "tcp", "tls")
PORTS = {"udp": 514, "tcp": 514, "tls": 6514}
FACILITIES = {"user": 1, "daemon": 3, **{f"local{n}": 16 + n for n in range(8)}}
USUAL_FACILITY = "local0"
LONGEST_OVER_UDP = 2048
"""Octets every receiver should take (RFC 5426 section 3.2)."""
CLOSED_S = 2.0

_NOTICE, _INFO = 5, 6
_SEVERITIES = {"critical": 2, "warning": 4, "info": _NOTICE}
_ENTERPRISE = 32473
"""The number for examples (RFC 5612): Rollcall has none of its own."""


class Syslog:
    """`settings`: `host`, `port`, `transport`, `facility`; `ca`: who must have signed (PEM), TLS.

    One line goes to one receiver.
    """

    def recipients(self, channel: Channel) -> Sequence[str]:
        return [f"{channel.settings['host']}:{channel.settings['port']}"]

    def send(self, channel: Channel, recipient: str, message: Message, reference: str) -> str:
        settings = channel.settings
        facility = FACILITIES[settings.get("facility", USUAL_FACILITY)]
        line = written(message, facility, socket.gethostname(), reference, datetime.now(UTC))
        transport = settings["transport"]
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        try:
            with connected(settings["host"], settings["port"], kind) as made:
                if transport == "udp":
                    made.send(line[:LONGEST_OVER_UDP])
                    return "Sent over UDP, which nobody acknowledges."
                if transport == "tls":
                    made = _trusted(settings.get("ca", "")).wrap_socket(
                        made, server_hostname=settings["host"]
                    )
                _sent(made, b"%d %s" % (len(line), line))
        except OSError as error:
            raise NotSent(f"The connection broke: {error}.") from error
        return "Taken by the connection."


def written(message: Message, facility: int, host: str, reference: str, at: datetime) -> bytes:
    """Return one message as RFC 5424 section 6 writes it; `at` is UTC.

    What machines look for is structured data: `event`, and of an incident `id`, `kind`, `state`.
    """
    incident = message.data.get("incident", {})
    known = {
        "event": message.data.get("event"),
        **{name: incident.get(name) for name in ("id", "kind", "severity", "state", "server")},
    }
    told = "".join(f' {name}="{_escaped(value)}"' for name, value in known.items() if value)
    data = f"[rollcall@{_ENTERPRISE}{told}]"
    stamp = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    head = f"<{8 * facility + _severity(message)}>1 {stamp} {_name(host)} rollcall - {reference}"
    text = " ".join(message.text.split())
    return f"{head} {data} ".encode() + b"\xef\xbb\xbf" + text.encode()


def _severity(message: Message) -> int:
    incident = message.data.get("incident")
    if incident is None:
        return _INFO
    if incident.get("state") == "resolved":
        return _NOTICE
    return _SEVERITIES.get(incident.get("severity", ""), _NOTICE)


def _escaped(value: object) -> str:
    text = " ".join(str(value).split())
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _name(host: str) -> str:
    return "".join(sign for sign in host if 33 <= ord(sign) <= 126)[:255] or "-"


def _trusted(ca: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=ca or None)


def _sent(made: socket.socket, frame: bytes) -> None:
    """Send it and see it taken: a broken connection is told only after the last octet."""
    with made:
        made.sendall(frame)
        if isinstance(made, ssl.SSLSocket):
            made.settimeout(CLOSED_S)
            with suppress(TimeoutError, ssl.SSLError):
                made.unwrap()
            return
        made.shutdown(socket.SHUT_WR)
        made.settimeout(CLOSED_S)
        with suppress(TimeoutError):
            while made.recv(1024):
                pass
