"""A byte stream cut into SIP messages and keep-alives (RFC 3261 section 18.3, RFC 5626 4.4.1)."""

from registrations.sip.errors import SipParseError
from registrations.sip.grammar import parse_number
from registrations.sip.message import MAX_MESSAGE

PING = b"\r\n\r\n"
"""A keep-alive that wants an answer."""
PONG = b"\r\n"
"""The answer to a PING."""

_HEAD_ENDS = b"\r\n\r\n"


class Framer:
    """Cuts what one connection brings. After SipParseError the connection is of no more use."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        """How far the end of the headers was looked for already: each byte is looked at once."""
        self._length: int | None = None
        """Of the message at the start of the buffer, body included, once its headers are here."""
        self._line_ends = 0
        """Empty lines since the last message. A PING may arrive in two halves."""

    def feed(self, data: bytes) -> list[bytes]:
        """Return what is complete now: messages, and PING and PONG as such.

        Two halves of a PING are a PONG and a PING: an answer too many harms nobody. Raises
        SipParseError where no message can be told from the next.
        """
        self._buffer += data
        found = []
        while (one := self._next()) is not None:
            found.append(one)
        return found

    def __len__(self) -> int:
        """Bytes of a message that has begun and is not whole yet."""
        return len(self._buffer)

    def _next(self) -> bytes | None:
        buffer = self._buffer
        if buffer[:2] == PONG:
            del buffer[:2]
            self._line_ends += 1
            return PONG if self._line_ends % 2 else PING
        if self._length is None:
            self._length = self._measure()
        if self._length is None or len(buffer) < self._length:
            return None
        message = bytes(buffer[: self._length])
        del buffer[: self._length]
        self._length, self._searched, self._line_ends = None, 0, 0
        return message

    def _measure(self) -> int | None:
        buffer = self._buffer
        end = buffer.find(_HEAD_ENDS, max(0, self._searched - 3))
        if end < 0:
            self._searched = len(buffer)
            if len(buffer) > MAX_MESSAGE:
                raise SipParseError("the headers do not end")
            return None
        length = end + 4 + _content_length(bytes(buffer[:end]))
        if length > MAX_MESSAGE:
            raise SipParseError("larger than a message may be")
        return length


def _content_length(head: bytes) -> int:
    """Bytes of the body; none where the header is left out, as careless peers do."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() in (b"content-length", b"l"):
            length = parse_number(value.strip().decode("ascii", "replace"))
            if length is None:
                raise SipParseError("not a body's length")
            return length
    return 0
