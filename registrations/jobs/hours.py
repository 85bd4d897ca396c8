"""No-failback hours as people write and read them."""

from datetime import datetime
from typing import Any

from registrations import queries
from registrations.models import QuietHours
from registrations.windows import end_of, next_begin

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SETS = {"1234567": "Every day", "12345": "Mon to Fri", "67": "Sat and Sun"}


def faults_of_hours(group: Any, site: Any, days: str) -> dict[str, str]:
    """Return what is wrong with such hours, by field."""
    wrong = {}
    if group is None and site is None:
        wrong["group"] = "Name a group, a site, or both."
    if not days or set(days) - set("1234567") or len(set(days)) != len(days):
        wrong["days"] = "Name each weekday once, as 1 (Monday) to 7 (Sunday)."
    return wrong


def days_word(days: str) -> str:
    """Return ISO weekdays in words: `Mon to Fri`, `Tue, Thu`."""
    days = "".join(sorted(days))
    return _SETS.get(days) or ", ".join(DAYS[int(day) - 1] for day in days)


def hours_word(hours: QuietHours) -> str:
    """Return them in words: `Mon to Fri 06:45 to 07:15`."""
    return f"{days_word(hours.days)} {hours.begins:%H:%M} to {hours.ends:%H:%M}"


def place_word(hours: QuietHours) -> str:
    """Return where they hold, as words."""
    parts = [f"group {hours.group}"] if hours.group else []
    word = " at ".join([*parts, f"site {hours.site}"] if hours.site else parts)
    return word[:1].upper() + word[1:]


def standing(hours: QuietHours, now: datetime, zone: str) -> tuple[float | None, float | None]:
    """Return until when they are on, else when they begin next; Unix seconds, in `zone`."""
    weekly, at = queries.weekly(hours), now.timestamp()
    end = end_of(weekly, at, queries.zone_of(zone))
    return end, None if end else next_begin(weekly, at, queries.zone_of(zone))
