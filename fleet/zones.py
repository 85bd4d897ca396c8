"""In which time zone a viewer reads times: each site's own, or the one zone the viewer chose.

The choice lies with the user; a session takes it along from the log-in, so that no page asks the
database for it. `browser` follows the machine in front of the viewer, which says its
zone in a cookie (static/rollcall/times.js); until it has, times are the sites' own.
"""

from contextvars import ContextVar
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest

from fleet.models import Preference

SITE, BROWSER = "", "browser"
"""The two choices that are no zone's name."""

COOKIE = "zone"
KEY = "time_zone"
"""In the session."""

_request: ContextVar[HttpRequest | None] = ContextVar("viewer_of_times", default=None)


def serve(request: HttpRequest | None) -> None:
    """Whose choice counts from here on in this context: this request's user's, or nobody's."""
    _request.set(request)


def choice(request: HttpRequest) -> str:
    """The viewer's choice: SITE, BROWSER or a zone's name."""
    session = getattr(request, "session", None)
    return str(session.get(KEY, SITE)) if session is not None else SITE


def chosen() -> str:
    """The name of the zone all times are shown in; '' where each is in its site's own."""
    request = _request.get()
    if request is None:
        return ""
    wanted = choice(request)
    return _known(request.COOKIES.get(COOKIE, "")) if wanted == BROWSER else wanted


def names() -> list[str]:
    """Return the zones to choose from, by their places: `America/Denver`."""
    return sorted(name for name in available_timezones() if "/" in name)


def choose(request: HttpRequest, zone: str) -> None:
    """Keep the user's choice. ValueError for what is neither a choice nor a zone we know."""
    if zone not in (SITE, BROWSER) and zone not in available_timezones():
        raise ValueError(f"There is no time zone {zone!r}.")
    Preference.objects.update_or_create(user=request.user, defaults={"time_zone": zone})
    request.session[KEY] = zone


@receiver(user_logged_in)
def take_along(request: HttpRequest, user: Any, **_: Any) -> None:
    """Put the choice into the session that begins."""
    mine = Preference.objects.filter(user=user.pk).values_list("time_zone", flat=True).first()
    if mine:
        request.session[KEY] = mine


def words(wanted: str) -> str:
    """A choice as the account sheet says it."""
    return {SITE: "each site's own", BROWSER: "this computer's"}.get(wanted, wanted)


def _known(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ""


def context(request: HttpRequest) -> dict[str, str]:
    """For templates: `zone_choice` as chosen, `zone_words` as said."""
    return {"zone_choice": choice(request), "zone_words": words(choice(request))}
