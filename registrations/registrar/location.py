"""The location table: which Contacts are bound to an address of record (RFC 3261 section 10.3)."""

from collections.abc import Iterable
from dataclasses import dataclass

from registrations.sip.errors import SipParseError
from registrations.sip.uri import Uri, parse_uri, same_uri


@dataclass(frozen=True, slots=True)
class Binding:
    """One Contact of an address of record."""

    uri: str
    call_id: str
    cseq: int
    expires_at: float
    instance: str = ""


class OutOfOrder(Exception):
    """The REGISTER is older than the one that made the binding: it must change nothing."""


class Location:
    """All bindings, by address of record. Expired ones are never shown."""

    def __init__(self) -> None:
        self._bindings: dict[str, list[Binding]] = {}

    def __len__(self) -> int:
        """Addresses of record with a binding, expired ones not yet looked at included."""
        return len(self._bindings)

    def aors(self, now: float) -> dict[str, list[Binding]]:
        """Every address of record that is bound now."""
        return {aor: found for aor in list(self._bindings) if (found := self.lookup(aor, now))}

    def lookup(self, aor: str, now: float) -> list[Binding]:
        """What is bound to it now."""
        found = [one for one in self._bindings.get(aor, []) if one.expires_at > now]
        self._keep(aor, found)
        return found

    def update(self, aor: str, news: Iterable[Binding], now: float) -> list[Binding]:
        """Add, refresh and remove (an expiry that is not after `now`) all together, or none.

        Raises OutOfOrder when one of them is already bound by the same Call-ID with an equal or
        higher CSeq (step 7), SipParseError for a Contact that is no SIP URI.
        """
        bound = self.lookup(aor, now)
        for new in news:
            uri = parse_uri(new.uri)
            old = _find(bound, uri)
            if old and old.call_id == new.call_id and old.cseq >= new.cseq:
                raise OutOfOrder(aor)
            bound = [one for one in bound if one is not old]
            if new.expires_at > now:
                bound.append(new)
        self._keep(aor, bound)
        return bound

    def clear(self, aor: str, call_id: str, cseq: int, now: float) -> None:
        """Remove all its bindings (`Contact: *`). Raises OutOfOrder as `update` does (step 6)."""
        for one in self.lookup(aor, now):
            if one.call_id == call_id and one.cseq >= cseq:
                raise OutOfOrder(aor)
        self._bindings.pop(aor, None)

    def _keep(self, aor: str, bindings: list[Binding]) -> None:
        if bindings:
            self._bindings[aor] = bindings
        else:
            self._bindings.pop(aor, None)


def _find(bindings: list[Binding], uri: Uri) -> Binding | None:
    return next((one for one in bindings if same_uri(parse_uri(one.uri), uri)), None)


def aor_of(to: str) -> str:
    """The canonical address of record of a To value: `sip:user@host`. Raises SipParseError."""
    text = to.strip()
    if "<" in text:
        text = text.rpartition("<")[2].partition(">")[0].partition("?")[0]
    text = text.partition(";")[0]
    uri = parse_uri(text)
    if not uri.user:
        raise SipParseError("a To without a user")
    return f"{uri.scheme}:{uri.user}@{uri.host}"
