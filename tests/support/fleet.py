"""The fleets of the integration tests, and what every look at the registrars must show."""

import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from tests.support.kamailio import REALM, Contact, Kamailio

PRIMARY, SECONDARY = "127.0.0.2", "127.0.0.3"

Policy = dict[str, Any]

WARD_POLICY: Policy = {
    "expires": 40,
    "expires_overlap": 5,
    "retry_max_count": 3,
    "retry_timeout": 500,
    "register_retry_base": 10,
    "register_retry_max": 60,
    "re_register_on": True,
    "fail_registration_on": True,
    "fail_back_mode": "duration",
    "fail_back_timeout": 60,
    "max_registrations_per_second": 200,
}


def users(count: int, first: int = 4000) -> list[str]:
    """Extensions, which are the users of the addresses of record too."""
    return [str(first + n) for n in range(count)]


def fleet_file(
    group: str, extensions: Sequence[str], servers: Iterable[Kamailio], policy: Policy
) -> dict[str, Any]:
    """A fleet file: one failover group over `servers`, one handset per extension."""
    addresses = [{"address": s.address, "port": s.port, "transport": "udp"} for s in servers]
    return {
        "sites": [{"name": "main", "time_zone": "America/Denver"}],
        "groups": [{"name": group, "mode": "failover", "servers": addresses, "policy": policy}],
        "handsets": [
            {
                "mac": f"00907a{int(extension):06x}",
                "line": 1,
                "name": f"{group.title()} {extension}",
                "extension": extension,
                "domain": REALM,
                "auth_user": extension,
                "auth_password": f"pw-{extension}",
                "group": group,
                "site": "main",
                "model": "8440",
                "supervision": "register",
            }
            for extension in extensions
        ],
    }


def holders(registrars: Iterable[Kamailio]) -> dict[Kamailio, dict[str, list[Contact]]]:
    """What every live registrar holds now. One that dies while it is asked holds nothing."""
    found: dict[Kamailio, dict[str, list[Contact]]] = {}
    for registrar in registrars:
        if not registrar.is_up:
            continue
        try:
            found[registrar] = registrar.locations()
        except OSError:
            if registrar.is_up:
                raise
    return found


class Watch(AbstractContextManager["Watch"]):
    """Looks at the live registrars again and again while the body runs; a bad look fails it.

    At every look no address of record may have two contacts at one registrar, and with
    `all_bound` each of `extensions` must be held by at least one live registrar.
    """

    def __init__(
        self,
        registrars: Sequence[Kamailio],
        extensions: Sequence[str],
        *,
        all_bound: bool,
        every: float = 0.5,
    ) -> None:
        self._registrars = registrars
        self._extensions = frozenset(extensions)
        self._all_bound = all_bound
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._trouble: Exception | None = None
        self.looks = 0
        self.faults: list[str] = []

    def __enter__(self) -> Self:
        self._begin = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join(30)
        if error is not None:
            if self.faults:
                error.add_note(f"the looks at the registrars also showed: {self.faults[:5]}")
            return
        if self._trouble is not None:
            raise self._trouble
        assert self.looks > 0, "nobody looked"
        assert not self.faults, f"{len(self.faults)} bad looks of {self.looks}: {self.faults[:5]}"

    def _run(self) -> None:
        try:
            while not self._over.wait(self._every):
                self._look()
        except Exception as error:
            self._trouble = error

    def _look(self) -> None:
        found = holders(self._registrars)
        at = f"after {time.monotonic() - self._begin:.1f} s"
        self.looks += 1
        for registrar, bound in found.items():
            doubled = {user: c for user, c in bound.items() if len(c) > 1}
            if doubled:
                self.faults.append(f"{at} {registrar} has two contacts: {str(doubled)[:400]}")
        if self._all_bound:
            missing = self._extensions.difference(*found.values())
            if missing:
                self.faults.append(f"{at} bound nowhere: {len(missing)}, {sorted(missing)[:5]}")
