"""Wallboards: what a big screen shows, and the tokens that let one watch without a log-in."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from fleet.models import ServerGroup, Site
from fleet.tries import Tries
from registrations import live, queries
from registrations.models import WallboardToken
from registrations.queries.extent import EVERYTHING, Extent

log = structlog.get_logger(__name__)

USE_SECONDS = 60
"""How exactly the last use is kept: a write per minute and screen."""

MOST_MISSES = 20
"""Wrong keys one address may try in a minute; then nothing is looked up for it."""

_misses = Tries("wallboard-misses", 60)
LATELY = timedelta(hours=1)
MOVES = 7


class TooManyKeys(Exception):
    """This address has tried too many wrong keys."""


@transaction.atomic
def make(name: str, groups: Iterable[ServerGroup], sites: Iterable[Site], *, by: str) -> str:
    """Make a token and return its key, which nobody can tell again. The name must be free."""
    key = secrets.token_urlsafe(32)
    token = WallboardToken.objects.create(name=name, digest=_digest(key), created_by=by)
    token.groups.set(groups)
    token.sites.set(sites)
    log.info("wallboard token made", token=name, by=by)
    return key


def revoke(token_id: int, *, by: str) -> None:
    """End a token: its screens are told at their next request, their open sockets at once."""
    for token in WallboardToken.objects.filter(pk=token_id):
        token.delete()
        transaction.on_commit(live.access_changed)
        log.info("wallboard token revoked", token=token.name, by=by)


def extent_of(key: str, address: str) -> Extent | None:
    """Return what the holder of `key` may see, None for a key that is none (any more).

    `address` is who asks. Raises TooManyKeys. A key has 256 random bits: it is not guessed, and a
    plain digest keeps it.
    """
    if _misses.of(address) >= MOST_MISSES:
        raise TooManyKeys
    token = WallboardToken.objects.filter(digest=_digest(key)).first()
    if token is None:
        _misses.add(address)
        return None
    now = timezone.now()
    if token.used_at is None or now - token.used_at > timedelta(seconds=USE_SECONDS):
        WallboardToken.objects.filter(pk=token.pk).update(used_at=now)
    ids = (token.groups.values_list("pk", flat=True), token.sites.values_list("pk", flat=True))
    return Extent(*map(frozenset, ids))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Board:
    """What a wallboard shows."""

    summary: dict[str, Any]
    moves: list[dict[str, Any]]
    """Those of LATELY, the latest first."""
    zone: str
    """In which it tells the time: that of its sites, UTC where they differ."""


def board(now: datetime, extent: Extent = EVERYTHING) -> Board:
    """Return what a wallboard of that part of the fleet shows."""
    summary = queries.summary(now, extent)
    for card in summary["groups"]:
        card["servers"] = [server | {"silent_from": _where(server)} for server in card["servers"]]
    moves = sorted(queries.moves(now - LATELY, extent), key=lambda move: move["last"], reverse=True)
    return Board(summary, moves[:MOVES], queries.fleet_zone(extent))


def _where(server: dict[str, Any]) -> str:
    """Return the names of the sites that hear nothing of it; '' where none does or all do."""
    silent = [site["site_name"] for site in server["sites"] if site["condition"] == "silent"]
    return ", ".join(silent) if len(silent) < len(server["sites"]) else ""
