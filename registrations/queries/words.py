"""How times and MACs are written: for machines in UTC, for people in the site's zone."""

import re
from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


def plain_mac(text: str) -> str:
    """Return a MAC or a piece of one as stored: twelve lower-case hex digits, no separators."""
    return text.lower().translate(str.maketrans("", "", ":-."))


_MAC_PIECE = re.compile(r"[0-9a-f]{1,2}([:-][0-9a-f]{1,2})+|[0-9a-f]{4}(\.[0-9a-f]{1,4})+", re.I)


def mac_piece(word: str) -> str:
    """Return a word that is written as a MAC or a piece of one as stored, else the word.

    Plain digits stay what they are, and so does an IPv4 address with its dots.
    """
    return plain_mac(word) if _MAC_PIECE.fullmatch(word) else word


def moment(at: datetime | None) -> str | None:
    """Return `at` as ISO 8601 in UTC with milliseconds, None as None."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def zone_name(local: datetime) -> str:
    """Return what its zone is called at that instant: `MST`, `CEST`, `UTC+4`."""
    name = local.strftime("%Z")
    if name[:1] not in "+-":
        return name
    return f"UTC{name[0]}{name[1:3].removeprefix('0')}" + (f":{name[3:5]}" if name[3:] else "")


def clock(at: datetime, time_zone: str, now: datetime | None = None) -> str:
    """Return `at` for a sentence: `02:14 MST` in that zone, with the day when that is not today.

    A sentence goes to viewers of several zones, so it names its own.
    """
    zone = zone_of(time_zone)
    local = at.astimezone(zone)
    today = (now or datetime.now(UTC)).astimezone(zone).date()
    return f"{day_before(local, today)}{local:%H:%M} {zone_name(local)}"


def day_before(local: datetime, today: date) -> str:
    """Return what stands before a clock time: nothing today, else the day, of another year too."""
    if local.date() == today:
        return ""
    return local.strftime("%-d %b " if local.year == today.year else "%-d %b %Y ")
