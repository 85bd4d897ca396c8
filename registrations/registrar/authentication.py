"""The registrar's side of digest: challenges, and whether credentials answer them (RFC 7616)."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from hashlib import md5
from hmac import compare_digest

from registrations.sip.digest import parse_parameters
from registrations.sip.errors import SipParseError

NONCE_SECONDS = 300.0
MAX_NONCES = 100_000
_COUNT = re.compile("[0-9a-fA-F]{8}")

PasswordOf = Callable[[str, str], str | None]
"""(auth user, address of record) -> the password; None where that user may not bind it."""


class Answer(Enum):
    """What credentials came to."""

    RIGHT = auto()
    MISSING = auto()
    """None for our realm: challenge."""
    STALE = auto()
    """Right, but the nonce is not one of ours (any more), or its count was used: challenge."""
    WRONG = auto()


@dataclass(slots=True)
class _Nonce:
    made_at: float
    highest: int = 0
    """The highest count seen (RFC 7616 section 3.4, nc)."""


@dataclass(slots=True)
class Authentication:
    """MD5 with qop=auth, as most registrars ask for."""

    realm: str
    password_of: PasswordOf
    token: Callable[[], str]
    _nonces: dict[str, _Nonce] = field(default_factory=dict, repr=False)

    def challenge(self, now: float, *, stale: bool) -> str:
        """A WWW-Authenticate header line with a fresh nonce."""
        if len(self._nonces) >= MAX_NONCES:
            self._nonces = {
                text: one
                for text, one in self._nonces.items()
                if now - one.made_at < NONCE_SECONDS / 2
            }
        nonce = self.token()
        self._nonces[nonce] = _Nonce(now)
        tail = ", stale=TRUE" if stale else ""
        return (
            f'WWW-Authenticate: Digest realm="{self.realm}", nonce="{nonce}", qop="auth", '
            f"algorithm=MD5{tail}"
        )

    def forget(self) -> None:
        """Lose all nonces, as a restart does."""
        self._nonces.clear()

    def check(self, method: str, aor: str, values: list[str], now: float) -> Answer:
        """Judge the Authorization values of a request for that address of record."""
        given = self._ours(values)
        if given is None:
            return Answer.MISSING
        password = self.password_of(given.get("username", ""), aor)
        if password is None or not _is_right(given, self.realm, password, method):
            return Answer.WRONG
        nonce = self._nonces.get(given.get("nonce", ""))
        count = _count(given.get("nc", ""))
        if nonce is None or now - nonce.made_at > NONCE_SECONDS or count <= nonce.highest:
            return Answer.STALE
        nonce.highest = count
        return Answer.RIGHT

    def _ours(self, values: list[str]) -> dict[str, str] | None:
        for value in values:
            scheme, _, rest = value.partition(" ")
            if scheme.lower() != "digest":
                continue
            try:
                given = parse_parameters(rest)
            except SipParseError:
                continue
            if given.get("realm") == self.realm:
                return given
        return None


def _is_right(given: dict[str, str], realm: str, password: str, method: str) -> bool:
    if given.get("qop", "").lower() != "auth":
        return False
    secret = _md5(f"{given.get('username', '')}:{realm}:{password}")
    request = _md5(f"{method}:{given.get('uri', '')}")
    words = (given.get(name, "") for name in ("nonce", "nc", "cnonce"))
    expected = _md5(f"{secret}:{':'.join(words)}:auth:{request}")
    return compare_digest(expected.encode(), given.get("response", "").lower().encode())


def _count(text: str) -> int:
    """A nonce count, eight hexadecimal digits; 0 for anything else."""
    return int(text, 16) if _COUNT.fullmatch(text) else 0


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()
