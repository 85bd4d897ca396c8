"""Somebody before the live page all the while: what it showed, and what it said of itself."""

import json
import threading
import time
from contextlib import suppress
from datetime import datetime
from typing import Any, Self

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from tests.support.product import Product

SILENCE_S, PATIENCE_S = 10.0, 2.0
"""As in static/rollcall/verdict.js."""

MOST_ROWS = 1000
"""What one socket may watch."""

BOUND = frozenset({"primary", "secondary", "fallback"})

LIVE = "live"


class Screen:
    """Does over the live socket what the page's script does, in a thread of its own.

    It says `live`, or what is wrong in one word: stale, database, redis, worker, beat.
    """

    def __init__(self, product: Product, ids: list[int]) -> None:
        self._product = product
        self._watch = json.dumps({"watch": {"rows": sorted(ids)[:MOST_ROWS], "summary": True}})
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="screen", daemon=True)
        self._heard = self._lost = time.monotonic()
        self._is_connected = False
        self._heartbeat: dict[str, Any] = {}
        self._rows: dict[int, dict[str, Any]] = {}
        self._trouble: Exception | None = None
        self.said: list[tuple[float, str]] = []
        """What it said of itself, each with since when (monotonic)."""
        self.bound: set[tuple[int, str, datetime]] = set()
        """Every (registration, state, since) that was shown as bound."""
        self.unknown = False
        """Whether any row was ever shown as unknown."""
        self.connections = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(15)

    def says(self) -> str:
        """The page's verdict on itself, now."""
        now = time.monotonic()
        with self._lock:
            if self._trouble is not None:
                raise self._trouble
            quiet, beat = now - self._heard, self._heartbeat
            lost = 0.0 if self._is_connected else now - self._lost
        if quiet > SILENCE_S or lost > PATIENCE_S or not beat:
            return "stale"
        if not beat["database"]:
            return "database"
        if not beat["redis"]:
            return "redis"
        if not beat["workers"] or any(worker["late"] for worker in beat["workers"]):
            return "worker"
        return "beat" if beat["tick_late"] else LIVE

    def rows(self) -> list[dict[str, Any]]:
        """The rows as they stand on it now."""
        with self._lock:
            return list(self._rows.values())

    def has_said(self, word: str, since: float) -> bool:
        """Whether it said so at any time after `since` (monotonic)."""
        return any(said == word and at >= since for at, said in self.said)

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                with suppress(OSError, WebSocketException):
                    self._sit()
                self._is_connected, self._lost = False, time.monotonic()
                self._note()
                self._over.wait(0.5)
        except Exception as error:
            self._trouble = error

    def _sit(self) -> None:
        with connect(
            f"{self._product.url.replace('http', 'ws')}/ws/live/",
            additional_headers={"Authorization": f"Token {self._product.token}"},
            open_timeout=SILENCE_S,
            close_timeout=1,
            ping_interval=None,
            max_size=None,
        ) as connection:
            connection.send(self._watch)
            self._is_connected = True
            self.connections += 1
            self._take_all(connection)

    def _take_all(self, connection: ClientConnection) -> None:
        while not self._over.is_set():
            try:
                self._take(json.loads(connection.recv(timeout=0.5)))
            except TimeoutError:
                if time.monotonic() - self._heard > SILENCE_S:
                    return
            self._note()

    def _take(self, message: dict[str, Any]) -> None:
        with self._lock:
            self._heard = time.monotonic()
            if message["type"] == "heartbeat":
                self._heartbeat = message
                return
            if message["type"] == "snapshot":
                self._rows = {}
            for row in message["rows"]:
                self._rows[row["id"]] = row
                self.unknown = self.unknown or row["state"] == "unknown"
                if row["state"] in BOUND:
                    since = datetime.fromisoformat(row["since"])
                    self.bound.add((row["id"], row["state"], since))

    def _note(self) -> None:
        says = self.says()
        if not self.said or self.said[-1][1] != says:
            self.said.append((time.monotonic(), says))
