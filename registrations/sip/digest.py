"""Digest access authentication, the client's arithmetic (RFC 3261 section 22, 7616, 8760).

Realm, nonce and opaque are kept as they stood between their quotes, escapes included: that is
what servers hash and compare.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import md5, new, sha256
from typing import Any

from registrations.records import record
from registrations.sip.errors import SipParseError
from registrations.sip.grammar import quote

MAX_PARAMETER = 1024
"""Longest realm, nonce or opaque we echo: keeps our requests and snapshots small."""

_PARAM = re.compile(
    r'[\s,]*+([^\s=,"]++)\s*+=\s*+(?:"((?:[^"\\]++|\\.)*+)"|([^\s,"]*+))\s*+(?:,|$)'
)
"""Possessive throughout: whatever a peer sends, one match is linear."""
_USUAL = re.compile(r'Digest realm="([^"\\]++)", nonce="([^"\\]++)", qop="auth"')
"""What nearly all challenges look like to the letter."""
_ALGORITHMS = ("md5", "sha-256", "sha-512-256")


@record
class Challenge:
    """A Digest challenge we can answer (RFC 7616 section 3.3)."""

    realm: str
    nonce: str = field(repr=False)
    opaque: str | None = field(default=None, repr=False)
    algorithm: str = ""
    """As the server wrote it, '' where it wrote none (then it means MD5)."""
    qop: bool = False
    """Whether the server offered qop `auth`; False is the RFC 2069 form."""
    stale: bool = False

    @property
    def is_md5(self) -> bool:
        return self.algorithm.lower() in ("", "md5", "md5-sess")


@dataclass(slots=True)
class Credentials:
    """One server's nonce and how often it was used."""

    proxy: bool
    """True: from a 407, goes out as Proxy-Authorization (D1)."""
    challenge: Challenge
    cnonce: str = field(repr=False)
    """One per nonce, so that `-sess` means the same to every reading of the RFC."""
    nc: int = 0

    @property
    def key(self) -> tuple[bool, str]:
        return self.proxy, self.challenge.realm

    def renew(self, nonce: str) -> None:
        """Go on with the server's nextnonce (RFC 7616 section 3.5, D7)."""
        old = self.challenge
        self.challenge = Challenge(old.realm, nonce, old.opaque, old.algorithm, old.qop)
        self.nc = 0


def parse_parameters(text: str) -> dict[str, str]:
    """`realm="a, b", stale=true` by name in lower case; the first of doubled names counts.

    Raises SipParseError. Matches piece by piece, each where the last one ended, so that the time
    is linear in the length.
    """
    params: dict[str, str] = {}
    at, end = 0, len(text)
    while at < end:
        match = _PARAM.match(text, at)
        if match is None:
            raise SipParseError("not authentication parameters")
        name, quoted, plain = match.groups()
        params.setdefault(name.lower(), plain if quoted is None else quoted)
        at = match.end()
    return params


def parse_challenge(value: str) -> Challenge | None:
    """A WWW- or Proxy-Authenticate value; None if it is not one we can answer (D9, D11)."""
    usual = _USUAL.fullmatch(value)
    if usual is not None:
        realm, nonce = usual.groups()
        if _are_echoable(realm, nonce):
            return Challenge(realm, nonce, qop=True)
    scheme, _, rest = value.partition(" ")
    if scheme.lower() != "digest":
        return None
    try:
        params = parse_parameters(rest.strip())
    except SipParseError:
        return None
    realm, nonce, opaque = params.get("realm"), params.get("nonce"), params.get("opaque")
    if not realm or not nonce or not _are_echoable(realm, nonce, opaque or ""):
        return None
    algorithm = params.get("algorithm", "")
    if algorithm and algorithm.lower().removesuffix("-sess") not in _ALGORITHMS:
        return None
    offered = params.get("qop")
    if offered and "auth" not in [option.strip() for option in offered.lower().split(",")]:
        return None
    stale = params.get("stale", "").lower() == "true"
    return Challenge(realm, nonce, opaque, algorithm, bool(offered), stale)


def _are_echoable(*values: str) -> bool:
    for value in values:  # noqa: SIM110 - asked of every challenge: a generator costs more
        if len(value) > MAX_PARAMETER or not value.isprintable():
            return False
    return True


def choose(values: Iterable[str], *, allow_md5: bool = True) -> list[Challenge]:
    """One challenge per realm: the topmost we can answer, but MD5 only where nothing else is there.

    Their order is the server's wish unless a policy of ours says otherwise (RFC 8760 section 2.4,
    D9): whoever put a weak one on top must not talk us down. Without `allow_md5` not even a server
    that offers nothing else can (D12).
    """
    chosen: dict[str, Challenge] = {}
    for value in values:
        challenge = parse_challenge(value)
        if challenge is None:
            continue
        better = chosen.setdefault(challenge.realm, challenge)
        if better is not challenge and better.is_md5 and not challenge.is_md5:
            chosen[challenge.realm] = challenge
    return [challenge for challenge in chosen.values() if allow_md5 or not challenge.is_md5]


def _hash(algorithm: str, text: str) -> str:
    data = text.encode()
    if algorithm == "md5":
        return md5(data, usedforsecurity=False).hexdigest()
    if algorithm == "sha-256":
        return sha256(data).hexdigest()
    return new("sha512_256", data).hexdigest()


@lru_cache(maxsize=1000)
def _request_hash(algorithm: str, method: str, uri: str) -> str:
    """A registrar's lines all ask for the same."""
    return _hash(algorithm, f"{method}:{uri}")


def authorization(
    credentials: Credentials, *, user: str, password: str, method: str, uri: str
) -> str:
    """The header line, with its line end, for the next request on this nonce.

    Counts the nonce up, so every call is another (nonce, nc) (RFC 7616 section 3.4, D6).
    """
    challenge, cnonce = credentials.challenge, credentials.cnonce
    credentials.nc += 1
    realm, nonce = challenge.realm, challenge.nonce
    algorithm = challenge.algorithm.lower() or "md5"
    session = algorithm.endswith("-sess")
    if session:
        algorithm = algorithm[:-5]
    secret = _hash(algorithm, f"{user}:{realm}:{password}")
    if session:
        secret = _hash(algorithm, f"{secret}:{nonce}:{cnonce}")
    request = _request_hash(algorithm, method, uri)
    name = "Proxy-Authorization" if credentials.proxy else "Authorization"
    tail = f", algorithm={challenge.algorithm}" if challenge.algorithm else ""
    if challenge.opaque is not None:
        tail += f', opaque="{challenge.opaque}"'
    if challenge.qop:
        nc = f"{credentials.nc:08x}"
        response = _hash(algorithm, f"{secret}:{nonce}:{nc}:{cnonce}:auth:{request}")
        tail += f', qop=auth, nc={nc}, cnonce="{cnonce}"'
    else:
        response = _hash(algorithm, f"{secret}:{nonce}:{request}")
        if session:
            tail += f', cnonce="{cnonce}"'
    return (
        f'{name}: Digest username={quote(user)}, realm="{realm}", nonce="{nonce}", '
        f'uri="{uri}", response="{response}"{tail}\r\n'
    )


def next_nonce(value: str) -> str | None:
    """The nextnonce of an Authentication-Info value, if it has a usable one."""
    try:
        nonce = parse_parameters(value).get("nextnonce")
    except SipParseError:
        return None
    return nonce if nonce and _are_echoable(nonce) else None


def to_json(credentials: Credentials) -> dict[str, Any]:
    """For the agent's snapshot."""
    challenge = credentials.challenge
    return {
        "proxy": credentials.proxy,
        "realm": challenge.realm,
        "nonce": challenge.nonce,
        "opaque": challenge.opaque,
        "algorithm": challenge.algorithm,
        "qop": challenge.qop,
        "cnonce": credentials.cnonce,
        "nc": credentials.nc,
    }


def from_json(data: Mapping[str, Any], nc_offset: int) -> Credentials:
    """Back from a snapshot. `nc_offset` leaps over counts that a lost lease may have used."""
    challenge = Challenge(
        data["realm"], data["nonce"], data["opaque"], data["algorithm"], data["qop"]
    )
    return Credentials(data["proxy"], challenge, data["cnonce"], data["nc"] + nc_offset)
