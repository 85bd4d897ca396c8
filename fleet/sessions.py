"""How long a session lasts: for so long at most, for so long unused, and until somebody ends it.

What a session needs for that stands in it; when all of a user's were ended, in their account.
"""

from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from fleet.people import Account
from fleet.signals import access_changed

log = structlog.get_logger(__name__)

BEGUN, SEEN = "begun", "seen"
"""In the session, in Unix seconds: the log-in, and the last use."""

USE_SECONDS = 60
"""How exactly the last use is kept: a write per minute and session."""


def watch() -> None:
    """Listen to log-ins."""
    user_logged_in.connect(begin, dispatch_uid="fleet.sessions")


def begin(request: HttpRequest, **_: Any) -> None:
    """Note in the session that begins when it does."""
    now = timezone.now().timestamp()
    request.session[BEGUN] = request.session[SEEN] = now


def user_of(request: HttpRequest) -> Any:
    """Return whose session it is; nobody where it is over. Reads the database, writes nothing."""
    user = get_user(request)
    if not user.is_authenticated:
        return user
    account = getattr(user, "account", None)
    if _is_over(request.session, account):
        return AnonymousUser()
    user.must_change_password = account is not None and account.must_change_password
    return user


def _is_over(session: Any, account: Account | None) -> bool:
    begun, seen, now = session.get(BEGUN, 0), session.get(SEEN, 0), timezone.now()
    ended = account.sessions_ended_at if account else None
    return (
        begun < (now - timedelta(hours=settings.SESSION_HOURS)).timestamp()
        or seen < (now - timedelta(minutes=settings.SESSION_IDLE_MINUTES)).timestamp()
        or (ended is not None and begun < ended.timestamp())
    )


def use(request: HttpRequest) -> None:
    """Note that it is used. What a page that is left open asks by itself is no use."""
    now = timezone.now().timestamp()
    asks_itself = request.method == "GET" and "HX-Request" in request.headers
    if not asks_itself and now - request.session[SEEN] > USE_SECONDS:
        request.session[SEEN] = now


@transaction.atomic
def end_all(user: Any, *, by: str) -> None:
    """End every session of `user`, in every browser, and their open pages."""
    now = timezone.now()
    Account.objects.update_or_create(user=user, defaults={"sessions_ended_at": now})
    access_changed.send(sender=None, user_id=user.pk)
    log.info("sessions ended", of=user.get_username(), by=by)
