"""The nonces one binding holds, server by server (RFC 3261 section 22.1, D1, D7, D8)."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from registrations.sip import digest
from registrations.sip.digest import Challenge, Credentials
from registrations.sip.message import Response

MAX_SERVERS = 16
"""Servers whose nonces are kept; the one longest unheard is forgotten first."""
MAX_REALMS = 4
"""Realms kept per server."""

_NEXT_NONCE = ((False, "authentication-info"), (True, "proxy-authentication-info"))


class Keyring:
    """Never shared between bindings: two users of one (nonce, nc) are a replay to the server."""

    __slots__ = ("_kept", "_token")

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token
        self._kept: dict[str, list[Credentials]] = {}

    def of(self, server: str) -> Iterable[Credentials]:
        """What a request to `server` carries without being asked."""
        return self._kept.get(server, ())

    def drop(self, server: str) -> None:
        """Forget what `server` refused."""
        self._kept.pop(server, None)

    def adopt(
        self,
        server: str,
        proxy: bool,
        challenges: Iterable[Challenge],
        answered: Collection[tuple[bool, str]],
    ) -> None:
        """Take the new nonces. Older ones of the same kind go, unless this very attempt
        (`answered`) got them: then another realm asked for them and may again.
        """
        fresh = [Credentials(proxy, challenge, self._token()) for challenge in challenges]
        before = self._kept.pop(server, None)
        if before:
            replaced = {credentials.key for credentials in fresh}
            fresh[:0] = [
                credentials
                for credentials in before
                if credentials.key not in replaced
                and (credentials.proxy != proxy or credentials.key in answered)
            ]
        self._kept[server] = fresh[-MAX_REALMS:]
        if len(self._kept) > MAX_SERVERS:
            del self._kept[next(iter(self._kept))]

    def take_next_nonce(self, server: str, response: Response) -> None:
        """Authentication-Info names no realm: used only where one credential can be meant."""
        for proxy, name in _NEXT_NONCE:
            value = response.first(name)
            if value is None:
                continue
            nonce = digest.next_nonce(value)
            meant = [c for c in self._kept.get(server, ()) if c.proxy == proxy]
            if nonce is not None and len(meant) == 1:
                meant[0].renew(nonce)

    def snapshot(self) -> dict[str, list[dict[str, Any]]]:
        """JSON-safe, by server. Store it, never log it."""
        return {server: [digest.to_json(c) for c in kept] for server, kept in self._kept.items()}

    def restore(
        self, saved: Mapping[str, list[dict[str, Any]]], nc_offset: int, *, allow_md5: bool = True
    ) -> None:
        """Back from snapshot(). `nc_offset` leaps over what a lost lease may have used.

        Without `allow_md5` what was answered with MD5 before it was refused is forgotten.
        """
        for server, kept in saved.items():
            read = [digest.from_json(data, nc_offset) for data in kept]
            self._kept[server] = [c for c in read if allow_md5 or not c.challenge.is_md5]
