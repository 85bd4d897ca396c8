"""Users: made, given a role, let out and in again."""

import secrets
from typing import Any

import structlog
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import Count, Q, QuerySet

from fleet import sessions
from fleet.people import Account
from fleet.roles import Role, role_of

READABLE = "abcdefghjkmnpqrstuvwxyz23456789"
"""Characters that nobody takes for another one."""

log = structlog.get_logger(__name__)


class Refused(ValueError):
    """It would leave nobody who could undo it; the text is the sentence that says so."""


def listed() -> QuerySet[Any]:
    """Return all users with what their list shows. Two queries."""
    users = get_user_model()._default_manager.prefetch_related("groups")
    tokens = Count("api_tokens")
    return users.select_related("account").annotate(tokens=tokens).order_by("username")


@transaction.atomic
def make(name: str, password: str, role: Role) -> Any:
    """Make a user with one role. Name and password are validated."""
    user = get_user_model()._default_manager.create_user(name, password=password)
    user.groups.add(Group.objects.get(name=role.group_name))
    return user


@transaction.atomic
def invite(name: str, role: Role, *, by: str) -> str:
    """Make a user and return the password they begin with, and have to change."""
    password = _temporary()
    Account.objects.create(user=make(name, password, role), must_change_password=True)
    log.info("user made", user=name, role=role.word, by=by)
    return password


@transaction.atomic
def set_role(user: Any, role: Role, *, by: str) -> None:
    """Give `user` this role and no other. Raises Refused."""
    if role != Role.ADMIN:
        _keep_an_admin(user)
    if user.is_superuser:
        user.is_superuser = False
        user.save(update_fields=["is_superuser"])
    user.groups.set([Group.objects.get(name=role.group_name)])
    log.info("role given", user=user.get_username(), role=role.word, by=by)


@transaction.atomic
def set_active(user: Any, is_active: bool, *, by: str) -> None:
    """Let `user` in, or out: then their sessions and tokens open nothing. Raises Refused."""
    if not is_active:
        _keep_an_admin(user)
        sessions.end_all(user, by=by)
    user.is_active = is_active
    user.save(update_fields=["is_active"])
    log.info("user let in" if is_active else "user let out", user=user.get_username(), by=by)


@transaction.atomic
def reset_password(user: Any, *, by: str) -> str:
    """Return a new password, which they have to change; their sessions end."""
    password = _temporary()
    user.set_password(password)
    user.save(update_fields=["password"])
    Account.objects.update_or_create(user=user, defaults={"must_change_password": True})
    log.info("password reset", user=user.get_username(), by=by)
    return password


def password_changed(user: Any) -> None:
    """They chose one themselves."""
    Account.objects.filter(user=user).update(must_change_password=False)


def _keep_an_admin(user: Any) -> None:
    # Locked, so that two admins who do this to each other do not both succeed.
    users = get_user_model()._default_manager.select_for_update(of=("self",)).order_by("pk")
    admins = users.filter(
        Q(is_superuser=True) | Q(groups__name=Role.ADMIN.group_name), is_active=True
    )
    if role_of(user) == Role.ADMIN and {each.pk for each in admins} <= {user.pk}:
        raise Refused(f"{user.get_username()} is the only admin: make somebody else admin first.")


def _temporary() -> str:
    """Three groups of five, 74 random bits: to be read aloud and typed."""
    return "-".join("".join(secrets.choice(READABLE) for _ in range(5)) for _ in range(3))
