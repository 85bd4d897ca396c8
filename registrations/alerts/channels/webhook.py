"""An HTTP request to whoever listens, signed as Standard Webhooks has it (standardwebhooks.com).

The signature is an HMAC-SHA256 over id, time and body under the channel's secret, so that a
receiver knows who sent it, and the id is the same at every attempt, so that it knows a repeat.
Redirections are not followed: what was named is what is told.
"""

import base64
import hmac
import http.client
import json
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import urlsplit

from registrations.alerts.channels.connecting import connected
from registrations.alerts.channels.sending import SEND_S, NotSent
from registrations.incidents.message import Message
from registrations.models import Channel

SECRET_PREFIX = "whsec_"  # noqa: S105 - how the standard marks a secret, no secret
LEAST_SECRET, MOST_SECRET = 24, 64
"""Octets of a secret, by the standard."""


class Webhook:
    """`settings`: `url`, and `ca`: who must have signed its certificate (PEM); `secret`: the key.

    `follows`: what it is sent beside incidents (`transitions`, `jobs`).
    """

    def recipients(self, channel: Channel) -> Sequence[str]:
        return [shown(channel.settings["url"])]

    def send(self, channel: Channel, recipient: str, message: Message, reference: str) -> str:
        body = json.dumps(body_of(message), separators=(",", ":")).encode()
        at = datetime.now(UTC)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Rollcall",
            "webhook-id": reference,
            "webhook-timestamp": str(int(at.timestamp())),
        }
        try:
            headers["webhook-signature"] = signature(
                channel.secret, reference, int(at.timestamp()), body
            )
            status, reason = _post(channel, body, headers)
        except (OSError, http.client.HTTPException) as error:
            raise NotSent(f"The connection broke: {error or type(error).__name__}.") from error
        except ValueError as error:
            # The secret, or an address with letters that HTTP does not have: it can be mended.
            raise NotSent(f"The channel cannot be used as it is: {error}") from error
        if 200 <= status < 300:
            return f"{status} {reason}"
        raise NotSent(f"{status} {reason}", is_final=status == http.client.GONE)


def body_of(message: Message) -> dict[str, object]:
    """Return what is sent: the data for machines, with the words for people."""
    return {"subject": message.subject, "text": message.text, **message.data}


def signature(secret: str, reference: str, at: int, body: bytes) -> str:
    """Return the header's value for a request of that id and time (Unix seconds)."""
    signed = f"{reference}.{at}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key_of(secret), signed, sha256)).decode()


def key_of(secret: str) -> bytes:
    """Return the key in `whsec_...`. Raises ValueError with a sentence."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        raise ValueError("The secret is no base64.") from None
    if not LEAST_SECRET <= len(key) <= MOST_SECRET:
        raise ValueError(f"The secret must have {LEAST_SECRET} to {MOST_SECRET} bytes.")
    return key


def shown(url: str) -> str:
    """Return an address without what may be secret in it: user, path and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _post(channel: Channel, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    parts = urlsplit(channel.settings["url"])
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context(cadata=channel.settings.get("ca") or None)
        connection = http.client.HTTPSConnection(host, parts.port, timeout=SEND_S, context=context)
        plain = connected(host, parts.port or 443, socket.SOCK_STREAM)
        connection.sock = context.wrap_socket(plain, server_hostname=host)
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=SEND_S)
        connection.sock = connected(host, parts.port or 80, socket.SOCK_STREAM)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", path, body, headers)
        connection.sock.settimeout(SEND_S)
        answer = connection.getresponse()
        return answer.status, answer.reason
    finally:
        connection.close()
