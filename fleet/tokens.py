"""API tokens: made, found by their key, ended."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog
from django.db.models import QuerySet
from django.utils import timezone

from fleet.people import ApiToken
from fleet.roles import Role, has_role, limit, role_of

log = structlog.get_logger(__name__)

USE = timedelta(minutes=5)
"""How exactly the last use is kept: a write per five minutes and token."""

MOST = 100
"""Tokens of one user."""

MOST_DAYS = 3660


class Refused(ValueError):
    """No such token can be made; the text says why, `field` names what is wrong."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


class Made(NamedTuple):
    """A new token, and its key, which nobody can tell again."""

    token: ApiToken
    key: str


def make(
    user: Any, name: str, role: Role, expires_at: datetime | None, *, by: str, within: Any = None
) -> Made:
    """Make a token of `user` that may as much as `role`, until `expires_at` (None: for good).

    `within` is the token by which this is asked, if any: no token makes one that outlives it.
    Raises Refused.
    """
    held = role_of(user)
    if held is None or role > held:
        may = f"at most {held.word}" if held else "nothing"
        raise Refused("role", f"{user.get_username()} may {may}, and so may their tokens.")
    if expires_at is not None and expires_at <= timezone.now():
        raise Refused("expires_at", "That time is past.")
    last = within.expires_at if isinstance(within, ApiToken) else None
    if last is not None and (expires_at is None or expires_at > last):
        raise Refused("expires_at", "It may not last longer than the token that makes it.")
    if ApiToken.objects.filter(user=user).count() >= MOST:
        raise Refused("name", f"A user has at most {MOST} tokens: revoke one first.")
    key = secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        user=user,
        name=name,
        digest=digest(key),
        role=role,
        expires_at=expires_at,
        created_by=by,
    )
    return Made(token, key)


def find(key: str) -> ApiToken | None:
    """Return the token with that key, its user limited to its role; None where it opens nothing.

    A key has 256 random bits: it is not guessed, and a plain digest keeps it.
    """
    token = ApiToken.objects.select_related("user").filter(digest=digest(key)).first()
    now = timezone.now()
    if token is None or not token.user.is_active or is_over(token, now):
        return None
    if token.used_at is None or now - token.used_at > USE:
        ApiToken.objects.filter(pk=token.pk).update(used_at=now)
    limit(token.user, Role(token.role))
    return token


def is_over(token: ApiToken, now: datetime) -> bool:
    return token.expires_at is not None and token.expires_at <= now


def of(user: Any) -> QuerySet[ApiToken]:
    """Return the tokens `user` may see and revoke: their own; an admin everybody's."""
    every = ApiToken.objects.select_related("user")
    return every if has_role(user, Role.ADMIN) else every.filter(user=user)


def may_revoke(token: ApiToken, within: Any) -> bool:
    """Whether that may be asked by the token `within`, or by a person where it is none.

    A token ends itself and what may no more than it: a leaked one cannot end those above it.
    """
    return not isinstance(within, ApiToken) or token == within or token.role <= within.role


def revoke(token: ApiToken, *, by: str) -> None:
    """End a token: at its next request, and its open sockets at once."""
    log.info("API token revoked", token=token.pk, of=token.user.get_username(), by=by)
    token.delete()


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
