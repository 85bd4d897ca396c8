"""A fault, and what must hold after every one.

*Every handset that a registrar would take is bound on the right one within the bound; no row of
history is lost or doubled; the screen said unknown while it was unknown.* Who is bound where is
judged by the registrars' own location tables, what was shown by a live socket that stays open.

`CHAOS_HANDSETS` is the size of the fleet (few where the tests only judge, many for `make chaos`);
with `CHAOS_FIGURES` (a path) every fault leaves one line of JSON there.
"""

import json
import os
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support import annals
from tests.support.fleet import Policy
from tests.support.hospital import Hospital
from tests.support.kamailio import Contact, Kamailio
from tests.support.screen import BOUND, LIVE, Screen
from tests.support.waiting import wait_until

HANDSETS = int(os.environ.get("CHAOS_HANDSETS", "60"))
EXPIRES_S = 20 + HANDSETS // 100
"""How long a binding lasts: each is renewed 5 s before, so a bigger fleet needs longer ones."""

POLICY: Policy = {
    "expires": EXPIRES_S,
    "expires_overlap": 5,
    "retry_max_count": 2,
    "retry_timeout": 500,
    "register_retry_base": 10,
    "register_retry_max": 60,
    "re_register_on": True,
    "fail_registration_on": True,
    "fail_back_mode": "registration",
    "max_registrations_per_second": 200,
}

LEASE_S = 30.0
SETTLED_S = EXPIRES_S + HANDSETS / 100 + 30.0
"""In which a fleet that nothing hinders any more is home: a renewal, a failback, and patience."""

NOTICED_S = 15.0
"""How long a live screen may show as bound whom no registrar holds: ten, on a machine that does
more."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One fault's line in the table."""

    fault: str
    handsets: int
    per_second: float
    """Renewals and changes written a second, all the while."""
    seconds: float | None
    """From the fault's end (where it has none: its beginning) until all were right; None: never."""
    within: float
    unbound: float
    """The longest time any handset was on no registrar, in seconds."""
    lost: int
    doubled: int
    said: list[str]
    """What the screen said of itself; `unknown` where it showed handsets as that."""


class Fault:
    """The body of the `with` does something bad; leaving it demands that all comes right.

    `on` is the registrar all must be on at the end (default: the primary), within so many seconds
    from `mended()`, or from the beginning where the body does not call it. `blind_s`: how long a
    screen may not know that a registrar lost somebody: where the registrar itself forgets, that is
    until the next renewal.
    """

    def __init__(
        self,
        hospital: Hospital,
        name: str,
        *,
        within: float = SETTLED_S,
        on: Kamailio | None = None,
        blind_s: float = NOTICED_S,
    ) -> None:
        self._hospital = hospital
        self._name = name
        self._within = within
        self._on = on or hospital.primary
        self._eye = _Eye(hospital, blind_s)

    def __enter__(self) -> Self:
        wait_until(
            lambda: self._all_right(self._hospital.primary),
            SETTLED_S + LEASE_S,
            "all are home before anything happens",
            every=0.5,
            seen=self._seen,
        )
        rows = self._hospital.product.registrations()
        self.screen = Screen(self._hospital.product, [row["id"] for row in rows])
        self.screen.__enter__()
        try:
            wait_until(lambda: self.screen.says() == LIVE, 20, "the screen is live", every=0.1)
        except AssertionError:
            self.screen.__exit__()
            raise
        self._eye.open(self.screen)
        self._written = self._work()
        self.began = self._from = time.monotonic()
        return self

    def mended(self) -> None:
        """What was broken works again: the bound counts from now."""
        self._from = time.monotonic()

    def is_said(self, *words: str, within: float = 30.0) -> None:
        """The screen says one of these of itself, or has said it since the fault began."""
        wait_until(
            lambda: any(self.screen.has_said(word, self.began) for word in words),
            within,
            f"the screen says {' or '.join(words)}",
            every=0.1,
            seen=lambda: (self.screen.says(), self.screen.said),
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        late: AssertionError | None = None
        try:
            if error is None:
                late = self._settle()
        finally:
            self._eye.close()
            self.screen.__exit__()
        if error is None:
            self._judge(late)

    def _settle(self) -> AssertionError | None:
        left = self._within - (time.monotonic() - self._from)
        try:
            wait_until(
                lambda: self._all_right(self._on) and self.screen.says() == LIVE,
                max(left, 0.0),
                f"all {len(self._hospital.extensions)} are on {self._on}, {self._within:.0f} s "
                f"after {self._name}, and the screen is live",
                every=0.5,
                seen=self._seen,
            )
        except AssertionError as error:
            return error
        return None

    def _judge(self, late: AssertionError | None) -> None:
        took = time.monotonic() - self._from
        lasted = time.monotonic() - self.began
        history = annals.examine(self._hospital, self.screen.bound)
        figures = Figures(
            fault=self._name,
            handsets=len(self._hospital.extensions),
            per_second=round((self._work() - self._written) / lasted, 1),
            seconds=None if late else round(took, 1),
            within=self._within,
            unbound=round(self._eye.longest, 1),
            lost=len(history.lost),
            doubled=len(history.doubled),
            said=self._said(),
        )
        if path := os.environ.get("CHAOS_FIGURES"):
            with Path(path).open("a") as file:
                file.write(json.dumps(asdict(figures)) + "\n")
        if late is not None:
            raise late
        assert history.lost == [], history.lost[:5]
        assert history.doubled == [], history.doubled[:5]
        assert self._eye.lies == [], (len(self._eye.lies), self._eye.lies[:5])
        assert self._eye.doubled == [], self._eye.doubled[:5]
        assert self._eye.looks > 0, "nobody looked at the registrars"

    def _said(self) -> list[str]:
        said = {word for at, word in self.screen.said if at >= self.began} - {LIVE}
        return sorted(said | ({"unknown"} if self.screen.unknown else set()))

    def _all_right(self, registrar: Kamailio) -> bool:
        """Whether the registrar's own table and what the product shows agree that all are there."""
        found = registrar.locations()
        assert all(len(contacts) == 1 for contacts in found.values()), "two contacts of one handset"
        if sorted(found) != sorted(self._hospital.extensions):
            return False
        role = "primary" if registrar is self._hospital.primary else "secondary"
        try:
            return self._hospital.states() == Counter({role: len(found)})
        except OSError:
            return False

    def _seen(self) -> Any:
        try:
            tables = [len(r.locations()) if r.is_up else None for r in self._eye.registrars]
            return tables, self._hospital.states(), self.screen.said
        except (OSError, AttributeError) as error:
            return repr(error)

    def _work(self) -> int:
        """Renewals and changes written so far."""
        (row,) = self._hospital.sql(
            "SELECT (SELECT coalesce(sum(renewals), 0) FROM registrations_registration) "
            "+ (SELECT count(*) FROM registrations_transition WHERE registration_id IS NOT NULL)"
        )
        return int(row[0])


class _Eye:
    """Looks at the registrars and at the screen all the while, and compares."""

    def __init__(self, hospital: Hospital, blind_s: float) -> None:
        self.registrars = [hospital.primary, hospital.secondary]
        self._extensions = frozenset(hospital.extensions)
        self._blind_s = blind_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="eye", daemon=True)
        self._held: dict[Kamailio, dict[str, list[Contact]]] = {}
        self._missing: dict[str, float] = {}
        self._trouble: Exception | None = None
        self.looks = 0
        self.longest = 0.0
        self.lies: list[str] = []
        self.doubled: list[str] = []

    def open(self, screen: Screen) -> None:
        self._screen = screen
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join(30)
        if self._trouble is not None:
            raise self._trouble

    def _run(self) -> None:
        try:
            while not self._over.wait(0.5):
                self._look(time.monotonic())
        except Exception as error:
            self._trouble = error

    def _look(self, now: float) -> None:
        for registrar in self.registrars:
            try:
                self._held[registrar] = registrar.locations() if registrar.is_up else {}
            except OSError:
                # It cannot be asked now: what it held it may hold still.
                self._held.setdefault(registrar, {})
        for registrar, bound in self._held.items():
            if twice := [user for user, contacts in bound.items() if len(contacts) > 1]:
                self.doubled.append(f"{registrar} holds twice: {twice[:5]}")
        missing = self._extensions.difference(*self._held.values())
        self._missing = {user: self._missing.get(user, now) for user in missing}
        self.longest = max([self.longest, *(now - since for since in self._missing.values())])
        self.looks += 1
        self._compare(now)

    def _compare(self, now: float) -> None:
        if self._screen.says() != LIVE:
            return
        for row in self._screen.rows():
            since = self._missing.get(row["extension"], now)
            if row["state"] in BOUND and now - since > self._blind_s:
                self.lies.append(
                    f"{row['extension']} is shown on {row['server_name']} and has been on no "
                    f"registrar for {now - since:.1f} s"
                )
