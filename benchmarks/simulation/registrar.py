"""One scripted server: challenges, grants what is asked, and is not always well."""

from benchmarks.simulation.script import BUSY, BUSY_S, DEAD, FORGETS, OK, REFUSING, SILENT
from registrations.values import Target


class Registrar:
    """Reads only requests our own client makes, so it need not parse like a registrar must."""

    def __init__(self, target: Target, nonce_s: float) -> None:
        self.target = target
        self.source = (target.address, target.port)
        self.mood = OK
        self._nonce_s = nonce_s
        self._epoch = 0
        self.bindings: dict[str, tuple[str, float]] = {}
        """Contact and expiry by address of record."""

    @property
    def is_down(self) -> bool:
        return self.mood in (SILENT, DEAD)

    def become(self, mood: str) -> None:
        if mood == FORGETS:
            self.bindings.clear()
            self._epoch += 1
        else:
            self.mood = mood

    def answer(self, fields: dict[str, str], now: float) -> tuple[int, bytes]:
        """Return the code and the bytes. Not to be called while it is down."""
        if self.mood in (BUSY, REFUSING):
            more = f"Retry-After: {BUSY_S}\r\n" if self.mood == BUSY else ""
            return int(self.mood[:3]), _reply(fields, self.mood, more)
        nonce = f"{self._epoch}.{int(now / self._nonce_s)}"
        if f'nonce="{nonce}"' not in fields.get("Authorization", ""):
            text = f'WWW-Authenticate: Digest realm="sim", nonce="{nonce}", qop="auth"\r\n'
            return 401, _reply(fields, "401 Unauthorized", text)
        contact = fields.get("Contact")
        if contact is None:
            return 200, _reply(fields, "200 OK", "")
        uri, expires = contact[: contact.index(">") + 1], int(fields["Expires"])
        self.bindings[fields["To"]] = (uri, now + expires)
        return 200, _reply(fields, "200 OK", f"Contact: {uri};expires={expires}\r\n")


def fields_of(request: bytes) -> dict[str, str]:
    """Return the header fields of one of our own requests."""
    lines = request.decode().split("\r\n")
    return dict(line.split(": ", 1) for line in lines[1:] if line)


def _reply(fields: dict[str, str], status: str, more: str) -> bytes:
    return (
        f"SIP/2.0 {status}\r\nVia: {fields['Via']}\r\nFrom: {fields['From']}\r\n"
        f"To: {fields['To']};tag=s\r\nCall-ID: {fields['Call-ID']}\r\nCSeq: {fields['CSeq']}\r\n"
        f"{more}Content-Length: 0\r\n\r\n"
    ).encode()
