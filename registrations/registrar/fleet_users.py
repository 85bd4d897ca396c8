"""The fleet's own lines as a registrar's users: for the demo, and to try a fleet file out."""

import asyncio
import time

from asgiref.sync import sync_to_async

from fleet.models import Line

RELOAD_SECONDS = 5.0
SHARE = 20
"""Reading the lines may take a twentieth of the time: large fleets are read less often."""


class FleetUsers:
    """Lines by (auth user, address of record), read again while the registrar runs."""

    def __init__(self) -> None:
        self._passwords: dict[tuple[str, str], str] = {}

    def __call__(self, user: str, aor: str) -> str | None:
        return self._passwords.get((user, aor))

    def load(self) -> int:
        """Read the lines anew; returns how many there are."""
        lines = Line.objects.order_by().values_list(
            "auth_user", "extension", "domain", "auth_password"
        )
        self._passwords = {
            (auth_user, f"sip:{extension}@{domain.lower()}"): password
            for auth_user, extension, domain, password in lines
        }
        return len(self._passwords)

    async def timed_load(self) -> float:
        """Read the lines; returns how many seconds it took."""
        begun = time.monotonic()
        await sync_to_async(self.load)()
        return time.monotonic() - begun

    async def keep_loaded(self, took: float) -> None:
        """Read them again and again, until cancelled; `took` is what `timed_load` returned."""
        while True:
            await asyncio.sleep(max(RELOAD_SECONDS, SHARE * took))
            took = await self.timed_load()
