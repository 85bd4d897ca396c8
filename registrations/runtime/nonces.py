"""What is remembered from one question to the next, so that it needs no second REGISTER."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from registrations.runtime.clock import steady
from registrations.store import ClaimedProof

KEPT_S = 240.0
"""Registrars let nonces live for some minutes; one that has run out costs a challenge."""
MOST = 20_000


class Nonces:
    """By line and server, in this process's memory only: they are secrets of a kind."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[float, str, Mapping[str, Any]]] = OrderedDict()

    def get(self, claimed: ClaimedProof) -> Mapping[str, Any] | None:
        """Return the client's snapshot of a moment ago, if its credentials are still the same."""
        kept_at, password, snapshot = self._kept.get(claimed.proof_id, (0.0, "", None))
        is_fresh = kept_at + KEPT_S > steady() and password == claimed.account.password
        return snapshot if is_fresh else None

    def keep(self, claimed: ClaimedProof, snapshot: Mapping[str, Any]) -> None:
        self._kept[claimed.proof_id] = (steady(), claimed.account.password, snapshot)
        self._kept.move_to_end(claimed.proof_id)
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
