"""Saving what has come and claiming what is due, by turns: what prober and asker have alike."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

from django.db import DatabaseError

from registrations.runtime.addressing import Addressing
from registrations.runtime.database import Database
from registrations.sip.targets import Located
from registrations.store import GroupFacts

logger = logging.getLogger(__name__)

CLOSE_S = 5.0


C = TypeVar("C")


class Rounds(ABC, Generic[C]):
    """One task that goes round while there is work; nobody else saves or claims."""

    what = "work"

    def __init__(
        self, loop: asyncio.AbstractEventLoop, database: Database, addressing: Addressing
    ) -> None:
        self._loop = loop
        self._database = database
        self._addressing = addressing
        self._wanted: set[int] = set()
        """Sites to look at."""
        self._finding: dict[asyncio.Task[dict[int, Located]], C] = {}
        """Whose server DNS is asked for."""
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    @abstractmethod
    async def _save(self) -> None:
        """Write what has come, give back what is to be given back."""

    @abstractmethod
    async def _claim(self, sites: list[int]) -> None:
        """Take what is due there, and begin."""

    @abstractmethod
    def _unsaved(self) -> bool:
        """Whether something is to be written now."""

    @abstractmethod
    def _drop(self) -> None:
        """Forget what could not be written: its lease runs out, and it is due again."""

    def _want(self, site_id: int) -> None:
        self._wanted.add(site_id)
        self._start()

    def _start(self) -> None:
        if self._task is None and not self._is_closed:
            self._task = self._loop.create_task(self._work())

    async def _work(self) -> None:
        try:
            while True:
                await self._save()
                sites, self._wanted = sorted(self._wanted), set()
                if sites:
                    await self._claim(sites)
                if not self._wanted and not self._unsaved():
                    break
        except DatabaseError as error:
            logger.error("%s waits for the database: %s", self.what, error)
            self._drop()
        except Exception:
            # Nobody awaits this task: what it raised would be lost, and the next hint begins anew.
            logger.exception("%s failed", self.what)
        finally:
            self._task = None

    async def _end(self) -> Collection[C]:
        """Begin nothing more; return what was still looked for."""
        self._is_closed = True
        for task in self._finding:
            task.cancel()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=CLOSE_S)
        return self._finding.values()

    def _locate(
        self,
        claimed: C,
        group: GroupFacts,
        server_id: int,
        seed: int,
        found: Callable[[Located], None],
    ) -> None:
        """Ask DNS where the server is, then tell; `seed` draws among equals."""
        task = self._loop.create_task(self._addressing.located(group, seed))
        self._finding[task] = claimed

        def done(task: "asyncio.Task[dict[int, Located]]") -> None:
            if task.cancelled() or self._is_closed:
                return
            self._finding.pop(task, None)
            found(task.result()[server_id])

        task.add_done_callback(done)
